package crash

import (
	"context"
	"errors"
	"fmt"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// check looks whether everything is exactly as the model says, without changing anything.
func (m *model) check(ctx context.Context, n *node, v view) error {
	if err := m.checkFeed(ctx, n, v); err != nil {
		return fmt.Errorf("feed: %w", err)
	}
	for id := range m.known() {
		if _, ok := v.records[id]; !ok {
			return fmt.Errorf("the record %s is gone", id)
		}
	}
	for id := range v.records {
		if err := verified(ctx, n, id); err != nil {
			return err
		}
	}
	for _, name := range m.names {
		if err := m.checkItem(ctx, n, m.items[name]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return m.checkWaiting(ctx, n)
}

// checkFeed: gapless, in order, exactly what was revoked, and every entry in force.
func (m *model) checkFeed(ctx context.Context, n *node, v view) error {
	if len(v.feed) != len(m.feed) {
		return fmt.Errorf("%d entries, want %d", len(v.feed), len(m.feed))
	}
	for i, r := range v.feed {
		want := m.feed[i]
		if r.Seq != uint64(i+1) || r.Selector.String() != m.selector(want) || r.Action != want.action {
			return fmt.Errorf("entry %d is %d %s %q, want %s %q", i+1, r.Seq, r.Selector, r.Action, m.selector(want), want.action)
		}
		if r.Action != lineage.Cut {
			continue
		}
		marks, err := n.store.Revoked(ctx, n.issuer, []lineage.Selector{r.Selector})
		if err != nil {
			return err
		}
		if len(marks) != 1 || !marks[0].Kills(r.At) {
			return fmt.Errorf("entry %d is not in force: %+v", r.Seq, marks)
		}
	}
	return nil
}

// verified: the chain from a record to its root is there and is what was recorded.
func verified(ctx context.Context, n *node, id lineage.ID) error {
	nodes, err := n.Lineage(ctx, ops, id)
	if err != nil {
		return fmt.Errorf("lineage of %s: %w", id, err)
	}
	chain := make([]lineage.Record, len(nodes))
	for i, x := range nodes {
		chain[i] = x.Record
	}
	return lineage.VerifyChain(id, chain)
}

func (m *model) checkItem(ctx context.Context, n *node, i *item) error {
	if i.kind == "token" {
		if err := m.checkToken(ctx, n, i); err != nil {
			return err
		}
	}
	if i.kind == "token" && i.state != "" {
		return m.checkTask(ctx, n, i)
	}
	return nil
}

// checkToken: alive or dead as it must be, and its use counted.
func (m *model) checkToken(ctx context.Context, n *node, i *item) error {
	want := m.active(i)
	if i.doomed && !i.dead {
		return errors.New("the signal has not revoked it")
	}
	nodes, err := n.Lineage(ctx, ops, i.ID)
	if err != nil {
		return err
	}
	last := nodes[len(nodes)-1]
	if (last.State == lineage.Active) != want {
		return fmt.Errorf("it is %s, want active: %t", last.State, want)
	}
	if i.Token != "" {
		s, err := n.Introspect(ctx, api, i.Token)
		if err != nil {
			return err
		}
		if s.Active != want {
			return fmt.Errorf("introspected as active: %t, want %t", s.Active, want)
		}
	}
	var uses uint64
	for _, u := range last.Usage {
		uses += u.Count
	}
	if uses != i.uses {
		return fmt.Errorf("%d uses, want %d", uses, i.uses)
	}
	return nil
}

// checkTask: in exactly one state, with exactly so many derivations.
func (m *model) checkTask(ctx context.Context, n *node, i *item) error {
	t, err := n.Task(ctx, ops, i.Task)
	if err != nil {
		return err
	}
	if t.Derivations != i.derived || t.Derivations > i.budget {
		return fmt.Errorf("%d derivations of %d, want %d", t.Derivations, i.budget, i.derived)
	}
	want := tb.TaskState(i.state)
	if i.ended && i.state != "completed" {
		want = tb.TaskRevoked
	}
	if t.State != want {
		return fmt.Errorf("the task is %s, want %s", t.State, want)
	}
	return nil
}

// checkWaiting: exactly those that nobody has decided wait.
func (m *model) checkWaiting(ctx context.Context, n *node) error {
	all, err := n.Approvals(ctx, lead)
	if err != nil {
		return err
	}
	waiting := map[lineage.ID]bool{}
	for _, a := range all {
		waiting[a.ID] = true
	}
	for _, name := range m.names {
		i := m.items[name]
		if i.kind != "approval" {
			continue
		}
		if want := i.state == "pending" && !i.dead; waiting[i.ID] != want {
			return fmt.Errorf("%s: waits: %t, want %t", name, waiting[i.ID], want)
		}
		delete(waiting, i.ID)
	}
	if len(waiting) > 0 {
		return errors.New("something waits that nobody has asked for")
	}
	return nil
}
