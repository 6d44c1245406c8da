package tokenboundary

import (
	"log/slog"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/state"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// LeaseState is what the book of leases says of one. Only exactly LeaseHeld, of a lease that is alive, permits anything.
type LeaseState string

// The states of a lease.
const (
	LeaseIntent LeaseState = state.Intent // a secret may have been fetched for it
	LeaseHeld   LeaseState = state.Held   // the secret is there, and how to take it back is in the book
	LeaseEnding LeaseState = state.Ending // it is used no more, and has to be taken back
	LeaseEnded  LeaseState = state.Ended  // it was taken back
)

// Lease is a credential of a system outside the boundary, which a broker holds for a token, and for no longer than the
// token lives. It is a node of the lineage below the token.
//
// It hides its handle in logs, in JSON and in fmt.
type Lease struct {
	ID    lineage.ID `json:"id"`
	State LeaseState `json:"state"`
	// Alive is what the lineage says of it: only exactly lineage.Active permits its use. What is not active has to be taken
	// back; so has an intent whose time is over.
	Alive lineage.State `json:"alive"`
	// Token is the id of the token that it was made for, Task of the task that it belongs to; zero where there is none.
	Token lineage.ID `json:"token"`
	Task  lineage.ID `json:"task,omitzero"`
	// Client is the client that the token was issued to, Subject whose authority it is, and Actors the actor chain.
	Client  string          `json:"client"`
	Subject lineage.Party   `json:"subject"`
	Actors  []lineage.Party `json:"actors,omitempty"`

	Connection string   `json:"connection"`
	Resource   string   `json:"resource"`
	Scopes     []string `json:"scopes"`
	// Deliver says that the policy lets the credential leave the broker.
	Deliver   bool      `json:"deliver,omitempty"`
	IssuedAt  time.Time `json:"issued_at"`
	ExpiresAt time.Time `json:"expires_at"`
	// Until is when an intent is over: nothing can be held for it any more, and whoever finds it takes it back.
	Until time.Time `json:"until"`
	// Handle is what the broker has put down to take the credential back. It means nothing to the boundary.
	Handle []byte `json:"-"`
}

// Usable reports whether the credential may be used or shown now.
func (l Lease) Usable() bool { return l.State == LeaseHeld && l.Alive == lineage.Active }

// Over reports whether the credential has to be taken back, at a time: the lease is being ended, what it came from is not
// active, or its intent was not held in time.
func (l Lease) Over(now time.Time) bool {
	switch l.State {
	case LeaseEnded:
		return false
	case LeaseIntent:
		return l.Alive != lineage.Active || !now.Before(l.Until)
	case LeaseHeld:
		return l.Alive != lineage.Active
	}
	return true
}

// String names the lease by its id and its state.
func (l Lease) String() string { return "lease(" + l.ID.String() + " " + string(l.State) + ")" }

// GoString hides the handle.
func (l Lease) GoString() string { return l.String() }

// LogValue hides the handle.
func (l Lease) LogValue() slog.Value { return slog.StringValue(l.String()) }

// LeaseRequest asks for a lease for a token that was presented to a broker.
type LeaseRequest struct {
	// Token is the token, as it was presented. It must be for the broker's resource. Proof is the proof of possession that
	// came with it (TypeDPoP), where it is bound to a key.
	Token, Proof Credential
	// Scopes are what the credential is to be good for: some of those that the token has at the broker's resource. Empty:
	// the default that the policy declares, where it declares one.
	Scopes []string
	// Lifetime, where positive, asks for less than the policy would give.
	Lifetime time.Duration
	// Deliver asks for a credential that leaves the broker. Only scopes whose rules say deliver are then granted.
	Deliver bool
	// Intent is how long fetching the credential may take: after that the lease can only be taken back. Zero: 1 min; at
	// most 10 min.
	Intent time.Duration
}
