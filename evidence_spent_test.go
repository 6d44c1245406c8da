package tokenboundary_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// refusals are verbs that are told no, each by a client that may or may not use it, and what they are told.
var refusals = map[string]struct {
	client string
	want   error
	verb   func(*world, tb.Client) error
}{
	"revoke":            {"tool", tb.ErrForbidden, cutting(lineage.Cut)},
	"revoke nothing":    {"ops", tb.ErrInvalid, cutting("burn")},
	"signal":            {"tool", tb.ErrForbidden, signalling(tb.Signal{Env: map[string]any{"x": 1}})},
	"signal nothing":    {"ops", tb.ErrInvalid, signalling(tb.Signal{})},
	"approve":           {"tool", tb.ErrForbidden, approveOf(lineage.ID{1})},
	"approve nothing":   {"ops", tb.ErrNotFound, approveOf(lineage.ID{1})},
	"task":              {"crm", tb.ErrForbidden, changing(tb.TaskCompleted)},
	"task to nothing":   {"tool", tb.ErrInvalid, changing("bogus")},
	"task of nobody":    {"tool", tb.ErrNotFound, changing(tb.TaskCompleted)},
	"renew the feed":    {"tool", tb.ErrForbidden, func(w *world, by tb.Client) error { return w.RenewFeed(w.ctx, by) }},
	"retire":            {"crm", tb.ErrForbidden, func(w *world, by tb.Client) error { return w.Retire(w.ctx, by, "x") }},
	"nothing (control)": {"tool", nil, func(*world, tb.Client) error { return nil }},
}

func cutting(action lineage.Action) func(*world, tb.Client) error {
	return func(w *world, by tb.Client) error {
		_, err := w.Revoke(w.ctx, by, lineage.Revocation{Selector: selector(w, "subject:x"), Action: action})
		return err
	}
}

func signalling(s tb.Signal) func(*world, tb.Client) error {
	return func(w *world, by tb.Client) error {
		_, err := w.Signal(w.ctx, by, s)
		return err
	}
}

func approveOf(id lineage.ID) func(*world, tb.Client) error {
	return func(w *world, by tb.Client) error {
		_, err := w.Approve(w.ctx, by, id, true)
		return err
	}
}

func changing(to tb.TaskState) func(*world, tb.Client) error {
	return func(w *world, by tb.Client) error {
		_, err := w.SetTask(w.ctx, by, lineage.ID{1}, to)
		return err
	}
}

// TestEvidenceIsSpentBeforeAVerbIsToldNo: an answer is a use, whatever it says.
func TestEvidenceIsSpentBeforeAVerbIsToldNo(t *testing.T) {
	for name, c := range refusals {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, minting)
			cred := w.once(c.client, "a")
			by, err := w.Authenticate(w.ctx, cred)
			require.NoError(t, err)
			require.ErrorIs(t, c.verb(w, by), c.want)
			if c.want == nil {
				w.issued(asked(cred))
				return
			}
			require.ErrorIs(t, c.verb(w, by), tb.ErrUnauthenticated)
			w.spent(cred)
		})
	}
}

// TestEvidenceIsSpentWhereATaskKeepsChanging: that answer is one as well.
func TestEvidenceIsSpentWhereATaskKeepsChanging(t *testing.T) {
	w, task, _ := working(t)
	s := w.interrupt()
	var change func()
	change = func() {
		w.setTask(task.TaskID, tb.TaskSuspended)
		w.setTask(task.TaskID, tb.TaskActive)
		s.get = change
	}
	s.get = change
	cred := w.once("orchestrator", "a")
	by, err := w.Authenticate(w.ctx, cred)
	require.NoError(t, err)
	_, err = w.SetTask(w.ctx, by, task.TaskID, tb.TaskSuspended)
	require.ErrorIs(t, err, tb.ErrConflict)
	s.get = nil
	w.spent(cred)
	w.set("orchestrator", task.TaskID, tb.TaskSuspended) // positive control
}
