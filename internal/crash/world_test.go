package crash

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"time"

	"github.com/benbjohnson/clock"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/store"
)

const (
	crm    = "https://crm.example.com/"
	issuer = "https://boundary.example"
	idp    = "https://idp.example"

	life  = 4 * time.Hour    // of everything
	grace = 30 * time.Second // in which a refresh token may be repeated
	step  = 10 * time.Second // between two operations: longer than the leeway
)

// start is when everything begins.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var (
	agents = []string{"orchestrator", "researcher", "tool"}
	ops    = tb.Client{ID: "ops", Kind: tb.KindOperator}
	lead   = tb.Client{ID: "console", Kind: tb.KindOperator, Groups: []string{"leads"}, Person: "lena"}
	api    = tb.Client{ID: "crm", Kind: tb.KindResource, Resource: crm}
)

// clients may do everything; only the orchestrator gets refresh tokens.
func clients() tb.ClientMap {
	out := tb.ClientMap{ops.ID: ops, lead.ID: lead, api.ID: api}
	for _, id := range agents {
		c := tb.Client{ID: id, Kind: tb.KindAgent, Connections: []string{"prod"}, Grants: []tb.Grant{tb.ClientCredentials, tb.Exchange}}
		if id == "orchestrator" {
			c.Grants = append(c.Grants, tb.Refresh)
		}
		out[id] = c
	}
	return out
}

// policy grants what is asked for within what is above. "write" needs the leads, and "pay" a subject without risk.
func policy(_ context.Context, f tb.Facts) (tb.Verdict, error) {
	v := tb.Verdict{
		Effect: tb.Allow, Path: "/agents/" + f.Client.ID, Version: "v1", Resources: []string{crm}, Lifetime: life, Depth: 3, Derivations: 1000,
		Obligations: []lineage.Obligation{{Kind: "approval", Scopes: []string{"write"}, Args: map[string]string{"by": "leads"}}},
	}
	a := lineage.Access{Resource: crm}
	for _, s := range f.Scopes {
		switch {
		case f.Ceiling != nil && !contains(f.Ceiling.Scopes(crm), s):
			continue
		case s == "pay" && f.Risk == "high", s == "never":
			return tb.Verdict{Path: v.Path, Version: v.Version, Code: tb.CodeInvalidScope}, nil
		}
		a.Scopes = append(a.Scopes, s)
		v.Reasons = append(v.Reasons, lineage.Reason{Resource: crm, Scope: s, Granted: true, Rule: v.Path + "#all", Refresh: true, Delegates: agents})
	}
	v.Access = []lineage.Access{a}
	return v, nil
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// node is a boundary over a store, on a clock that only the test moves.
type node struct {
	*tb.Governor
	store  store.Store
	clock  *clock.Mock
	issuer string
}

// boot makes a node of a store, as a process does when it starts.
func boot(ctx context.Context, s store.Store, issuer string, now time.Time, key crypto.Signer) (*node, error) {
	n := &node{store: s, clock: clock.NewMock(), issuer: issuer}
	n.clock.Set(now)
	m, err := mint.Open(ctx, mint.Config{Issuer: issuer, Store: s, Signer: key, Clock: n.clock, Overlap: life + time.Hour})
	if err != nil {
		return nil, err
	}
	n.Governor, err = tb.New(tb.Config{
		Issuer: issuer, Store: s, Minter: m, Policy: tb.PolicyFunc(policy), Clients: clients(), Clock: n.clock,
		Lifetimes: tb.Lifetimes{AccessToken: life, Task: life, RefreshToken: life, RefreshGrace: grace, Approval: life},
	})
	return n, err
}

func parseKey(text string) (crypto.Signer, error) {
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	if signer, ok := key.(*ecdsa.PrivateKey); ok {
		return signer, nil
	}
	return nil, errors.New("not a key of these tests")
}

// client is an agent's credential, verified by the host; with a single-use id where there is one.
func (n *node) client(id, once string) tb.Credential {
	p := &tb.Principal{Party: lineage.Party{ID: id, Issuer: n.issuer}, Identity: true}
	if once != "" {
		p.Once, p.Issued, p.Expires = once, n.clock.Now(), n.clock.Now().Add(life)
	}
	return tb.Credential{Type: "host", ID: id, Verified: p}
}

// human is an ID token of a person who has just logged in.
func (n *node) human(name string) tb.Credential {
	at := n.clock.Now()
	return tb.Credential{Type: tb.TypeIDToken, Verified: &tb.Principal{
		Party:   person(name),
		Session: lineage.Session{Kind: "human", ID: "s-" + name, AuthTime: at, ACR: "aal2"},
		Issued:  at, Expires: at.Add(life), Identity: true,
	}}
}

// operator is an operator whose call spends a single-use id.
func (n *node) operator(ctx context.Context, c tb.Client, once string) (tb.Client, error) {
	if once == "" {
		return c, nil
	}
	return n.Authenticate(ctx, n.client(c.ID, once))
}

// person is who a human is to the identity provider.
func person(name string) lineage.Party { return lineage.Party{ID: name, Issuer: idp, Kind: "human"} }
