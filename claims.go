package tokenboundary

import (
	"bytes"
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
	c.Recheck = seconds(b.Recheck)
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

// matches reports whether c are exactly the claims that r's token was minted with: those of claimsOf, compared without
// making them.
func (c Claims) matches(r lineage.Record) bool {
	b := r.Body
	if b == nil || r.Kind != lineage.KindToken || c.Key == "" || c.Key != b.Key {
		return false
	}
	var scopes []string
	if len(b.Granted.Access) > 0 {
		scopes = b.Granted.Access[0].Scopes
	}
	var auth int64
	if !b.Session.AuthTime.IsZero() {
		auth = b.Session.AuthTime.Unix()
	}
	bound := ""
	if c.Confirm != nil {
		bound = c.Confirm.Thumbprint
	}
	return c.Issuer == r.Issuer && c.Subject == b.Subject.ID && slices.Equal(c.Audience, b.Audience) &&
		c.ExpiresAt == r.ExpiresAt.Unix() && c.IssuedAt == r.IssuedAt.Unix() && r.ID().Is(c.ID) && c.ClientID == b.Client &&
		isJoined(c.Scope, scopes) && c.Act.is(b.Actors) && slices.EqualFunc(c.Details, b.Granted.Details, sameJSON) &&
		r.Root().Is(c.Grant) && slices.EqualFunc(r.Ancestors, c.Lineage, lineage.ID.Is) && c.Task.is(r) &&
		c.SessionID == b.Session.ID && c.AuthTime == auth && c.ACR == b.Session.ACR && slices.Equal(c.AMR, b.Session.AMR) &&
		bound == b.Bound && (c.Confirm == nil) == (b.Bound == "") && c.Recheck == seconds(b.Recheck)
}

// sameJSON reports whether raw says what canonical does: a Minter may spell it in its own way.
func sameJSON(raw, canonical json.RawMessage) bool {
	if bytes.Equal(raw, canonical) {
		return true
	}
	own, err := canon.JSON(raw)
	return err == nil && bytes.Equal(own, canonical)
}

// is reports whether a is the chain, the current actor first.
func (a *Act) is(chain []lineage.Party) bool {
	for _, p := range chain {
		if a == nil || a.Subject != p.ID || a.Issuer != p.Issuer {
			return false
		}
		a = a.Act
	}
	return a == nil
}

// is reports whether t is what a token of r says of its task.
func (t *TaskClaim) is(r lineage.Record) bool {
	if t == nil || r.Body.Task == nil {
		return t == nil && r.Body.Task == nil
	}
	return r.TaskID().Is(t.ID) && t.Purpose == r.Body.Task.Purpose
}

// isJoined reports whether s is the list with single spaces in between.
func isJoined(s string, list []string) bool {
	for i, part := range list {
		rest, ok := strings.CutPrefix(s, part)
		if !ok || i < len(list)-1 && !strings.HasPrefix(rest, " ") {
			return false
		}
		s = strings.TrimPrefix(rest, " ")
		if i == len(list)-1 {
			s = rest
		}
	}
	return s == ""
}

// seconds returns d in seconds, rounded up.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
