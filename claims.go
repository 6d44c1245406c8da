package tokenboundary

import (
	"encoding/json"

	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// Claims is the content of a token of the boundary. Each of them follows from the token's record. AppendJSON
// writes the one spelling of them that package mint accepts.
type Claims struct {
	Issuer    string            `json:"iss"`
	Subject   string            `json:"sub"`
	Audience  Audience          `json:"aud"`
	ExpiresAt int64             `json:"exp"`
	IssuedAt  int64             `json:"iat"`
	ID        string            `json:"jti"`
	ClientID  string            `json:"client_id"`
	Scope     string            `json:"scope,omitempty"`
	Act       *Act              `json:"act,omitempty"`
	Details   []json.RawMessage `json:"authorization_details,omitempty"`
	Grant     string            `json:"txn"`           // id of the root grant
	Lineage   []string          `json:"lin,omitempty"` // ids of the ancestors, root first
	Task      *TaskClaim        `json:"task,omitempty"`
	SessionID string            `json:"sid,omitempty"`
	AuthTime  int64             `json:"auth_time,omitempty"`
	ACR       string            `json:"acr,omitempty"`
	AMR       []string          `json:"amr,omitempty"`
	Confirm   *Confirm          `json:"cnf,omitempty"`
	Recheck   int64             `json:"recheck,omitempty"` // seconds for which it may be relied on without asking again

	// Key is the kid in the token's header.
	Key string `json:"-"`
}

// Act is an act claim (RFC 8693, section 4.1): the current actor outermost, earlier ones inside.
type Act struct {
	Subject string `json:"sub"`
	Issuer  string `json:"iss,omitempty"`
	Act     *Act   `json:"act,omitempty"`
}

// Confirm is a cnf claim (RFC 9449, section 6.1): the thumbprint of the key that whoever uses the token must prove.
type Confirm struct {
	Thumbprint string `json:"jkt"`
}

// TaskClaim names the task that a token belongs to.
type TaskClaim struct {
	ID      string `json:"id"`
	Purpose string `json:"purpose"`
}

// Audience is an aud claim: one string, or an array where there are several.
type Audience []string

// MarshalJSON writes a single audience as a string.
func (a Audience) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}

// UnmarshalJSON reads a string or an array of strings.
func (a *Audience) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		*a = make(Audience, 1)
		return json.Unmarshal(data, &(*a)[0])
	}
	return json.Unmarshal(data, (*[]string)(a))
}

// AppendJSON appends c as the payload of a token: one spelling, the members in the order of the type, those that are
// empty left out where they are optional. It refuses a text that is not UTF-8. Details must be canonical JSON already, as
// they are in a record.
func (c Claims) AppendJSON(out []byte) ([]byte, error) {
	w := canon.NewWriter(out)
	w.Open("")
	w.Text("iss", c.Issuer)
	w.Text("sub", c.Subject)
	if len(c.Audience) == 1 {
		w.Text("aud", c.Audience[0])
	} else {
		w.Texts("aud", c.Audience)
	}
	w.Int("exp", c.ExpiresAt)
	w.Int("iat", c.IssuedAt)
	w.Text("jti", c.ID)
	w.Text("client_id", c.ClientID)
	w.OptionalText("scope", c.Scope)
	c.Act.write(&w)
	w.OptionalRaws("authorization_details", c.Details)
	w.Text("txn", c.Grant)
	w.OptionalTexts("lin", c.Lineage)
	if c.Task != nil {
		w.Open("task")
		w.Text("id", c.Task.ID)
		w.Text("purpose", c.Task.Purpose)
		w.Close()
	}
	w.OptionalText("sid", c.SessionID)
	w.OptionalInt("auth_time", c.AuthTime)
	w.OptionalText("acr", c.ACR)
	w.OptionalTexts("amr", c.AMR)
	if c.Confirm != nil {
		w.Open("cnf")
		w.Text("jkt", c.Confirm.Thumbprint)
		w.Close()
	}
	w.OptionalInt("recheck", c.Recheck)
	w.Close()
	return w.Bytes()
}

// write writes the chain, the current actor outermost; nothing where nobody acts.
func (a *Act) write(w *canon.Writer) {
	if a == nil {
		return
	}
	w.Open("act")
	w.Text("sub", a.Subject)
	w.OptionalText("iss", a.Issuer)
	a.Act.write(w)
	w.Close()
}
