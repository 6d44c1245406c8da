package tokenboundary

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
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

// size returns how long the payload is in a token.
func (c Claims) size() (int, error) {
	buf := canon.GetBuffer()
	defer canon.PutBuffer(buf)
	payload, err := c.AppendJSON(*buf)
	*buf = payload
	return base64.RawURLEncoding.EncodedLen(len(payload)), err
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

// claimsOf returns the claims of the token that r stands behind.
func claimsOf(r lineage.Record) Claims {
	b := r.Body
	ids := lineage.Texts(append(slices.Clip(r.Ancestors), r.ID(), r.Root(), r.TaskID())...)
	n := len(r.Ancestors)
	c := Claims{
		Issuer: r.Issuer, Subject: b.Subject.ID, Audience: b.Audience,
		ExpiresAt: r.ExpiresAt.Unix(), IssuedAt: r.IssuedAt.Unix(), ID: ids[n],
		ClientID: b.Client, Details: b.Granted.Details, Grant: ids[n+1], Lineage: ids[:n:n],
		SessionID: b.Session.ID, ACR: b.Session.ACR, AMR: b.Session.AMR, Key: b.Key,
	}
	if n == 0 {
		c.Lineage = nil
	}
	if b.Bound != "" {
		c.Confirm = &Confirm{b.Bound}
	}
	c.Recheck = int64((b.Recheck + time.Second - 1) / time.Second)
	for _, a := range slices.Backward(b.Actors) {
		c.Act = &Act{a.ID, a.Issuer, c.Act}
	}
	if len(b.Granted.Access) > 0 {
		c.Scope = strings.Join(b.Granted.Access[0].Scopes, " ")
	}
	if b.Task != nil {
		c.Task = &TaskClaim{ids[n+2], b.Task.Purpose}
	}
	if !b.Session.AuthTime.IsZero() {
		c.AuthTime = b.Session.AuthTime.Unix()
	}
	return c
}

// matches reports whether c are exactly the claims that r's token was minted with.
func (c Claims) matches(r lineage.Record) bool {
	if r.Body == nil || r.Kind != lineage.KindToken || c.Key == "" || c.Key != r.Body.Key {
		return false
	}
	buf := canon.GetBuffer()
	defer canon.PutBuffer(buf)
	have, err1 := c.AppendJSON(*buf)
	both, err2 := claimsOf(r).AppendJSON(have)
	*buf = both
	return err1 == nil && err2 == nil && bytes.Equal(have, both[len(have):])
}
