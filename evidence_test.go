package tokenboundary_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// asked is a client's request on its own behalf, with a credential.
func asked(cred tb.Credential) tb.Request {
	return tb.Request{Grant: tb.ClientCredentials, Client: cred, Resource: []string{crm}, Scopes: []string{"read"}}
}

// acting is alice's authority with tool's own outside identity as the actor.
func (w *world) acting(change ...func(*tb.Principal)) tb.Request {
	req := w.exchange("tool", w.human("alice"), crm, "read")
	req.Actor = w.outside(alias("tool"))
	req.Actor.Verified.Session = lineage.Session{Kind: "workload", ID: "pod-1"}
	for _, c := range change {
		c(req.Actor.Verified)
	}
	return req
}

// spent requires that the client's credential is good for nothing any more, with any request.
func (w *world) spent(cred tb.Credential) {
	w.Helper()
	req := asked(cred)
	req.Enforce = everything &^ tb.CapRecord
	_, err := w.Decide(w.ctx, req)
	require.ErrorIs(w, err, tb.ErrUnauthenticated)
}

func TestEvidenceFromBeforeACutProvesNothingAfterIt(t *testing.T) {
	undated := func(c tb.Credential) tb.Credential { c.Verified.Issued = time.Time{}; return c }
	for name, c := range map[string]struct {
		cut  string
		make func(*world) tb.Request
	}{
		"assertion": {"client:tool", func(w *world) tb.Request {
			return asked(w.once("tool", fmt.Sprint(w.clock.Now())))
		}},
		"assertion of an exchange": {"client:tool", func(w *world) tb.Request {
			req := w.exchange("tool", w.human("alice"), crm, "read")
			req.Client = w.once("tool", fmt.Sprint(w.clock.Now()))
			return req
		}},
		"undated assertion": {"client:tool", func(w *world) tb.Request {
			return asked(undated(w.once("tool", fmt.Sprint(w.clock.Now()))))
		}},
		"subject": {"subject:alice", func(w *world) tb.Request {
			return w.exchange("tool", w.outside(party("alice", idp)), crm, "read")
		}},
		"actor": {"actor:" + alias("tool").ID, func(w *world) tb.Request { return w.acting() }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			before, good := c.make(w), c.make(w)
			if before.Client.Verified.Once != "" { // it must last until the cut is old
				before.Client.Verified.Expires = w.clock.Now().Add(4 * time.Minute)
				good.Client.Verified.Once = "positive control"
			}
			w.granted(good)
			w.clock.Add(30 * time.Second)
			w.revoke(c.cut, lineage.Cut)
			w.clock.Add(30 * time.Second)
			kind, _, _ := strings.Cut(c.cut, ":")
			w.refused(before, tb.CodeInvalidRequest, "revoked: "+kind)
			w.clock.Add(6 * time.Minute) // an undated assertion counts as made five minutes before its end
			w.granted(c.make(w))
		})
	}
	t.Run("actor alone", func(t *testing.T) {
		w := newWorld(t)
		old := w.outside(alias("tool"))
		w.clock.Add(30 * time.Second)
		w.revoke("actor:"+alias("tool").ID, lineage.Cut)
		w.clock.Add(30 * time.Second)
		fresh := w.outside(party("alice", idp))
		for _, subject := range []tb.Credential{fresh, host(w.granted(w.exchange("researcher", fresh, crm, "read")))} {
			req := w.exchange("tool", subject, crm, "read")
			req.Actor = old
			w.refused(req, tb.CodeInvalidRequest, "revoked: actor")
			req.Actor = w.outside(alias("tool"))
			w.granted(req)
		}
	})
	t.Run("undated for ever", func(t *testing.T) {
		w := newWorld(t)
		req := func() tb.Request {
			return w.exchange("tool", undated(w.outside(party("alice", idp))), crm, "read")
		}
		w.granted(req())
		w.revoke("subject:alice", lineage.Cut)
		w.clock.Add(time.Hour)
		w.refused(req(), tb.CodeInvalidRequest, "revoked: subject")
		w.granted(w.exchange("tool", w.outside(party("alice", idp)), crm, "read"))
	})
}

func TestTheSessionOfAnActorCutsWhatItActedIn(t *testing.T) {
	w := newWorld(t)
	elsewhere := func(p *tb.Principal) { p.Session.ID = "pod-2" }
	one, two := w.granted(w.acting()), w.granted(w.acting(elsewhere))
	below := w.granted(w.exchange("researcher", host(one), crm, "read"))
	w.revoke("session:pod-1", lineage.Cut)
	require.Equal(t, lineage.Revoked, w.state(one.ID))
	require.Equal(t, lineage.Revoked, w.state(below.ID))
	require.Equal(t, lineage.Active, w.state(two.ID), "another session of the same actor")
	w.clock.Add(time.Minute)
	w.refused(w.acting(), tb.CodeInvalidRequest, "revoked: session")
	w.granted(w.acting(elsewhere))
}

func TestAnActorsCredentialProvesWhoActsAndBoundsNothing(t *testing.T) {
	w := newWorld(t)
	short := func(p *tb.Principal) { p.Expires = w.clock.Now().Add(10 * time.Second) }
	d := w.granted(w.acting(short))
	require.Equal(t, []string{alias("tool").ID}, ids(d.Actors))
	require.Equal(t, w.clock.Now().Add(5*time.Minute), d.ExpiresAt)
	w.clock.Add(time.Minute)
	require.Equal(t, lineage.Active, w.state(d.ID))

	req := w.exchange("tool", w.outside(party("alice", idp)), crm, "read")
	short(req.Subject.Verified)
	require.Equal(t, w.clock.Now().Add(10*time.Second), w.granted(req).ExpiresAt, "a subject's bounds the result")
}

func TestRecordSeesWhatTheActorWasCutBy(t *testing.T) {
	for name, cut := range map[string]func(w *world, task tb.Decision){
		"session": func(w *world, _ tb.Decision) { w.revoke("session:pod-1", lineage.Cut) },
		"name":    func(w *world, _ tb.Decision) { w.revoke("actor:"+alias("tool").ID, lineage.Block) },
		"task": func(w *world, task tb.Decision) {
			_, err := w.SetTask(w.ctx, ops, task.TaskID, tb.TaskCompleted)
			require.NoError(w, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			task := w.start("work", 10, "read")
			mine := host(w.granted(w.exchange("tool", host(task), crm, "read")))
			req := w.acting()
			if name == "task" {
				req.Subject, req.Actor = mine, mine
			}
			w.granted(req) // positive control
			w.clock.Add(time.Second)
			d := w.decided(req)
			cut(w, task)
			require.ErrorIs(t, w.Record(w.ctx, d, tb.HostToken{Handle: "a"}), tb.ErrConflict)
			_, err := w.Lineage(w.ctx, ops, d.ID)
			require.ErrorIs(t, err, tb.ErrNotFound)
		})
	}
}

func TestARefusalSpendsTheAssertionWhateverItRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		req  func(*world) tb.Request
		code tb.Code
		why  string
	}{
		"malformed": {func(*world) tb.Request { return tb.Request{Malformed: tb.CodeInvalidScope} }, tb.CodeInvalidScope, "malformed"},
		"no grant":  {func(*world) tb.Request { return tb.Request{} }, tb.CodeUnauthorizedClient, "may not use this grant"},
		"bad scope": {func(*world) tb.Request {
			return tb.Request{Grant: tb.ClientCredentials, Scopes: []string{"a b"}}
		}, tb.CodeInvalidScope, ""},
		"a subject that was spent before": {func(w *world) tb.Request {
			subject := w.human("alice")
			subject.Verified.Once = "s"
			w.granted(w.exchange("tool", subject, crm, "read"))
			return w.exchange("tool", subject, crm, "read")
		}, tb.CodeInvalidRequest, "used before"},
		"too large to be recorded whole": {func(w *world) tb.Request {
			w.policy = func(f tb.Facts) tb.Verdict {
				v := grantAll(f)
				v.Effect, v.Code = tb.Deny, tb.CodeInvalidScope
				return v
			}
			req := tb.Request{Grant: tb.ClientCredentials}
			for i := range 16 {
				req.Resource = append(req.Resource, fmt.Sprintf("https://r%d.example/%0500d", i, i))
			}
			for i := range 128 {
				req.Scopes = append(req.Scopes, fmt.Sprintf("s%0200d", i))
			}
			return req
		}, tb.CodeInvalidScope, "no rule allows"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			req := c.req(w)
			req.Client, req.Enforce = w.once("tool", "a"), everything&^tb.CapRecord
			d, err := w.Decide(w.ctx, req)
			require.NoError(t, err)
			require.Equal(t, c.code, d.Code)
			require.Contains(t, d.Reasons[len(d.Reasons)-1].Why, c.why)
			require.False(t, d.ID.IsZero(), "recorded")
			w.spent(req.Client)
			w.policy = grantAll
			w.granted(asked(w.once("tool", "b")))
		})
	}
}

func TestAClientThatHangsUpIsRefusedOnRecord(t *testing.T) {
	w := newWorld(t)
	w.granted(asked(w.once("tool", "a")))
	ctx, cancel := context.WithCancel(w.ctx)
	w.policy = func(tb.Facts) tb.Verdict { cancel(); return tb.Verdict{} }
	req := asked(w.once("tool", "b"))
	d, err := w.Decide(ctx, req)
	require.NoError(t, err)
	require.Equal(t, tb.CodeInvalidTarget, d.Code)
	require.Equal(t, lineage.Denied, w.state(d.ID))
	require.Zero(t, w.Health(w.ctx).Unrecorded)
	w.policy = grantAll
	w.spent(req.Client)
}

func TestOneAssertionGetsOneAnswerUnderConcurrency(t *testing.T) {
	w := newWorld(t, minting)
	req := asked(w.once("tool", "one"))
	var answered, strangers atomic.Int64
	var all sync.WaitGroup
	for i := range 16 {
		req := req
		if i%2 == 0 {
			req.Connection = "elsewhere"
		}
		all.Go(func() {
			switch _, err := w.Issue(w.ctx, req); {
			case err == nil, errors.Is(err, tb.ErrDenied):
				answered.Add(1)
			case errors.Is(err, tb.ErrUnauthenticated):
				strangers.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 1, answered.Load())
	require.EqualValues(t, 15, strangers.Load())
}

func TestOneAssertionIsRecordedWithOneDecision(t *testing.T) {
	w := newWorld(t)
	cred := w.once("tool", "a")
	first := w.decided(asked(cred))
	w.clock.Add(time.Second)
	second := w.decided(asked(cred)) // an allow spends nothing before Record
	require.NotEqual(t, first.ID, second.ID)
	require.NoError(t, w.Record(w.ctx, second, tb.HostToken{Handle: "a"}))
	require.ErrorIs(t, w.Record(w.ctx, first, tb.HostToken{Handle: "b"}), tb.ErrConflict)
	w.spent(cred)
}

// TestASourcesLeewayIsNotOurs: what a source still accepts is refused here once a spent id may have been forgotten.
func TestASourcesLeewayIsNotOurs(t *testing.T) {
	w := newWorld(t)
	cred := w.once("tool", "a")
	w.granted(asked(cred))
	other := w.once("tool", "b")
	w.clock.Add(time.Minute + 4*time.Second)
	w.revoke("subject:nobody", lineage.Cut) // the store knows the time
	w.spent(cred)
	w.granted(asked(other))
	w.clock.Add(time.Second)
	w.revoke("subject:nobody", lineage.Cut)
	w.spent(cred)
	w.spent(w.onceUntil("c", w.clock.Now().Add(-5*time.Second)))
	w.granted(asked(w.onceUntil("d", w.clock.Now().Add(-4*time.Second))))
}

func (w *world) onceUntil(jti string, end time.Time) tb.Credential {
	c := w.once("tool", jti)
	c.Verified.Expires = end
	return c
}

func TestASubjectWithoutTimeLeftGivesNone(t *testing.T) {
	w := newWorld(t)
	at := func(c tb.Credential, end time.Time) tb.Request {
		c.Verified.Expires = end
		return w.exchange("tool", c, crm, "read")
	}
	alice := party("alice", idp)
	w.granted(at(w.outside(alice), w.clock.Now().Add(time.Second)))
	w.refused(at(w.outside(alice), time.Time{}), tb.CodeInvalidRequest, "it has no end")
	w.refused(at(w.outside(alice), w.clock.Now().Add(-time.Second)), tb.CodeInvalidRequest, "no time is left")
	w.refused(at(w.outside(alice), w.clock.Now().Add(-5*time.Second)), tb.CodeInvalidRequest, "expired")

	past := w.granted(at(w.human("alice"), w.clock.Now().Add(-time.Second)))
	require.Equal(t, w.clock.Now().Add(5*time.Minute), past.ExpiresAt, "an ID token proves a past authentication")
	w.refused(at(w.human("alice"), w.clock.Now().Add(-5*time.Second)), tb.CodeInvalidRequest, "expired")
}

func TestWhatASourceSaysOfACredentialIsNotItsValue(t *testing.T) {
	const value = "canary-of-a-token"
	w := newWorld(t, func(w *world) {
		w.cfg.Identities = []tb.IdentitySource{tb.IdentityFunc(func(_ context.Context, c tb.Credential) (tb.Principal, error) {
			return tb.Principal{}, errors.New("cannot parse " + c.Value)
		})}
	})
	d := w.refused(w.exchange("tool", tb.Credential{Type: tb.TypeJWT, Value: value}, crm, "read"),
		tb.CodeInvalidRequest, "not acceptable: cannot parse …")
	found, err := w.store.Get(w.ctx, issuer, []lineage.ID{d.ID})
	require.NoError(t, err)
	require.NotContains(t, string(found[0].Record.RawBody()), value)
	require.Contains(t, string(found[0].Record.RawBody()), "cannot parse")
}
