package exchange

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary"
)

// Response returns the JSON of a successful answer to req (RFC 6749, section 5.1; RFC 8693, section 2.2.1), with
// task_id where the token belongs to a task. It holds the token itself. A tok that is not a released token is an error.
func Response(req tokenboundary.Request, tok tokenboundary.Token) ([]byte, error) {
	seconds := int64(tok.ExpiresIn / time.Second)
	if tok.Value() == "" || tok.ID.IsZero() || seconds <= 0 {
		return nil, errors.New("exchange: not a released token")
	}
	details := tok.Details
	if req.Task != nil {
		entry, err := json.Marshal(map[string]string{
			"type": typeTask, "purpose": req.Task.Purpose, "task_id": tok.TaskID.String(),
		})
		if err != nil {
			return nil, err
		}
		details = append([]json.RawMessage{entry}, details...)
	}
	out := struct {
		Token   string            `json:"access_token"`
		Issued  string            `json:"issued_token_type,omitempty"`
		Type    string            `json:"token_type"`
		Expires int64             `json:"expires_in"`
		Scope   string            `json:"scope,omitempty"`
		Details []json.RawMessage `json:"authorization_details,omitempty"`
		TaskID  string            `json:"task_id,omitempty"`
	}{
		Token: tok.Value(), Type: "Bearer", Expires: seconds, Scope: strings.Join(tok.Scopes, " "),
		Details: details, TaskID: tok.TaskID.String(),
	}
	if req.Grant == tokenboundary.Exchange {
		out.Issued = tokenboundary.TypeAccessToken
	}
	return json.Marshal(out)
}
