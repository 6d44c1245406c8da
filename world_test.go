package tokenboundary_test

import (
	"context"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

const (
	issuer = "https://boundary.example"
	crm    = "https://crm.example.com/"
	mail   = "https://mail.example.com/"
)

// world is a Governor with everything around it, in memory, on a clock that only the test moves.
type world struct {
	*testing.T
	ctx     context.Context
	clock   *clock.Mock
	store   store.Store
	clients tb.ClientMap
	policy  func(tb.Facts) tb.Verdict
	cfg     tb.Config
	pending *tb.Decision // what the host has decided and not yet recorded
	*tb.Governor
	leakWatch // shadows verbs of the Governor, to see what they take and give
}

// newWorld returns a world in which the policy grants what is asked for at crm and mail, up to the ceiling, for five
// minutes, to a chain of at most three actors, and lets every agent derive.
func newWorld(t *testing.T, change ...func(*world)) *world {
	w := &world{T: t, ctx: t.Context(), clock: clock.NewMock(), store: memory.New(), clients: tb.ClientMap{}}
	w.clock.Set(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	w.policy = func(f tb.Facts) tb.Verdict { return grantAll(f) }
	both := []tb.Grant{tb.ClientCredentials, tb.Exchange}
	for _, id := range []string{"orchestrator", "researcher", "tool", "stranger"} {
		w.clients[id] = tb.Client{ID: id, Kind: tb.KindAgent, Grants: both, Connections: []string{"prod"},
			Actors: []string{"spiffe://acme.example/" + id}}
	}
	w.clients["crm"] = tb.Client{ID: "crm", Kind: tb.KindResource, Resource: crm}
	w.clients["ops"] = tb.Client{ID: "ops", Kind: tb.KindOperator}
	w.cfg = tb.Config{Issuer: issuer, Clients: w.clients, Clock: w.clock, Env: map[string]any{"frozen": false}}
	for _, c := range change {
		c(w)
	}
	w.restart()
	return w
}

// restart makes a new Governor over the same store, as another node or the same one after a crash.
func (w *world) restart() {
	cfg := w.cfg
	cfg.Store = w.store
	cfg.Policy = tb.PolicyFunc(func(_ context.Context, f tb.Facts) (tb.Verdict, error) { return w.policy(f), nil })
	g, err := tb.New(w.watch(cfg))
	require.NoError(w, err)
	w.Governor = g
}

func grantAll(f tb.Facts) tb.Verdict {
	v := tb.Verdict{
		Effect: tb.Allow, Path: "/agents/" + f.Client.ID, Version: "v1", Resources: f.Resources,
		Lifetime: 5 * time.Minute, Depth: 3, Derivations: 1000, Controls: []string{"nist-csf-2.0:PR.AA-05"},
	}
	if len(v.Resources) == 0 {
		v.Resources = []string{crm}
	}
	for _, r := range v.Resources {
		a := lineage.Access{Resource: r}
		for _, s := range f.Scopes {
			if f.Ceiling != nil && !contains(f.Ceiling.Scopes(r), s) {
				continue
			}
			a.Scopes = append(a.Scopes, s)
			v.Reasons = append(v.Reasons, lineage.Reason{Resource: r, Scope: s, Granted: true, Rule: v.Path + "#all",
				Delegates: []string{"orchestrator", "researcher", "tool"}})
		}
		v.Access = append(v.Access, a)
	}
	return v
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// as is a client's credential, verified by the host.
func (w *world) as(client string) tb.Credential {
	return tb.Credential{Type: "host", ID: client, Verified: &tb.Principal{
		Party: lineage.Party{ID: client, Issuer: issuer}, Identity: true,
	}}
}

// human is an ID token of a person who logged in a minute ago.
func (w *world) human(name string) tb.Credential {
	at := w.clock.Now().Add(-time.Minute)
	return tb.Credential{Type: tb.TypeIDToken, Verified: &tb.Principal{
		Party:   lineage.Party{ID: name, Issuer: "https://idp.example", Kind: "human"},
		Session: lineage.Session{Kind: "human", ID: "s-" + name, AuthTime: at, ACR: "aal2"},
		Issued:  at, Expires: w.clock.Now().Add(10 * time.Minute), Identity: true,
	}}
}

// host is a token that the host minted for a decision.
func host(d tb.Decision) tb.Credential {
	return tb.Credential{Type: tb.TypeAccessToken, Verified: &tb.Principal{
		Party: d.Subject, Lineage: d.ID,
	}}
}

const everything = tb.CapScopes | tb.CapResources | tb.CapLifetime | tb.CapRecord

// granted decides and records, and requires that both succeed.
func (w *world) granted(req tb.Request) tb.Decision {
	w.Helper()
	req.Enforce = everything
	d, err := w.Decide(w.ctx, req)
	require.NoError(w, err)
	require.Equal(w, tb.Allow, d.Effect, "%+v", d)
	require.NoError(w, w.Record(w.ctx, d, tb.HostToken{Handle: "h-" + d.ID.String()}))
	return d
}

// refused decides and requires a recorded refusal with this code and, in the record, this reason.
func (w *world) refused(req tb.Request, code tb.Code, why string) tb.Decision {
	w.Helper()
	req.Enforce = everything
	d, err := w.Decide(w.ctx, req)
	require.NoError(w, err)
	require.Equal(w, tb.Deny, d.Effect)
	require.Equal(w, code, d.Code, "%+v", d.Reasons)
	require.NotEmpty(w, d.Reasons)
	require.Contains(w, d.Reasons[len(d.Reasons)-1].Why, why)
	found, err := w.store.Get(w.ctx, issuer, []lineage.ID{d.ID})
	require.NoError(w, err)
	require.Equal(w, lineage.KindDenial, found[0].Record.Kind)
	require.Equal(w, string(code), found[0].Record.Body.Code)
	return d
}

func (w *world) exchange(client string, subject tb.Credential, resource string, scopes ...string) tb.Request {
	req := tb.Request{Grant: tb.Exchange, Client: w.as(client), Subject: subject, Scopes: scopes}
	if resource != "" {
		req.Resource = []string{resource}
	}
	return req
}
