package tokenboundary

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/state"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// TaskState is the state of a task. Only exactly TaskActive permits anything; an unknown state is not active.
type TaskState string

// The states of a task.
const (
	TaskActive    TaskState = state.Active
	TaskSuspended TaskState = state.Suspended
	TaskCompleted TaskState = state.Completed
	TaskRevoked   TaskState = state.Revoked
	TaskExpired   TaskState = "expired" // follows from the deadline
)

// Task is an approved piece of work that tokens derive from.
type Task struct {
	ID          lineage.ID `json:"id"`
	State       TaskState  `json:"state"`
	Purpose     string     `json:"purpose"`
	ExpiresAt   time.Time  `json:"expires_at"`
	Derivations uint64     `json:"derivations"` // tokens made under it so far
}

// Task returns a task to the client that started it, or to an operator; to anybody else there is none.
func (g *Governor) Task(ctx context.Context, by Client, id lineage.ID) (Task, error) {
	if err := g.reads(by, KindAgent, KindWorkload, KindHumanApp, KindOperator); err != nil {
		return Task{}, err
	}
	e, err := g.taskEntry(ctx, by, id)
	return taskOf(e, g.latest()), err
}

// SetTask ends a task: TaskCompleted or TaskRevoked. Everything derived from it is dead when it returns; that is one
// write. Ending a task that has ended changes nothing and returns it as it is. By must be the client that started it,
// or an operator.
func (g *Governor) SetTask(ctx context.Context, by Client, id lineage.ID, to TaskState) (Task, error) {
	if !by.Kind.mayGet() && !by.is(KindOperator) || by.ID == "" {
		return Task{}, ErrForbidden
	}
	event, known := map[TaskState]string{TaskCompleted: state.Complete, TaskRevoked: state.Revoke}[to]
	if !known {
		return Task{}, fmt.Errorf("%w: task state", ErrInvalid)
	}
	now := g.now()
	e, err := g.taskEntry(ctx, by, id)
	if errors.Is(err, ErrNotFound) {
		if err := g.change(ctx, by, g.tx(now)); err != nil {
			return Task{}, err
		}
	}
	if err != nil {
		return Task{}, err
	}
	for range attempts {
		tx, t := g.tx(now), taskOf(e, now)
		if t.State == TaskActive || t.State == TaskSuspended {
			if err := ending(&tx, e, event, by); err != nil {
				return Task{}, err
			}
			t.State = to
		}
		err := g.change(ctx, by, tx)
		if err == nil {
			return t, nil
		}
		if !errors.Is(err, ErrConflict) {
			return Task{}, err
		}
		if e, err = g.entry(ctx, id); err != nil {
			return Task{}, err
		}
	}
	return Task{}, fmt.Errorf("%w: the task keeps changing", ErrConflict)
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

// taskEntry returns the entry of a task that by may see.
func (g *Governor) taskEntry(ctx context.Context, by Client, id lineage.ID) (store.Entry, error) {
	e, err := g.entry(ctx, id)
	if err != nil {
		return store.Entry{}, err
	}
	if e.Record.Kind != lineage.KindTask || e.Record.Body == nil || e.Record.Body.Client != by.ID && !by.is(KindOperator) {
		return store.Entry{}, fmt.Errorf("%w: task", ErrNotFound)
	}
	return e, nil
}

// taskOf returns the task that an entry describes. How it ended stands in its head; that anything above it was cut, in
// its marks; that its time is up, in the clock.
func taskOf(e store.Entry, now time.Time) Task {
	r := e.Record
	if r.Body == nil || r.Body.Task == nil {
		return Task{}
	}
	head := headOf(e, taskKey(r.ID()))
	t := Task{
		ID: r.ID(), State: TaskState(head.State), Purpose: r.Body.Task.Purpose, ExpiresAt: r.ExpiresAt, Derivations: head.Count,
	}
	if t.State != TaskActive && t.State != TaskSuspended {
		return t
	}
	switch stateOf(e, now) {
	case lineage.Revoked:
		t.State = TaskRevoked
	case lineage.Expired:
		t.State = TaskExpired
	}
	return t
}
