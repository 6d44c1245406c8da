package tokenboundary

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// Grant is how a token is asked for. Its text is what policies see as grant.
type Grant string

// The grants. The zero value is refused.
const (
	ClientCredentials Grant = "client_credentials" // RFC 6749, section 4.4
	Exchange          Grant = "token_exchange"     // RFC 8693
	Refresh           Grant = "refresh_token"      // RFC 6749, section 6
	// Deferred polls for the answer to a request that was deferred. It is registered for no client: whoever may use the
	// grant that was deferred may poll.
	Deferred Grant = "deferred"
	// Leased is what policies see where a credential of another system is asked for with a token: see Governor.Attach. No
	// token is asked for in this way, and it is registered for no client.
	Leased Grant = "lease"
)

// Request asks for one token, or for a task and the token that stands for it.
type Request struct {
	Grant Grant
	// Client authenticates the caller. Subject and Actor are for an exchange: whose authority, and who acts; without
	// Actor, the client is the actor. In a Refresh, Subject is the refresh token, in a Deferred the deferral code.
	Client, Subject, Actor Credential
	// Proof proves the key that the token is to be bound to (TypeDPoP); the zero value proves none.
	Proof Credential
	// Deferrable says that the client accepts to be told to wait and poll. Without it, what needs an approval or a step-up
	// is held back. A refresh never waits.
	Deferrable bool
	// Connection may be empty where the client has exactly one, Resource where the policy binds exactly one, Scopes
	// where the policy declares a default.
	Connection string
	Resource   []string
	Scopes     []string
	// Details is a JSON array of authorization_details entries (RFC 9396), without those that ask for a task.
	Details json.RawMessage
	// Task asks for a new task.
	Task *TaskSpec
	// Lifetime, where positive, asks for less than the policy would give.
	Lifetime time.Duration
	// Malformed is set by a caller that received what is no request: the code it will answer with. The Governor then
	// refuses with it as soon as the client is authenticated, so that this refusal is recorded like any other.
	Malformed Code
	// Enforce is what the host can enforce when it mints the token itself. Only Decide looks at it.
	Enforce Caps

	attach *attachment // of a lease
}

// TaskSpec asks for a task.
type TaskSpec struct {
	Purpose   string
	ExpiresIn time.Duration // zero: the configured task lifetime
	// MaxDerivations bounds how many tokens are made under the task; nil: only the policy bounds it.
	MaxDerivations *uint64
	// Context is a JSON object that policies see as task.context.
	Context json.RawMessage
	// Authority is what the task may do where it spans several resources. Empty: what the request asks for by
	// Resource and Scopes.
	Authority []lineage.Access
}

// Caps is what a host can enforce of a decision. What it cannot turns an allow that would need it into a denial.
type Caps uint8

// The capabilities of a host.
const (
	CapScopes    Caps = 1 << iota // can issue fewer scopes than were asked for
	CapResources                  // can set the audience
	CapLifetime                   // can set the token's lifetime
	CapRecord                     // calls Governor.Record when it has minted the token
)

// canonical returns r with resources, scopes and details in the form in which they are compared, or a refusal.
func (r Request) canonical() (Request, error) {
	var err error
	if r.Connection != "" && canon.Name(r.Connection) != nil {
		return r, refuse(CodeInvalidTarget, "connection", "malformed connection")
	}
	if r.Resource, err = canon.Resources(r.Resource); err != nil {
		return r, refuse(CodeInvalidTarget, "resource", err.Error())
	}
	if r.Scopes, err = canon.Scopes(r.Scopes); err != nil {
		return r, refuse(CodeInvalidScope, "scope", err.Error())
	}
	if r.Lifetime < 0 {
		return r, refuse(CodeInvalidRequest, "", "negative lifetime")
	}
	if len(r.Details) > 0 {
		if len(r.Details) > canon.MaxDetails {
			return r, refuse(CodeInvalidDetails, "authorization_details", "too long")
		}
		if r.Details, err = canon.JSON(r.Details); err != nil {
			return r, refuse(CodeInvalidDetails, "authorization_details", err.Error())
		}
		if r.Details[0] != '[' {
			return r, refuse(CodeInvalidDetails, "authorization_details", "not an array")
		}
	}
	if r.Task != nil {
		r.Task, err = r.Task.canonical()
	}
	return r, err
}

func (t TaskSpec) canonical() (*TaskSpec, error) {
	bad := func(why string) (*TaskSpec, error) {
		return nil, refuse(CodeInvalidDetails, "authorization_details", why)
	}
	if canon.Name(t.Purpose) != nil {
		return bad("a task needs a purpose")
	}
	if t.ExpiresIn < 0 || len(t.Authority) > canon.MaxResources || len(t.Context) > canon.MaxDetails {
		return bad("task out of bounds")
	}
	if len(t.Context) > 0 {
		context, err := canon.JSON(t.Context)
		if err != nil || context[0] != '{' {
			return bad("task context is not an object")
		}
		t.Context = context
	}
	t.Authority = slices.Clone(t.Authority)
	for i, a := range t.Authority {
		resource, err := canon.Resource(a.Resource)
		if err != nil {
			return nil, refuse(CodeInvalidTarget, "authorization_details", err.Error())
		}
		scopes, err := canon.Scopes(a.Scopes)
		if err != nil || len(scopes) == 0 {
			return bad("task authority without scopes")
		}
		if slices.ContainsFunc(t.Authority[:i], func(b lineage.Access) bool { return b.Resource == resource }) {
			return bad("task authority names a resource twice")
		}
		t.Authority[i] = lineage.Access{Resource: resource, Scopes: scopes}
	}
	slices.SortFunc(t.Authority, func(a, b lineage.Access) int { return strings.Compare(a.Resource, b.Resource) })
	return &t, nil
}
