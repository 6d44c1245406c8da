package lineage

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// The largest encodings that Decode reads.
const (
	maxEnvelope = 8 << 10
	maxBody     = 256 << 10
)

// encode writes the canonical form: the JSON of v, members in the order of the type, without HTML escapes.
func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("%w: %w", errRecord, err)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// decode reads only what encode would have written for the value, byte for byte.
func decode(raw []byte, limit int, v any) error {
	if len(raw) > limit || !utf8.Valid(raw) {
		return fmt.Errorf("%w: size or encoding", errRecord)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("%w: syntax", errRecord)
	}
	again, err := encode(v)
	if err != nil || !bytes.Equal(again, raw) {
		return fmt.Errorf("%w: not canonical", errRecord)
	}
	return nil
}

// Decode reads a record back from its bytes. A nil body is an erased one. Bytes that are not the canonical encoding
// of a well-formed record, and a body that the envelope does not commit to, are refused.
func Decode(raw, body []byte) (Record, error) {
	r := Record{raw: raw, body: body}
	if err := decode(raw, maxEnvelope, &r.Envelope); err != nil {
		return Record{}, err
	}
	if err := r.Envelope.check(); err != nil {
		return Record{}, err
	}
	r.id = IDOf(raw)
	if body == nil {
		return r, nil
	}
	if ID(sha256.Sum256(body)) != r.Digest {
		return Record{}, fmt.Errorf("%w: the body is not the one recorded", errRecord)
	}
	r.Body = new(Body)
	if err := decode(body, maxBody, r.Body); err != nil {
		return Record{}, err
	}
	if err := r.checkBody(); err != nil {
		return Record{}, err
	}
	return r, nil
}

func (r Record) checkBody() error {
	b := r.Body
	inTask := b.Task != nil
	switch {
	case r.Kind == KindTask && (!inTask || !b.Task.ID.IsZero() || b.Task.Authority == nil):
		return fmt.Errorf("%w: a task without its terms", errRecord)
	case r.Kind == KindToken && inTask && b.Task.ID.IsZero():
		return fmt.Errorf("%w: a token of a task without an id", errRecord)
	case r.Kind != KindDenial && (b.Client == "" || b.Subject.ID == ""):
		return fmt.Errorf("%w: no client or subject", errRecord)
	}
	for _, s := range b.Selectors {
		if err := s.check(); err != nil {
			return fmt.Errorf("%w: %w", errRecord, err)
		}
	}
	return nil
}

// encoded is how a record travels inside other JSON: both parts as the exact bytes.
type encoded struct {
	Envelope []byte `json:"envelope"`
	Body     []byte `json:"body,omitempty"`
}

// MarshalJSON writes the record's exact bytes.
func (r Record) MarshalJSON() ([]byte, error) { return json.Marshal(encoded{r.raw, r.body}) }

// UnmarshalJSON reads what MarshalJSON wrote, with the rules of Decode.
func (r *Record) UnmarshalJSON(data []byte) error {
	var e encoded
	if err := json.Unmarshal(data, &e); err != nil {
		return fmt.Errorf("%w: syntax", errRecord)
	}
	out, err := Decode(e.Envelope, e.Body)
	if err != nil {
		return err
	}
	*r = out
	return nil
}
