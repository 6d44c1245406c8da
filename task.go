package tokenboundary

import (
	"context"
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
	if err := g.reads(ctx, by, KindAgent, KindWorkload, KindHumanApp, KindOperator); err != nil {
		return Task{}, err
	}
	e, err := g.taskEntry(ctx, by, id)
	return taskOf(e, g.latest()), err
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
	case lineage.Suspended: // it, or a task that it lives in
		t.State = TaskSuspended
	}
	return t
}
