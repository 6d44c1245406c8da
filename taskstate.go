package tokenboundary

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tokenboundary/tokenboundary/internal/state"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// SetTask changes the state of a task, in one write: TaskCompleted and TaskRevoked end it, and everything derived from it
// is dead on return; TaskSuspended makes all of that inactive and lets nothing be derived; TaskActive resumes it, after
// what it may do was decided anew: a *DeniedError where it would not be granted now, and it stays suspended. What was made
// under it is decided anew as well, and what would not be issued now does not come back.
//
// A task that is in the state already is returned as it is, and ending one that has ended changes nothing. Any other
// change of one that has ended is ErrConflict, as is resuming one below something that is not active. By must be the
// client that started it, or an operator; what an operator has suspended, only an operator resumes (ErrForbidden).
func (g *Governor) SetTask(ctx context.Context, by Client, id lineage.ID, to TaskState) (Task, error) {
	if !by.Kind.mayGet() && !by.is(KindOperator) || by.ID == "" {
		return Task{}, g.answer(ctx, by, ErrForbidden)
	}
	event, known := taskEvents[to]
	if !known {
		return Task{}, g.answer(ctx, by, fmt.Errorf("%w: task state", ErrInvalid))
	}
	for range attempts {
		t, err := g.setTask(ctx, &by, id, to, event)
		if !errors.Is(err, errStale) {
			return t, g.answer(ctx, by, err)
		}
	}
	return Task{}, g.answer(ctx, by, fmt.Errorf("%w: the task keeps changing", ErrConflict))
}

var taskEvents = map[TaskState]string{
	TaskCompleted: state.Complete, TaskRevoked: state.Revoke, TaskSuspended: state.Suspend, TaskActive: state.Resume,
}

// setTask tries one change. It is errStale if the task has changed since it was read.
func (g *Governor) setTask(ctx context.Context, who *Client, id lineage.ID, to TaskState, event string) (Task, error) {
	by := *who
	tx := g.tx(g.now())
	e, err := g.taskEntry(ctx, by, id)
	if err != nil {
		return Task{}, err
	}
	t := taskOf(e, g.latest())
	over := t.State != TaskActive && t.State != TaskSuspended
	switch ends := event == state.Complete || event == state.Revoke; {
	case over && !ends:
		return Task{}, fmt.Errorf("%w: the task is %s", ErrConflict, t.State)
	case to == TaskActive && t.State == TaskSuspended && headOf(e, taskKey(id)).State == string(to):
		return Task{}, fmt.Errorf("%w: the task above it is suspended", ErrConflict)
	case to == TaskSuspended && headOf(e, taskKey(id)).State == string(to) && by.is(KindOperator):
		err = holding(&tx, e)
	case over, headOf(e, taskKey(id)).State == string(to): // nothing but the evidence changes
		return t, g.change(ctx, by, tx)
	case ends:
		err = ending(&tx, e, event, by)
	case event == state.Suspend:
		err = g.suspend(ctx, by, e, &tx)
	default:
		err = g.resume(ctx, who, e, &tx)
		by = *who
	}
	if err != nil {
		return Task{}, err
	}
	switch err := g.change(ctx, by, tx); {
	case errors.Is(err, ErrConflict):
		return Task{}, errStale
	case err != nil:
		return Task{}, err
	}
	t.State = to
	return t, nil
}

// resume adds to tx what resumes a task. What the task may do is decided anew first, and everything above it must be
// active; the commit is conditional on both.
func (g *Governor) resume(ctx context.Context, who *Client, e store.Entry, tx *store.Tx) error {
	by, key := *who, taskKey(e.Record.ID())
	if err := g.stands(ctx, by); err != nil { // before anything is decided anew for it
		return err
	}
	var head taskHead
	if err := readHead(headOf(e, key), &head); err != nil {
		return err
	}
	if head.Held && !by.is(KindOperator) {
		return ErrForbidden
	}
	for above := range tasksOf(e) {
		if above.Key == key {
			continue
		}
		if above.State != string(TaskActive) {
			return fmt.Errorf("%w: the task above it is not active", ErrConflict)
		}
		tx.Requires = append(tx.Requires, active(above.Key))
	}
	now, counted, err := g.inForce(ctx)
	if err != nil {
		return err
	}
	h, no, err := g.redecide(ctx, e, nil)
	if no != nil {
		if h.client.proof = by.proof; by.proof != nil {
			h.proofs = []*proof{by.proof}
		}
		d, err := h.deny(ctx, no)
		if err != nil {
			return err
		}
		return &DeniedError{d}
	}
	if err != nil {
		return err
	}
	if head.Since == nil || *head.Since != now || now.Policy == "" {
		if by.proof != nil { // what is found is cut, and a replay must not come so far
			if err := g.change(ctx, by, g.tx(g.now())); err != nil {
				return err
			}
			who.proof, by.proof = nil, nil
		}
		err = g.wake(ctx, by, e)
	}
	if err != nil {
		return err
	}
	tx.Requires = append(append(tx.Requires, counted), h.facts.unchanged()...)
	tx.Unrevoked = []store.Unrevoked{{Selectors: e.Record.Selectors(), Since: e.Record.Since}}
	return turning(tx, e, state.Resume, lineage.Resume, by, taskHead{Budget: head.Budget})
}

// wake decides anew what comes back to life with the task: signals pass by what is suspended.
func (g *Governor) wake(ctx context.Context, by Client, e store.Entry) error {
	below := func(r lineage.Record) bool { return r.ID() != e.Record.ID() }
	sel := lineage.Selector{Kind: lineage.SelectTask, Value: e.Record.ID().String()}
	out, err := g.reconsider(ctx, by, review{sel: sel, state: lineage.Suspended, outdated: below, what: "the task is resumed"})
	if err == nil && !out.Complete {
		err = unavailable("resume", ctx.Err())
	}
	return err
}

// suspend adds to tx what suspends a task, and what was in force then: where that is so still when it is resumed, nothing
// made under it has to be decided anew.
func (g *Governor) suspend(ctx context.Context, by Client, e store.Entry, tx *store.Tx) error {
	now, _, err := g.inForce(ctx)
	if err != nil {
		return err
	}
	return turning(tx, e, state.Suspend, lineage.Suspend, by, taskHead{e.Record.Body.Task.Budget, by.is(KindOperator), &now})
}

// inForce returns what decisions rest on now, and the condition under which there was no signal since.
func (g *Governor) inForce(ctx context.Context) (inForce, store.Require, error) {
	heads, err := g.cfg.Store.Heads(ctx, g.cfg.Issuer, []string{signalsKey})
	if err != nil {
		return inForce{}, store.Require{}, unavailable("store", err)
	}
	now := inForce{Signals: heads[0].Version}
	if v, ok := g.cfg.Policy.(versioned); ok {
		now.Policy = v.Version()
	}
	return now, store.Require{Key: signalsKey, Version: heads[0].Version, State: heads[0].State}, nil
}

// holding adds to tx what lets only an operator resume a task that is suspended already.
func holding(tx *store.Tx, e store.Entry) error {
	head := headOf(e, taskKey(e.Record.ID()))
	var v taskHead
	if err := readHead(head, &v); err != nil {
		return err
	}
	v.Held = true
	value, err := json.Marshal(v)
	if err != nil {
		return unavailable("task", err)
	}
	tx.Swaps = []store.Swap{{Key: head.Key, Version: head.Version, State: head.State, Value: value}}
	return nil
}

// turning adds to tx what suspends or resumes a task: its new state, and the entry in the feed.
func turning(tx *store.Tx, e store.Entry, event string, action lineage.Action, by Client, next taskHead) error {
	if err := ending(tx, e, event, by); err != nil {
		return err
	}
	value, err := json.Marshal(next)
	if err != nil {
		return unavailable("task", err)
	}
	tx.Swaps[0].Value, tx.Revocations[0].Action, tx.Revocations[0].Reason = value, action, ""
	return nil
}

// ending adds to tx what ends a task: its new state, and the revocation that kills all it made.
func ending(tx *store.Tx, e store.Entry, event string, by Client) error {
	id := e.Record.ID()
	head := headOf(e, taskKey(id))
	to, ok := state.Task(head.State, event)
	if !ok {
		return fmt.Errorf("%w: the task is %s", ErrConflict, head.State)
	}
	tx.Swaps = []store.Swap{{Key: head.Key, Version: head.Version, State: to, Value: head.Value}}
	tx.Revocations = []lineage.Revocation{{
		Selector: lineage.Selector{Kind: lineage.SelectTask, Value: id.String()}, At: tx.Time, By: by.ID, Reason: to,
	}}
	return nil
}
