package tokenboundary

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// ClientKind says what a registered client is, and so which verbs it may use.
type ClientKind string

// The kinds of client. The zero value may do nothing.
const (
	KindAgent    ClientKind = "agent"     // acts with delegated authority
	KindWorkload ClientKind = "workload"  // a service
	KindHumanApp ClientKind = "human-app" // an application that a person uses
	KindResource ClientKind = "resource"  // a protected resource: introspects tokens for it, reads the feed
	KindOperator ClientKind = "operator"  // reads lineage, revokes, signals, approves
)

// Client is a registered OAuth client. A value returned by Governor.Authenticate also carries the proof it was
// authenticated with, which the verb it is passed to spends.
type Client struct {
	ID   string
	Kind ClientKind
	// Grants are the grants it may use; none by default.
	Grants []Grant
	// Connections are the connections it may use; of a resource, those that it may lease credentials of.
	Connections []string
	// Actors are the actor identities it may present besides itself. An entry that ends in "/*" stands for every
	// identity below it, by whole path segments.
	Actors []string
	// Resource is the resource that a client of kind resource is.
	Resource string
	// Groups are the groups it belongs to; policies see them, and an approver must be in all that are asked.
	Groups []string
	// Person is the subject that an operator's approvals stand for. Without one it can approve nothing.
	Person string
	// Binding says whether its tokens are bound to a key that it proves.
	Binding Binding

	proof *proof
}

// Binding says whether a client's tokens are bound to a key that it proves (RFC 9449). A token made from a bound token
// is bound whatever the registration says.
type Binding string

// The bindings.
const (
	BindingOff      Binding = ""         // a proof is ignored
	BindingOptional Binding = "optional" // tokens are bound where a proof comes with the request
	BindingRequired Binding = "required" // a request without a proof is refused
)

// Clients says what a client is and may do.
//
// Client returns an error wrapping ErrNotFound for an id that is not registered. It is called concurrently and on
// every request.
type Clients interface {
	Client(ctx context.Context, id string) (Client, error)
}

// ClientMap is a fixed set of clients by id.
type ClientMap map[string]Client

// Client implements Clients.
func (m ClientMap) Client(_ context.Context, id string) (Client, error) {
	c, found := m[id]
	if !found || c.ID != id {
		return Client{}, fmt.Errorf("%w: client", ErrNotFound)
	}
	return c, nil
}

// mayGet reports whether clients of this kind can be granted tokens at all.
func (k ClientKind) mayGet() bool { return k == KindAgent || k == KindWorkload || k == KindHumanApp }

// mayUse reports whether c may ask in this way. A poll is for whoever may use the grant that was deferred.
func (c Client) mayUse(grant Grant) bool {
	switch {
	case !c.Kind.mayGet():
		return false
	case grant == Deferred, grant == Leased: // whoever may have a token may use it
		return true
	}
	return slices.Contains([]Grant{ClientCredentials, Exchange, Refresh}, grant) && slices.Contains(c.Grants, grant)
}

// party returns the kind of party that a client of this kind is when it acts.
func (k ClientKind) party() string {
	if k == KindAgent {
		return "agent"
	}
	return "workload"
}

// is reports whether c has one of the kinds.
func (c Client) is(kinds ...ClientKind) bool { return c.ID != "" && slices.Contains(kinds, c.Kind) }

// presents reports whether the identity is one that c may present as an actor.
func (c Client) presents(identity string) bool {
	return slices.ContainsFunc(c.Actors, func(pattern string) bool {
		if prefix, wild := strings.CutSuffix(pattern, "/*"); wild {
			return prefix != "" && strings.HasPrefix(identity, prefix+"/") && len(identity) > len(prefix)+1
		}
		return pattern != "" && pattern == identity
	})
}

// party returns c as an actor or a subject in its own right.
func (g *Governor) party(c Client) lineage.Party {
	return lineage.Party{ID: c.ID, Issuer: g.cfg.Issuer, Kind: c.Kind.party()}
}

// proof is single-use evidence: of who a client, a subject or an actor is, or of the possession of a key.
type proof struct {
	key             string
	issued, expires time.Time
	possession      bool // of a key, not of the client's identity
}

// readWindow is how long a single-use assertion is good for on verbs that only read, where it is not spent.
const readWindow = 60 * time.Second

// reads checks that c may use a verb that changes nothing.
func (g *Governor) reads(ctx context.Context, c Client, kinds ...ClientKind) error {
	if err := g.mayRead(c, kinds...); err != nil {
		return err
	}
	return g.stands(ctx, c)
}

// mayRead is what of reads needs nothing that is written.
func (g *Governor) mayRead(c Client, kinds ...ClientKind) error {
	if !c.is(kinds...) {
		return ErrForbidden
	}
	if p := c.proof; p != nil {
		now, start := g.now(), p.issued
		if start.IsZero() {
			start = p.expires.Add(-readWindow)
		}
		if start.After(now.Add(g.cfg.Lifetimes.ClockLeeway)) || now.After(start.Add(readWindow)) {
			return ErrUnauthenticated
		}
	}
	return nil
}

// spend returns the write that spends single-use evidence.
func (g *Governor) spend(p *proof) store.Swap {
	// Kept until no node would accept the evidence any more: its expiry, the leeway granted on it, and the leeway by
	// which a node's clock may be behind the store's.
	return store.Swap{Key: p.key, State: "spent", Expires: p.expires.Add(2*g.cfg.Lifetimes.ClockLeeway + time.Second)}
}
