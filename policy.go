package tokenboundary

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// Policy decides. Evaluate must be a pure function of the facts: the Governor may call it again for the same request.
//
// Its first step is to resolve (client, connection, resource) to a policy path; where there is none, the verdict
// denies. An error means that it could not decide; no token is then issued, and the caller is told to come back.
// It is called concurrently and must end by the context's deadline.
//
// A policy that changes while it is in use also has a method Version() string: the version in force, as its verdicts name
// it. Governor.Signal then knows what another version decided, and Governor.Record refuses that.
type Policy interface {
	Evaluate(ctx context.Context, facts Facts) (Verdict, error)
}

// PolicyFunc makes a function a Policy.
type PolicyFunc func(context.Context, Facts) (Verdict, error)

// Evaluate implements Policy.
func (f PolicyFunc) Evaluate(ctx context.Context, facts Facts) (Verdict, error) { return f(ctx, facts) }

// Facts is the full context of one decision. It holds only verified values, is plain data, and reaches no credential.
// A policy must not change it.
type Facts struct {
	Grant  Grant       `json:"grant"`
	Client ClientFacts `json:"client"`
	// Subject is whose authority is used, Actor who acts now (the subject itself where nobody else does), and Chain
	// the actor chain that the token would carry, the current actor first.
	Subject lineage.Party   `json:"subject"`
	Actor   lineage.Party   `json:"actor"`
	Chain   []lineage.Party `json:"chain,omitempty"`

	Connection string `json:"connection"`
	// Resources are the requested targets; empty: the one resource bound for this client and connection.
	Resources []string `json:"resources,omitempty"`
	// Scopes are the requested scopes; empty: the default that the policy declares, if it declares one.
	Scopes   []string        `json:"scopes,omitempty"`
	Lifetime time.Duration   `json:"lifetime,omitempty"` // requested; zero: none in particular
	Details  json.RawMessage `json:"details,omitempty"`  // requested authorization_details, canonical

	// Ceiling is what the token may carry at most because of what it is made from. Nil where nothing is above it and
	// the policy alone bounds it. A verdict beyond the ceiling is an error.
	Ceiling *lineage.Authority `json:"ceiling,omitempty"`

	Task    *TaskFacts      `json:"task,omitempty"`
	Parent  *ParentFacts    `json:"parent,omitempty"`
	Session lineage.Session `json:"session"`

	Risk string `json:"risk"` // "low", "medium", "high", or "unknown"
	// Attributes are what signals have said of the parties and the session.
	Attributes Attributes     `json:"attributes,omitzero"`
	Env        map[string]any `json:"env,omitempty"`
	Now        time.Time      `json:"now"`
}

// ClientFacts is the client as a policy sees it.
type ClientFacts struct {
	ID     string   `json:"id"`
	Kind   string   `json:"kind"`
	Groups []string `json:"groups,omitempty"`
}

// TaskFacts is the task that the token would belong to; while a task is being started, the one asked for.
type TaskFacts struct {
	ID       string          `json:"id,omitempty"` // empty while it is being started
	Purpose  string          `json:"purpose"`
	Context  json.RawMessage `json:"context,omitempty"`
	Deadline time.Time       `json:"deadline"`
}

// Attributes are facts that signals have set, by whom they are about. A map is nil where nothing was said.
type Attributes struct {
	Subject map[string]any `json:"subject,omitempty"`
	Actor   map[string]any `json:"actor,omitempty"` // of who acts now
	Client  map[string]any `json:"client,omitempty"`
	Session map[string]any `json:"session,omitempty"`
}

// ParentFacts is the token of ours that this one would be made from.
type ParentFacts struct {
	ID      string    `json:"id"`
	Client  string    `json:"client"`
	Paths   []string  `json:"paths,omitempty"`
	Scopes  []string  `json:"scopes,omitempty"`
	Purpose string    `json:"purpose,omitempty"` // of the task it belongs to; empty where it belongs to none
	Expires time.Time `json:"expires"`
	Depth   int       `json:"depth"` // how many further actors it lets join
}

// Effect is the outcome of a decision. The zero value denies.
type Effect uint8

// The effects.
const (
	Deny Effect = iota
	Allow
)

// String returns "deny" or "allow".
func (e Effect) String() string {
	if e == Allow {
		return "allow"
	}
	return "deny"
}

// MarshalText implements encoding.TextMarshaler.
func (e Effect) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. Everything but "allow" denies.
func (e *Effect) UnmarshalText(text []byte) error {
	*e = Deny
	if string(text) == "allow" {
		*e = Allow
	}
	return nil
}

// Verdict is a policy's answer. Its zero value denies, and each of its limits denies where it is zero: a policy that
// wants none must say how much.
type Verdict struct {
	Effect Effect `json:"effect"`
	// Code is the refusal of a verdict that denies: CodeInvalidTarget (also where it is empty) for a target that is
	// denied or not bound, CodeInvalidScope where no rule allows a requested scope.
	Code Code `json:"code,omitempty"`
	// Path is the policy path that decided and Version the policy set's version.
	Path    string `json:"path,omitempty"`
	Version string `json:"version,omitempty"`
	// Resources are the targets that were decided: those of the facts or, where these name none, the one bound.
	Resources []string `json:"resources,omitempty"`
	// Access is what is granted: within the ceiling and Resources, and within the requested scopes and Implied.
	Access []lineage.Access `json:"access,omitempty"`
	// Implied is the part of Access that was not requested and is granted because a granted scope implies it.
	Implied []lineage.Access  `json:"implied,omitempty"`
	Details []json.RawMessage `json:"details,omitempty"` // granted entries, canonical

	Lifetime    time.Duration `json:"lifetime,omitempty"`    // of the token, at most
	Depth       int           `json:"depth,omitempty"`       // act entries in the chain, at most
	Derivations uint64        `json:"derivations,omitempty"` // tokens under a task started by this decision, at most
	// Recheck, where positive, is for how long what was granted may be relied on without asking again.
	Recheck time.Duration `json:"recheck,omitempty"`

	Reasons []lineage.Reason `json:"reasons,omitempty"`
	// Obligations hold back the scopes they name, at every resource, until they are met.
	Obligations []lineage.Obligation `json:"obligations,omitempty"`
	Controls    []string             `json:"controls,omitempty"`
	// Shadow is what a policy on trial would have decided otherwise. It has no effect, and comes into the record.
	Shadow *lineage.Shadow `json:"shadow,omitempty"`
}
