package exchange

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary"
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
	out := struct {
		Token   string            `json:"access_token"`
		Issued  string            `json:"issued_token_type,omitempty"`
		Type    string            `json:"token_type"`
		Expires int64             `json:"expires_in"`
		Refresh string            `json:"refresh_token,omitempty"`
		Scope   string            `json:"scope,omitempty"`
		Details []json.RawMessage `json:"authorization_details,omitempty"`
		TaskID  string            `json:"task_id,omitempty"`
	}{
		Token: tok.Value(), Type: TokenType(tok.Bound), Expires: seconds, Refresh: tok.RefreshValue(),
		Scope: strings.Join(tok.Scopes, " "), Details: details, TaskID: tok.TaskID.String(),
	}
	if req.Grant == tokenboundary.Exchange || req.Grant == tokenboundary.Deferred {
		out.Issued = tokenboundary.TypeAccessToken
	}
	return json.Marshal(out)
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
