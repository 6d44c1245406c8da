package tokenboundary

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// Minter signs and verifies the boundary's own tokens. It is called concurrently.
type Minter interface {
	// Key returns the id (kid) of the key that tokens are to be signed with now.
	Key(ctx context.Context) (kid string, err error)
	// Mint returns claims as a compact JWS (typ at+jwt, RFC 9068), signed with the key that claims.Key names.
	Mint(ctx context.Context, claims Claims) (string, error)
	// Verify checks form, signature and type of a token and returns its claims, Key included. It returns an error
	// wrapping ErrNotMine for what is not a token of this issuer, and looks neither at time nor at revocation: that
	// is the Governor's part.
	Verify(ctx context.Context, raw string) (Claims, error)
}

// Claims is the content of a token of the boundary. Each of them follows from the token's record. The order of the
// members is part of the wire form: package mint accepts only this spelling.
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

// claimsOf returns the claims of the token that r stands behind.
func claimsOf(r lineage.Record) Claims {
	b := r.Body
	c := Claims{
		Issuer: r.Issuer, Subject: b.Subject.ID, Audience: b.Audience,
		ExpiresAt: r.ExpiresAt.Unix(), IssuedAt: r.IssuedAt.Unix(), ID: r.ID().String(),
		ClientID: b.Client, Details: b.Granted.Details, Grant: r.Root().String(),
		SessionID: b.Session.ID, ACR: b.Session.ACR, AMR: b.Session.AMR, Key: b.Key,
	}
	if b.Bound != "" {
		c.Confirm = &Confirm{b.Bound}
	}
	c.Recheck = int64((b.Recheck + time.Second - 1) / time.Second)
	for i := len(b.Actors) - 1; i >= 0; i-- {
		c.Act = &Act{b.Actors[i].ID, b.Actors[i].Issuer, c.Act}
	}
	if len(b.Granted.Access) > 0 {
		c.Scope = strings.Join(b.Granted.Access[0].Scopes, " ")
	}
	for _, a := range r.Ancestors {
		c.Lineage = append(c.Lineage, a.String())
	}
	if b.Task != nil {
		c.Task = &TaskClaim{b.Task.ID.String(), b.Task.Purpose}
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
	have, err := json.Marshal(c)
	if err != nil {
		return false
	}
	want, err := json.Marshal(claimsOf(r))
	return err == nil && bytes.Equal(have, want)
}

// Token is an access token that was allowed, recorded and signed. It hides its value in logs and in fmt; see Value.
type Token struct {
	value   string
	refresh string

	ID        lineage.ID
	Client    string // the client it was issued to
	IssuedAt  time.Time
	ExpiresIn time.Duration
	Scopes    []string
	Audience  []string
	Details   []json.RawMessage
	TaskID    lineage.ID // zero where the token belongs to no task
	Bound     string     // thumbprint of the key that the token is bound to; empty for a bearer token
	// Task is the terms of a task that was started with the token, as they were granted; nil otherwise.
	Task *lineage.Task
}

// Value returns the token itself.
func (t Token) Value() string { return t.value }

// RefreshValue returns the refresh token that came with it; empty where there is none.
func (t Token) RefreshValue() string { return t.refresh }

// String hides the token.
func (t Token) String() string { return fmt.Sprintf("token(%s)", t.ID) }

// GoString hides the token.
func (t Token) GoString() string { return t.String() }

// LogValue hides the token.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalJSON hides the token.
func (t Token) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }
