package tokenboundary

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
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
