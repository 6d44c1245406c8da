package tokenboundary

import (
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// Decision is what the Governor makes of a request. The zero value denies. Its JSON is plain and holds no
// credential: a host can keep it with its session.
type Decision struct {
	// ID is the address of the decision's record; a host that mints puts it into its token as a claim.
	ID     lineage.ID `json:"id,omitzero"`
	Effect Effect     `json:"effect"`
	// Code and Parameter are the OAuth error of a denial and the request parameter it concerns. With Deferral, they
	// are all of a decision that an OAuth client may see.
	Code      Code   `json:"code,omitempty"`
	Parameter string `json:"parameter,omitempty"`

	Client    string            `json:"client,omitempty"` // the authenticated client
	Subject   lineage.Party     `json:"subject,omitzero"`
	Actors    []lineage.Party   `json:"actors,omitempty"`
	Granted   lineage.Authority `json:"granted,omitzero"`
	Audience  []string          `json:"audience,omitempty"`
	ExpiresAt time.Time         `json:"expires_at,omitzero"`
	TaskID    lineage.ID        `json:"task_id,omitzero"`

	Path    string           `json:"path,omitempty"`
	Version string           `json:"version,omitempty"`
	Reasons []lineage.Reason `json:"reasons,omitempty"`
	// Obligations are those that were not met.
	Obligations []lineage.Obligation `json:"obligations,omitempty"`
	// Family is the id under which a host that keeps refresh tokens of its own asks for a refresh; zero where the policy
	// permits none.
	Family lineage.ID `json:"family,omitzero"`
	// Deferral is set where Code is CodeAuthorizationPending or CodeSlowDown: what the client polls with, and how long it
	// waits before it does. In the answer to a poll it has no code. It is for the client, and not part of the JSON.
	Deferral *Deferral `json:"-"`

	// Pending is what Governor.Record will commit. It is empty where the decision is recorded already.
	Pending *Pending `json:"pending,omitempty"`
}

// HostToken is a token that a host minted for a decision.
type HostToken struct {
	// Handle is the host's own name for the token (a token id, a request id), by which it can be presented and
	// revoked later. At most 512 bytes.
	Handle string
}
