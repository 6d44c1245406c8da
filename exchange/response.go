package exchange

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// Response returns the JSON of a successful answer to req (RFC 6749, section 5.1; RFC 8693, section 2.2.1), with
// task_id where the token belongs to a task. The answer to a poll has the members of an exchange, whatever was deferred.
// It holds the token itself. A tok that is not a released token is an error.
func Response(req tokenboundary.Request, tok tokenboundary.Token) ([]byte, error) {
	seconds := int64(tok.ExpiresIn / time.Second)
	if tok.Value() == "" || tok.ID.IsZero() || seconds <= 0 {
		return nil, errors.New("exchange: not a released token")
	}
	details := tok.Details
	if tok.Task != nil {
		entry, err := taskEntry(tok)
		if err != nil {
			return nil, err
		}
		details = append([]json.RawMessage{entry}, details...)
	}
	issued := ""
	if req.Grant == tokenboundary.Exchange || req.Grant == tokenboundary.Deferred {
		issued = tokenboundary.TypeAccessToken
	}
	w := canon.NewWriter(make([]byte, 0, len(tok.Value())+512))
	w.Open("")
	w.Text("access_token", tok.Value())
	w.OptionalText("issued_token_type", issued)
	w.Text("token_type", TokenType(tok.Bound))
	w.Int("expires_in", seconds)
	w.OptionalText("refresh_token", tok.RefreshValue())
	w.OptionalText("scope", strings.Join(tok.Scopes, " "))
	w.OptionalRaws("authorization_details", details)
	w.OptionalText("task_id", tok.TaskID.String())
	w.Close()
	return forHTML(w.Bytes())
}

// forHTML escapes what a page that JSON is put into could take for its own, as json.Marshal does.
func forHTML(out []byte, err error) ([]byte, error) {
	const first = 0xe2 // of U+2028 and U+2029
	for _, c := range []byte{'<', '>', '&', first} {
		if bytes.IndexByte(out, c) >= 0 {
			var escaped bytes.Buffer
			json.HTMLEscape(&escaped, out)
			return escaped.Bytes(), err
		}
	}
	return out, err
}

// TokenType returns the token_type of a token: DPoP where it is bound to the key of a thumbprint (RFC 9449, section 5),
// Bearer where that is empty.
func TokenType(bound string) string {
	if bound != "" {
		return "DPoP"
	}
	return "Bearer"
}

// taskEntry returns the authorization_details entry of a task that was started, as it was granted (RFC 9396, section 7).
func taskEntry(tok tokenboundary.Token) (json.RawMessage, error) {
	t := tok.Task
	entry := struct {
		Type           string           `json:"type"`
		TaskID         string           `json:"task_id"`
		Purpose        string           `json:"purpose"`
		ExpiresIn      int64            `json:"expires_in,omitempty"`
		MaxDerivations uint64           `json:"max_derivations"`
		Context        json.RawMessage  `json:"context,omitempty"`
		Authority      []lineage.Access `json:"authority,omitempty"`
	}{
		Type: typeTask, TaskID: tok.TaskID.String(), Purpose: t.Purpose, MaxDerivations: t.Budget, Context: t.Context,
		ExpiresIn: int64(t.Deadline.Sub(tok.IssuedAt) / time.Second),
	}
	if t.Authority != nil {
		entry.Authority = t.Authority.Access
	}
	return json.Marshal(entry)
}
