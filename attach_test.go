package tokenboundary_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// legacyBroker is a world with a broker for crm, in which a delivered lease may be had of "export".
func legacyBroker(w *world) {
	minting(w)
	w.clients["crm"] = tb.Client{ID: "crm", Kind: tb.KindResource, Resource: crm, Connections: []string{"prod"}}
	w.policy = func(f tb.Facts) tb.Verdict {
		v := grantAll(f)
		if f.Env["frozen"] == true {
			return tb.Verdict{}
		}
		for i := range v.Reasons {
			v.Reasons[i].Deliver = v.Reasons[i].Scope == "export"
		}
		return v
	}
}

func (w *world) attached(tok tb.Token, scopes ...string) tb.Lease {
	w.Helper()
	l, err := w.Attach(w.ctx, w.clients["crm"], tb.LeaseRequest{Token: bearer(tok), Scopes: scopes})
	require.NoError(w, err)
	return l
}

// inTask is a token that the tool has derived in a task of alice's.
func (w *world) inTask() (task, tok tb.Token) {
	req := w.exchange("orchestrator", w.human("alice"), crm, "export", "read", "write")
	req.Task = &tb.TaskSpec{Purpose: "work"}
	task = w.issued(req)
	return task, w.issued(w.exchange("tool", bearer(task), crm, "export", "read"))
}

// TestALeaseIsANodeOfTheLineage below its token, with the terms of the token and the name of who holds it, decided by itself.
func TestALeaseIsANodeOfTheLineage(t *testing.T) {
	w := newWorld(t, legacyBroker)
	task, tok := w.inTask()
	asked := tb.Facts{}
	was := w.policy
	w.policy = func(f tb.Facts) tb.Verdict {
		asked = f
		return was(f)
	}
	l := w.attached(tok, "read")
	require.Equal(t, tb.Leased, asked.Grant)
	require.Equal(t, "tool", asked.Client.ID, "the broker is no party to it")
	require.Equal(t, []string{"alice", "tool", "orchestrator"}, []string{asked.Subject.ID, asked.Chain[0].ID, asked.Chain[1].ID})
	require.Equal(t, task.TaskID.String(), asked.Task.ID)
	require.Equal(t, tok.ID.String(), asked.Parent.ID)

	r := w.record(l.ID)
	require.Equal(t, lineage.KindLease, r.Kind)
	require.Equal(t, []lineage.ID{tok.ID}, r.Parents)
	require.Equal(t, lineage.Lease{By: "crm"}, *r.Body.Lease)
	require.Equal(t, []lineage.Access{{Resource: crm, Scopes: []string{"read"}}}, r.Body.Granted.Access)
	require.Equal(t, w.record(tok.ID).ExpiresAt, r.ExpiresAt)
	for _, sel := range []string{"client:crm", "client:tool", "client:orchestrator", "connection:prod", "subject:alice", "session:s-alice"} {
		s, err := lineage.ParseSelector(sel)
		require.NoError(t, err)
		require.Contains(t, r.Selectors(), s)
	}
	nodes, err := w.Lineage(w.ctx, ops, l.ID)
	require.NoError(t, err)
	var records []lineage.Record
	for _, n := range nodes {
		records = append(records, n.Record)
	}
	require.NoError(t, lineage.VerifyChain(l.ID, records))

	require.Equal(t, tb.Lease{
		ID: l.ID, State: tb.LeaseIntent, Alive: lineage.Active, Token: tok.ID, Task: task.TaskID, Client: "tool", Subject: r.Body.Subject,
		Actors: r.Body.Actors, Connection: "prod", Resource: crm, Scopes: []string{"read"}, IssuedAt: r.IssuedAt, ExpiresAt: r.ExpiresAt,
		Until: w.clock.Now().Add(time.Minute),
	}, l)
	again, err := w.Lease(w.ctx, ops, l.ID)
	require.NoError(t, err)
	require.Equal(t, l, again)

	past, err := (tb.Recall{Store: w.store, Issuer: issuer}).One(w.ctx, l.ID)
	require.NoError(t, err)
	answer, err := past.Decide(w.ctx, tb.PolicyFunc(func(_ context.Context, f tb.Facts) (tb.Verdict, error) { return w.policy(f), nil }))
	require.NoError(t, err)
	require.Equal(t, past.Answer().Access, answer.Access, "it can be decided again")
	require.Equal(t, past.Answer().Lifetime, answer.Lifetime)
}

// TestALeaseIsNoDerivation: it costs none, and the limit on derivations bounds how many leases a task has of one connection.
func TestALeaseIsNoDerivation(t *testing.T) {
	w := newWorld(t, legacyBroker)
	was := w.policy
	w.policy = func(f tb.Facts) tb.Verdict {
		v := was(f)
		if f.Grant == tb.Leased {
			v.Derivations = 3
		}
		return v
	}
	task, tok := w.inTask()
	before, err := w.Task(w.ctx, ops, task.TaskID)
	require.NoError(t, err)
	other := w.issued(w.exchange("tool", bearer(task), crm, "read"))
	for _, from := range []tb.Token{tok, other, tok} {
		w.attached(from, "read")
	}
	after, err := w.Task(w.ctx, ops, task.TaskID)
	require.NoError(t, err)
	require.Equal(t, before.Derivations+1, after.Derivations, "of the token alone")
	_, err = w.Attach(w.ctx, w.clients["crm"], tb.LeaseRequest{Token: bearer(other), Scopes: []string{"read"}})
	w.denies(err, tb.CodeInvalidRequest, "no lease of the connection is left")
	_, free := w.inTask()
	w.attached(free, "read")
}

// TestASignalWithdrawsALease that would not be granted now, with the record of why; so does a policy that delivers no more.
func TestASignalWithdrawsALease(t *testing.T) {
	w := newWorld(t, legacyBroker)
	_, tok := w.inTask()
	kept := w.attached(tok, "read")
	shown, err := w.Attach(w.ctx, w.clients["crm"], tb.LeaseRequest{Token: bearer(tok), Scopes: []string{"export"}, Deliver: true})
	require.NoError(t, err)
	require.True(t, shown.Deliver)
	was := w.policy
	w.policy = func(f tb.Facts) tb.Verdict {
		v := was(f)
		for i := range v.Reasons {
			v.Reasons[i].Deliver = false
		}
		return v
	}
	w.clock.Add(time.Second)
	_, err = w.Signal(w.ctx, ops, tb.Signal{Reloaded: true})
	require.NoError(t, err)
	alive := func(l tb.Lease) lineage.State {
		now, err := w.Lease(w.ctx, w.clients["crm"], l.ID)
		require.NoError(t, err)
		return now.Alive
	}
	require.Equal(t, []lineage.State{lineage.Active, lineage.Revoked}, []lineage.State{alive(kept), alive(shown)})
	for n, err := range w.Descendants(w.ctx, ops, shown.ID) {
		require.NoError(t, err)
		require.Equal(t, lineage.KindDenial, n.Record.Kind)
		require.Contains(t, n.Record.Body.Reasons[len(n.Record.Body.Reasons)-1].Why, "nothing is left after narrowing")
		past, err := (tb.Recall{Store: w.store, Issuer: issuer}).One(w.ctx, n.Record.ID())
		require.NoError(t, err)
		require.Equal(t, tb.SkipWithdrawn, past.Skip)
	}
	_, err = w.Signal(w.ctx, ops, tb.Signal{Env: map[string]any{"frozen": true}})
	require.NoError(t, err)
	require.Equal(t, lineage.Revoked, alive(kept))
}

// TestALeaseIsNoToken: it cannot be asked for at the token endpoint, nor presented.
func TestALeaseIsNoToken(t *testing.T) {
	w := newWorld(t, legacyBroker)
	_, tok := w.inTask()
	l := w.attached(tok, "read")
	_, err := w.Issue(w.ctx, tb.Request{Grant: tb.Leased, Client: w.as("tool"), Subject: bearer(tok), Scopes: []string{"read"}})
	w.denies(err, tb.CodeUnauthorizedClient, "a lease is no token")
	for name, p := range map[string]tb.Principal{
		"presented": {Party: lineage.Party{ID: "alice"}, Lineage: l.ID},
	} {
		req := w.exchange("tool", tb.Credential{Type: tb.TypeAccessToken, Verified: &p}, crm, "read")
		_, err := w.Issue(w.ctx, req)
		w.denies(err, tb.CodeInvalidRequest, "not the record of a token")
		_, err = w.Attach(w.ctx, w.clients["crm"], tb.LeaseRequest{Token: req.Subject, Scopes: []string{"read"}})
		w.denies(err, tb.CodeInvalidRequest, "not the record of a token")
		require.NotEmpty(t, name)
	}
}

// TestTheBookListsWhatHasNotEnded: all of it and nothing else, in order, from anywhere.
func TestTheBookListsWhatHasNotEnded(t *testing.T) {
	w := newWorld(t, legacyBroker)
	_, tok := w.inTask()
	want := map[lineage.ID]tb.LeaseState{}
	for i := range 600 {
		l := w.attached(tok, "read")
		to := []tb.LeaseState{"", tb.LeaseHeld, tb.LeaseEnding, tb.LeaseEnded}[i%4]
		want[l.ID] = tb.LeaseIntent
		if to == tb.LeaseEnded {
			_, err := w.SetLease(w.ctx, w.clients["crm"], l.ID, tb.LeaseEnding, nil)
			require.NoError(t, err)
		}
		if to != "" {
			_, err := w.SetLease(w.ctx, w.clients["crm"], l.ID, to, []byte(fmt.Sprint("handle ", i)))
			require.NoError(t, err)
			want[l.ID] = to
		}
		if to == tb.LeaseEnded {
			delete(want, l.ID)
			_, err := w.SetLease(w.ctx, w.clients["crm"], l.ID, to, nil)
			require.NoError(t, err, "twice")
		}
	}
	var after lineage.ID
	var last string
	n := 0
	for len(want) > 0 { // a page at a time, as after a restart
		w.restart()
		page := 0
		for l, err := range w.Leases(w.ctx, w.clients["crm"], after) {
			require.NoError(t, err)
			require.Equal(t, want[l.ID], l.State)
			require.Greater(t, string(l.ID[:]), last)
			delete(want, l.ID)
			after, last = l.ID, string(l.ID[:])
			require.Equal(t, l.State != tb.LeaseIntent, len(l.Handle) > 0)
			n++
			if page++; page == 100 {
				break
			}
		}
		require.Positive(t, page)
	}
	require.Equal(t, 450, n)
}

// TestTheHandleOfALeaseIsHidden, and forgotten when it has ended.
func TestTheHandleOfALeaseIsHidden(t *testing.T) {
	w := newWorld(t, legacyBroker)
	_, tok := w.inTask()
	l := w.attached(tok, "read")
	l, err := w.SetLease(w.ctx, w.clients["crm"], l.ID, tb.LeaseHeld, []byte("a handle"))
	require.NoError(t, err)
	require.Equal(t, "a handle", string(l.Handle))
	require.True(t, l.Usable())
	text, err := json.Marshal(l)
	require.NoError(t, err)
	require.NotContains(t, string(text)+fmt.Sprintf("%v %+v %#v %s", l, l, l, l), "a handle")
	for _, to := range []tb.LeaseState{tb.LeaseHeld, tb.LeaseEnding, tb.LeaseEnded} {
		l, err = w.SetLease(w.ctx, w.clients["crm"], l.ID, to, nil)
		require.NoError(t, err)
		require.Equal(t, to != tb.LeaseEnded, len(l.Handle) > 0, to)
	}
	require.False(t, l.Over(w.clock.Now()))
	w.clock.Add(24 * time.Hour)
	w.issued(w.exchange("orchestrator", w.human("alice"), crm, "read")) // the store time goes on
	l, err = w.Lease(w.ctx, w.clients["crm"], l.ID)
	require.NoError(t, err)
	require.Equal(t, []any{tb.LeaseEnded, lineage.Expired}, []any{l.State, l.Alive}, "its head is forgotten")
}

// TestALeaseOutlivesItsRecord in the book: what is out is taken back, whatever is forgotten.
func TestALeaseOutlivesItsRecord(t *testing.T) {
	w := newWorld(t, legacyBroker)
	_, tok := w.inTask()
	l := w.attached(tok, "read")
	l, err := w.SetLease(w.ctx, w.clients["crm"], l.ID, tb.LeaseHeld, []byte("a handle"))
	require.NoError(t, err)
	w.store = forgetful{w.store, l.ID}
	w.restart()
	n := 0
	for out, err := range w.Leases(w.ctx, w.clients["crm"], lineage.ID{}) {
		require.NoError(t, err)
		require.Equal(t, []any{l.ID, tb.LeaseHeld, lineage.Expired, "prod", crm, "a handle"},
			[]any{out.ID, out.State, out.Alive, out.Connection, out.Resource, string(out.Handle)})
		require.True(t, out.Over(w.clock.Now()))
		n++
	}
	require.Equal(t, 1, n)
	_, err = w.Lease(w.ctx, tb.Client{ID: "another", Kind: tb.KindResource, Resource: crm}, l.ID)
	require.ErrorIs(t, err, tb.ErrNotFound)
	for _, to := range []tb.LeaseState{tb.LeaseEnding, tb.LeaseEnded} {
		_, err = w.SetLease(w.ctx, w.clients["crm"], l.ID, to, nil)
		require.NoError(t, err)
	}
	for range w.Leases(w.ctx, w.clients["crm"], lineage.ID{}) {
		require.Fail(t, "it has ended")
	}
}

// forgetful is a store that has forgotten a record.
type forgetful struct {
	store.Store
	id lineage.ID
}

func (s forgetful) Get(ctx context.Context, issuer string, ids []lineage.ID) ([]store.Entry, error) {
	out, err := s.Store.Get(ctx, issuer, ids)
	for i := range out {
		if ids[i] == s.id {
			out[i] = store.Entry{}
		}
	}
	return out, err
}
