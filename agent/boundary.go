package agent

import (
	"context"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// Boundary is what a session needs of a boundary. Implementations are Local and Remote; they are called concurrently.
type Boundary interface {
	// Issue asks for what req asks for, as the agent's client: req.Client is not set. A refusal is an *exchange.Error.
	Issue(ctx context.Context, req tokenboundary.Request) (Granted, error)
	// SetTask changes the state of a task that the client has started, as Governor.SetTask does.
	SetTask(ctx context.Context, id lineage.ID, to tokenboundary.TaskState) error
	// TokenEndpoint is the URL that a proof of possession for Issue names (RFC 9449, section 4.2).
	TokenEndpoint() string
}

// Granted is what a boundary granted. It hides its tokens in logs and in fmt.
type Granted struct {
	// Access is the token. Refresh is the refresh token that came with it, if one did.
	Access, Refresh tokenboundary.Credential
	// ExpiresIn counts from when the token was asked for, at the earliest.
	ExpiresIn time.Duration
	Scopes    []string
	// TaskID is the task that the token belongs to, TaskExpiresIn how long a task that was started with it lasts at most;
	// zero where the answer does not say.
	TaskID        lineage.ID
	TaskExpiresIn time.Duration
	// Bound says that the token is bound to the key that the request proved.
	Bound bool
}

// Prover holds the key that a session's tokens are bound to (RFC 9449). It is called concurrently.
type Prover interface {
	// Prove returns a new proof for one request: a JWT of type dpop+jwt with htm, htu (a URL without query and fragment),
	// iat, a jti of its own, and ath, the hash of the access token, where that is not empty.
	Prove(ctx context.Context, method, url, ath string) (string, error)
}
