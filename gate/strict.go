package gate

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"
)

// maxNesting bounds how deep the JSON of a call may nest.
const maxNesting = 64

// unambiguous refuses JSON that two readers could understand in two ways: a member that repeats, text that is not UTF-8,
// anything behind the one object.
func unambiguous(data []byte) error {
	if !utf8.Valid(data) {
		return errors.New("the body is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	first, err := dec.Token()
	if err != nil || first != json.Delim('{') {
		return errors.New("the body is not a JSON object")
	}
	if err := members(dec, 1); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something behind the JSON object")
	}
	return nil
}

// members reads the rest of an object.
func members(dec *json.Decoder, depth int) error {
	seen := map[string]bool{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return errors.New("the body is not JSON")
		}
		text, _ := name.(string)
		if seen[text] {
			return errors.New("a member of the body repeats")
		}
		seen[text] = true
		if err := value(dec, depth); err != nil {
			return err
		}
	}
	return closing(dec)
}

// value reads one value, and what is in it.
func value(dec *json.Decoder, depth int) error {
	t, err := dec.Token()
	switch {
	case err != nil:
		return errors.New("the body is not JSON")
	case depth >= maxNesting:
		return errors.New("the body nests too deep")
	case t == json.Delim('{'):
		return members(dec, depth+1)
	case t != json.Delim('['):
		return nil
	}
	for dec.More() {
		if err := value(dec, depth+1); err != nil {
			return err
		}
	}
	return closing(dec)
}

func closing(dec *json.Decoder) error {
	if _, err := dec.Token(); err != nil {
		return errors.New("the body is not JSON")
	}
	return nil
}
