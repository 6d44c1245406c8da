package tokenboundary_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/bolt"
)

func onBolt(w *world) {
	s, err := bolt.Open(filepath.Join(w.TempDir(), "x.db"))
	require.NoError(w, err)
	w.Cleanup(func() { _ = s.Close() })
	w.store = store.Coalesce(s)
}

// What a host does with the decision or the token it was given changes nothing that is recorded.
func TestADecisionThatTheHostChangesLeavesTheRecordAsItIs(t *testing.T) {
	for name, change := range map[string]func(*world){"memory": func(*world) {}, "bolt": onBolt} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, change)
			root := w.granted(tb.Request{Grant: tb.Exchange, Client: w.as("orchestrator"), Subject: w.human("ann"),
				Resource: []string{crm}, Scopes: []string{"read"}})
			root.Granted.Access[0].Scopes[0] = "admin"
			root.Audience[0] = "https://evil.example/"
			e, err := w.store.Get(w.ctx, issuer, []lineage.ID{root.ID})
			require.NoError(t, err)
			r := e[0].Record
			again, err := lineage.Decode(r.Raw(), r.RawBody())
			require.NoError(t, err)
			require.Equal(t, again.Body.Granted, r.Body.Granted, "what the store answers is what its bytes say")
			require.Equal(t, again.Body.Audience, r.Body.Audience)
			d, err := w.Decide(w.ctx, func() tb.Request {
				q := w.exchange("orchestrator", host(root), crm, "admin")
				q.Enforce = everything
				return q
			}())
			require.NoError(t, err)
			require.NotEqual(t, tb.Allow, d.Effect, "escalated to %v", d.Granted)
		})
	}
}

// The same for a token that the boundary minted.
func TestATokenWhoseScopesTheHostChangesLeavesTheRecordAsItIs(t *testing.T) {
	for name, change := range map[string]func(*world){"memory": func(*world) {}, "bolt": onBolt} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, minting, change)
			tok, err := w.Issue(w.ctx, tb.Request{Grant: tb.Exchange, Client: w.as("orchestrator"), Subject: w.human("ann"),
				Resource: []string{crm}, Scopes: []string{"read"}})
			require.NoError(t, err)
			tok.Scopes[0] = "admin"
			e, err := w.store.Get(w.ctx, issuer, []lineage.ID{tok.ID})
			require.NoError(t, err)
			r := e[0].Record
			again, err := lineage.Decode(r.Raw(), r.RawBody())
			require.NoError(t, err)
			require.Equal(t, again.Body.Granted, r.Body.Granted)
		})
	}
}

// Introspection hands out claims that are the caller's.
func TestClaimsThatACallerChangesLeaveTheRecordAsItIs(t *testing.T) {
	w := newWorld(t, minting)
	tok, err := w.Issue(w.ctx, tb.Request{Grant: tb.Exchange, Client: w.as("orchestrator"), Subject: w.human("ann"),
		Resource: []string{crm}, Scopes: []string{"read"}})
	require.NoError(t, err)
	s, err := w.Introspect(w.ctx, w.clients["ops"], tok.Value())
	require.NoError(t, err)
	require.True(t, s.Active)
	s.Claims.Audience[0] = "https://evil.example/"
	s, err = w.Introspect(w.ctx, w.clients["ops"], tok.Value())
	require.NoError(t, err)
	require.True(t, s.Active, "the token is still what it was")
}

// Nothing that is derived grows because a host changed the slices it was handed.
func TestNothingIsDerivedThatOnlyTheHostsCopyHolds(t *testing.T) {
	w := newWorld(t, minting, onBolt)
	tok, err := w.Issue(w.ctx, tb.Request{Grant: tb.Exchange, Client: w.as("orchestrator"), Subject: w.human("ann"),
		Resource: []string{crm}, Scopes: []string{"read"}})
	require.NoError(t, err)
	parent := tok.ID
	tok.Scopes[0] = "admin"
	d, err := w.Decide(w.ctx, func() tb.Request {
		q := w.exchange("orchestrator", tb.Credential{Type: tb.TypeAccessToken, Verified: &tb.Principal{Party: lineage.Party{ID: "ann", Issuer: "https://idp.example", Kind: "human"}, Lineage: parent}}, crm, "admin")
		q.Enforce = everything
		return q
	}())
	require.NoError(t, err)
	require.NotEqual(t, tb.Allow, d.Effect, "escalated to %v", d.Granted)
}

// The credential a host passed in is its own again after the call.
func TestAPrincipalThatTheHostReusesLeavesTheRecordAsItIs(t *testing.T) {
	w := newWorld(t, minting, onBolt)
	cred := w.human("ann")
	cred.Verified.Session.AMR = []string{"pwd", "otp"}
	tok, err := w.Issue(w.ctx, tb.Request{Grant: tb.Exchange, Client: w.as("orchestrator"), Subject: cred,
		Resource: []string{crm}, Scopes: []string{"read"}})
	require.NoError(t, err)
	cred.Verified.Session.AMR[1] = "none"
	e, err := w.store.Get(w.ctx, issuer, []lineage.ID{tok.ID})
	require.NoError(t, err)
	require.Equal(t, []string{"pwd", "otp"}, e[0].Record.Body.Session.AMR)
}

// A policy may do with its facts what it likes: the record of the parent stays as it is.
func TestAPolicyThatFiltersTheCeilingInPlaceLeavesTheParentAsItIs(t *testing.T) {
	for name, change := range map[string]func(*world){"memory": func(*world) {}, "bolt": onBolt} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, minting, change)
			w.policy = func(f tb.Facts) tb.Verdict {
				v := grantAll(f)
				if f.Ceiling != nil { // what is asked for, of what is held
					held := slices.DeleteFunc(f.Ceiling.Access[0].Scopes, func(s string) bool { return !slices.Contains(f.Scopes, s) })
					v.Access = []lineage.Access{{Resource: crm, Scopes: held}}
				}
				return v
			}
			tok, err := w.Issue(w.ctx, tb.Request{Grant: tb.Exchange, Client: w.as("orchestrator"), Subject: w.human("ann"),
				Resource: []string{crm}, Scopes: []string{"read", "write"}})
			require.NoError(t, err)
			ours := tb.Credential{Type: tb.TypeAccessToken, Value: tok.Value()}
			_, _ = w.Issue(w.ctx, w.exchange("orchestrator", ours, crm, "write"))
			s, err := w.Introspect(w.ctx, w.clients["ops"], tok.Value())
			require.NoError(t, err)
			require.True(t, s.Active, "the parent is active still")
			_, err = w.Issue(w.ctx, w.exchange("orchestrator", ours, crm, "read"))
			require.NoError(t, err, "and what it holds can be derived")
		})
	}
}

// A host that cuts from its decision what it cannot mint, before it records it, records what was decided.
func TestADecisionIsRecordedAsItWasDecided(t *testing.T) {
	for name, change := range map[string]func(*world){"memory": func(*world) {}, "bolt": onBolt} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, change)
			req := tb.Request{Grant: tb.Exchange, Client: w.as("orchestrator"), Subject: w.human("ann"),
				Resource: []string{crm}, Scopes: []string{"read", "write"}, Enforce: everything}
			d, err := w.Decide(w.ctx, req)
			require.NoError(t, err)
			d.Granted.Access[0].Scopes = slices.DeleteFunc(d.Granted.Access[0].Scopes, func(s string) bool { return s == "read" })
			require.NoError(t, w.Record(w.ctx, d, tb.HostToken{Handle: "h"}))
			e, err := w.store.Get(w.ctx, issuer, []lineage.ID{d.ID})
			require.NoError(t, err)
			r := e[0].Record
			again, err := lineage.Decode(r.Raw(), r.RawBody())
			require.NoError(t, err)
			require.Equal(t, again.Body.Granted.String(), r.Body.Granted.String(), "what the store answers is what its bytes say")
		})
	}
}
