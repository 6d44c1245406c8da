package crash

import (
	"context"
	"errors"
	"fmt"

	tb "github.com/tokenboundary/tokenboundary"
)

// verdict is what a crashed script has left: what is true, and what became of the operation that was not answered.
type verdict struct {
	*model
	lost *op // nil: all were answered, or the node had not begun
	done bool
}

// settle compares what a crashed script has left with what was answered. What was answered is true; the operation after the
// last answer has either happened, all of it, or not at all. Nothing is changed.
func settle(ctx context.Context, n *node, was *model, ops []op, r result) (verdict, error) {
	m := was.copy()
	got, _ := r.acknowledged()
	if len(got) > len(ops) {
		return verdict{}, fmt.Errorf("%d answers to %d operations", len(got), len(ops))
	}
	for i, out := range got {
		m.apply(ops[i], out)
	}
	v, err := n.look(ctx)
	if err != nil {
		return verdict{}, err
	}
	fit := func(m *model) error {
		if err := m.adopt(v); err != nil {
			return err
		}
		return m.check(ctx, n, v)
	}
	if len(got) == len(ops) || len(r.lines) == 0 {
		return verdict{model: m}, fit(m)
	}
	o, all := ops[len(got)], m.copy()
	all.apply(o, made{})
	if o.Kind == "signal" {
		if err := m.begun(ctx, n, o); err != nil {
			return verdict{}, err
		}
	}
	undone, done := fit(m), fit(all)
	switch {
	case undone == nil && done == nil && o.Kind != "signal":
		return verdict{}, fmt.Errorf("%s: cannot be told from nothing", o)
	case undone == nil:
		return verdict{m, &o, false}, nil
	case done == nil:
		return verdict{all, &o, true}, nil
	}
	return verdict{}, fmt.Errorf("%s was not answered, and is neither undone (%w) nor done (%w)", o, undone, done)
}

// follow does what the caller does who got no answer.
func (v verdict) follow(ctx context.Context, n *node) error {
	switch {
	case v.lost == nil:
		return nil
	case v.done:
		return v.recover(ctx, n, *v.lost)
	}
	return v.retry(ctx, n, *v.lost)
}

// still checks the model once more.
func (m *model) still(ctx context.Context, n *node) error {
	v, err := n.look(ctx)
	if err == nil {
		err = m.adopt(v)
	}
	if err == nil {
		err = m.check(ctx, n, v)
	}
	return err
}

// begun notes how far a signal has come: only a signal writes more than once. Its evidence goes with the first write, which
// is the fact; after that what would not be issued now is revoked, one after the other.
func (m *model) begun(ctx context.Context, n *node, o op) error {
	heads, err := n.store.Heads(ctx, n.issuer, []string{"subject:" + o.Who})
	if err != nil || heads[0].Version == 0 {
		return err
	}
	m.risky[o.Who] = true
	if o.Once != "" {
		m.spent[o.Once] = o.Client
	}
	return nil
}

// retry: what has not happened can be done again, with the same evidence, and then has happened once. A signal that is known
// is sent again with other evidence, and the rest follows.
func (m *model) retry(ctx context.Context, n *node, o op) error {
	o.At = n.clock.Now()
	if o.Kind == "signal" && m.risky[o.Who] {
		o.Once = ""
	}
	out, err := n.do(ctx, o, m.held())
	if o.Kind == "resume" && errors.Is(err, tb.ErrUnauthenticated) { // it was spent before anything was decided anew
		m.spent[o.Once], o.Once = o.Client, ""
		out, err = n.do(ctx, o, m.held())
	}
	if err != nil {
		return fmt.Errorf("%s has not happened, and again: %w", o, err)
	}
	m.apply(o, out)
	if err := m.still(ctx, n); err != nil {
		return fmt.Errorf("%s the second time: %w", o, err)
	}
	return nil
}

// recover: what has happened without an answer is not done again by asking once more. The answer of a refresh can still be
// had, and is its one successor; everything else says that it was done.
func (m *model) recover(ctx context.Context, n *node, o op) error {
	once := o.Once
	o.At, o.Once = n.clock.Now(), ""
	in := m.items[o.In]
	var want error
	switch o.Kind {
	case "refresh":
		return m.recoverRefresh(ctx, n, o)
	case "approve", "refuse":
		want = tb.ErrConflict
	case "record": // what it rests on was used
		if once == "" {
			return nil
		}
		o.Once, want = once, tb.ErrConflict
	case "complete", "suspend", "resume", "retire":
	case "poll":
		_, err := n.do(ctx, o, map[string]made{o.In: in.made})
		return denied(err, tb.CodeInvalidGrant)
	default:
		if once == "" {
			return nil
		}
		o.Once, want = once, tb.ErrUnauthenticated
	}
	if _, err := n.do(ctx, o, m.held()); !errors.Is(err, want) {
		return fmt.Errorf("%s has happened, and again: %w, want %w", o, err, want)
	}
	return m.still(ctx, n)
}

func (m *model) recoverRefresh(ctx context.Context, n *node, o op) error {
	first := m.items[m.items[o.In].family]
	out, err := n.do(ctx, o, map[string]made{o.In: {Refresh: first.last}})
	if err != nil {
		return fmt.Errorf("the lost answer of %s: %w", o, err)
	}
	o.Out += " again"
	last := first.last
	m.apply(o, out)
	first.last = last
	return m.still(ctx, n)
}
