package tokenboundary_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/store/memory"
	"github.com/tokenboundary/tokenboundary/store/storetest"
)

// minting gives a world its own signing keys, in a store that never fails.
func minting(w *world) {
	m, err := mint.Open(w.ctx, mint.Config{Issuer: issuer, Store: memory.New(), Dir: w.TempDir(), Clock: w.clock})
	require.NoError(w, err)
	w.cfg.Minter = m
}

func (w *world) issued(req tb.Request) tb.Token {
	w.Helper()
	tok, err := w.Issue(w.ctx, req)
	require.NoError(w, err)
	return tok
}

func bearer(tok tb.Token) tb.Credential {
	return tb.Credential{Type: tb.TypeAccessToken, Value: tok.Value()}
}

// once is a client's credential with a single-use id.
func (w *world) once(client, jti string) tb.Credential {
	c := w.as(client)
	c.Verified.Once, c.Verified.Issued, c.Verified.Expires = jti, w.clock.Now(), w.clock.Now().Add(time.Minute)
	return c
}

// verbs are the verbs of the Governor, each on a task token that exists already. Each returns what it released.
var verbs = map[string]func(w *world, task tb.Token) (tb.Token, error){
	"issue a root": func(w *world, _ tb.Token) (tb.Token, error) {
		return w.Issue(w.ctx, tb.Request{
			Grant: tb.ClientCredentials, Client: w.once("tool", "a"), Resource: []string{crm}, Scopes: []string{"read"},
		})
	},
	"start a task": func(w *world, _ tb.Token) (tb.Token, error) {
		req := w.exchange("orchestrator", w.human("bob"), crm, "read")
		req.Client, req.Task = w.once("orchestrator", "b"), &tb.TaskSpec{Purpose: "more"}
		return w.Issue(w.ctx, req)
	},
	"exchange": func(w *world, task tb.Token) (tb.Token, error) {
		req := w.exchange("researcher", bearer(task), crm, "read")
		req.Client = w.once("researcher", "c")
		return w.Issue(w.ctx, req)
	},
	"exchange without evidence to spend": func(w *world, _ tb.Token) (tb.Token, error) {
		return w.Issue(w.ctx, w.exchange("researcher", w.human("carol"), crm, "read"))
	},
	"decide": func(w *world, task tb.Token) (tb.Token, error) {
		req := w.exchange("researcher", bearer(task), crm, "read")
		req.Client, req.Enforce = w.once("researcher", "e"), everything&^tb.CapRecord
		d, err := w.Decide(w.ctx, req)
		if err == nil && d.Effect != tb.Allow {
			err = errors.New("denied: " + string(d.Code))
		}
		return tb.Token{}, err
	},
	"decide and record": func(w *world, task tb.Token) (tb.Token, error) {
		if w.pending == nil {
			req := w.exchange("researcher", bearer(task), crm, "read")
			req.Client, req.Enforce = w.once("researcher", "f"), everything
			d, err := w.Decide(w.ctx, req)
			if err != nil {
				return tb.Token{}, err
			}
			w.pending = &d
		}
		return tb.Token{}, w.Record(w.ctx, *w.pending, tb.HostToken{Handle: "h"}) // a host repeats this, not the decision
	},
	"introspect": func(w *world, task tb.Token) (tb.Token, error) {
		s, err := w.Introspect(w.ctx, w.client("crm"), task.Value())
		if err == nil && !s.Active {
			err = errors.New("inactive")
		}
		return tb.Token{}, err
	},
	"retire": func(w *world, task tb.Token) (tb.Token, error) {
		by, err := w.Authenticate(w.ctx, w.once("orchestrator", "d"))
		require.NoError(w, err)
		return tb.Token{}, w.Retire(w.ctx, by, task.Value())
	},
	"complete": func(w *world, task tb.Token) (tb.Token, error) {
		got, err := w.SetTask(w.ctx, w.client("orchestrator"), task.TaskID, tb.TaskCompleted)
		if err == nil && got.State != tb.TaskCompleted {
			err = errors.New("not completed")
		}
		return tb.Token{}, err
	},
	"task": func(w *world, task tb.Token) (tb.Token, error) {
		_, err := w.Task(w.ctx, w.client("orchestrator"), task.TaskID)
		return tb.Token{}, err
	},
	"revoke": func(w *world, task tb.Token) (tb.Token, error) {
		_, err := w.Revoke(w.ctx, ops, lineage.Revocation{Selector: lineage.Selector{Kind: "task", Value: task.TaskID.String()}})
		return tb.Token{}, err
	},
	"lineage": func(w *world, task tb.Token) (tb.Token, error) {
		_, err := w.Lineage(w.ctx, ops, task.ID)
		return tb.Token{}, err
	},
	"descendants": func(w *world, task tb.Token) (tb.Token, error) {
		for _, err := range w.Descendants(w.ctx, ops, task.TaskID) {
			if err != nil {
				return tb.Token{}, err
			}
		}
		return tb.Token{}, nil
	},
	"report usage": func(w *world, task tb.Token) (tb.Token, error) {
		by, err := w.Authenticate(w.ctx, w.once("crm", "u"))
		require.NoError(w, err)
		r, err := w.ReportUsage(w.ctx, by, []tb.Use{{Token: task.ID, At: w.clock.Now()}})
		if err == nil && r.Accepted != 1 {
			err = errors.New("not counted")
		}
		return tb.Token{}, err
	},
	"feed": func(w *world, _ tb.Token) (tb.Token, error) {
		for _, err := range w.Revocations(w.ctx, ops, 0) {
			return tb.Token{}, err
		}
		return tb.Token{}, nil
	},
}

// TestGovernorFailsClosedAtEveryStoreCall fails every call that every verb makes of the store, one after the other. A
// verb that fails released nothing and used nothing up: the same request, with the same evidence, then succeeds.
func TestGovernorFailsClosedAtEveryStoreCall(t *testing.T) {
	for name, verb := range verbs {
		for _, op := range storetest.Ops {
			t.Run(fmt.Sprint(name, "/", op), func(t *testing.T) {
				failures := 0
				for n := 0; ; n++ {
					w := newWorld(t, minting)
					req := w.exchange("orchestrator", w.human("alice"), crm, "read")
					req.Task = &tb.TaskSpec{Purpose: "work"}
					task := w.issued(req)
					faulty := storetest.FailOn(w.store, op, errors.New("boom"))
					w.store = faulty
					w.restart()
					calls := faulty.Calls()
					faulty.After(n)
					tok, err := verb(w, task)
					if faulty.Calls()-calls <= n { // there was no call left to fail
						require.NoError(t, err)
						break
					}
					failures++
					faulty.Set(false)
					if op == storetest.CommitLost && err == nil {
						continue // settled by reading what was committed
					}
					if name == "revoke" && op == storetest.Revoked {
						require.NoError(t, err) // it is done; only its place in the feed could not be read back
						continue
					}
					require.ErrorIs(t, err, tb.ErrUnavailable, "call %d", n)
					require.Empty(t, tok.Value())
					if op != storetest.CommitLost {
						_, err = verb(w, task)
						require.NoError(t, err, "call %d used something up", n)
					}
				}
				t.Logf("%d calls failed", failures)
			})
		}
	}
}

// TestALostAcknowledgementIsSettledByReading: what was committed is released, and nothing is committed twice.
func TestALostAcknowledgementIsSettledByReading(t *testing.T) {
	w := newWorld(t, minting)
	req := w.exchange("orchestrator", w.human("alice"), crm, "read")
	req.Task = &tb.TaskSpec{Purpose: "work"}
	task := w.issued(req)
	w.store = storetest.FailOn(w.store, storetest.CommitLost, errors.New("boom"))
	w.restart()
	tok := w.issued(w.exchange("researcher", bearer(task), crm, "read"))
	s, err := w.Introspect(w.ctx, w.client("crm"), tok.Value())
	require.NoError(t, err)
	require.True(t, s.Active)
	got, err := w.Task(w.ctx, ops, task.TaskID)
	require.NoError(t, err)
	require.EqualValues(t, 1, got.Derivations)
}
