package tokenboundary

import (
	"encoding/json"
	"errors"

	"github.com/tokenboundary/tokenboundary/store"
)

// readHead reads the JSON value of a head into v. A value that cannot be read decides nothing. The text of the error is
// not that of the value.
func readHead(h store.Head, v any) error {
	if json.Unmarshal(h.Value, v) != nil {
		return unavailable("store", errors.New("a head cannot be read"))
	}
	return nil
}

// detailsOf returns granted authorization_details as a request for exactly them; nil where there are none.
func detailsOf(granted []json.RawMessage) json.RawMessage {
	if len(granted) == 0 {
		return nil
	}
	out, err := json.Marshal(granted)
	if err != nil {
		panic(err) // canonical objects
	}
	return out
}
