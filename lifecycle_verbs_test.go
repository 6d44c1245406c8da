package tokenboundary_test

import (
	"slices"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// cutBy revokes a name. What comes back is killed as of now, and a leeway.
func (m *model) cutBy(what name, action lineage.Action) {
	before := m.now.Add(leeway)
	switch what.kind {
	case lineage.SelectToken, lineage.SelectTask, lineage.SelectGrant, lineage.SelectSession, lineage.SelectKey:
		before = before.AddDate(100, 0, 0)
	}
	if action != lineage.Lift {
		m.cuts = append(m.cuts, &cut{what, before, action == lineage.Block})
		return
	}
	for _, c := range m.cuts {
		if c.what == what && c.open {
			c.open, c.before = false, before
		}
	}
}

// end ends one node.
func (m *model) end(n *node) {
	if n.kind == lineage.KindTask {
		n.state = tb.TaskRevoked
		return
	}
	m.cutBy(name{lineage.SelectToken, n.id.String()}, lineage.Cut)
}

// closure counts what would live but for the cuts of a name.
func (m *model) closure(what name) (c tb.Closure) {
	counts := map[lineage.Kind]*int{
		lineage.KindToken: &c.Tokens, lineage.KindTask: &c.Tasks, lineage.KindGrant: &c.Families, lineage.KindApproval: &c.Approvals,
	}
	without := *m
	without.cuts = slices.DeleteFunc(slices.Clone(m.cuts), func(c *cut) bool { return c.what == what })
	for _, n := range m.nodes {
		if !m.lives(n) && without.lives(n) && n.wait != "refused" && n.wait != "released" {
			*counts[n.kind]++
		}
	}
	c.Complete = true
	return c
}

// would reports whether what lives would be granted now.
func (m *model) would(n *node) bool {
	now := m.around(n)
	return len(n.scopes) == 0 || !now.denies() && len(keep(n.scopes, now.grants)) == len(n.scopes)
}

// reconsider ends the tokens and tasks that live, were decided on what no longer holds, and would not be granted now. What
// was suspended before the change has its turn when it is resumed, a refresh family at every refresh.
func (m *model) reconsider(outdated func(*node) bool) tb.Outcome {
	return m.review(func(n *node) bool {
		return outdated(n) && m.lives(n) && !n.up(func(x *node) bool { return x.state == tb.TaskSuspended && x.paused < m.tick })
	})
}

func (m *model) review(affected func(*node) bool) (out tb.Outcome) {
	var doomed []*node
	for _, n := range m.nodes {
		if n.kind != lineage.KindToken && n.kind != lineage.KindTask || !affected(n) {
			continue
		}
		if out.Examined++; !m.would(n) {
			doomed = append(doomed, n)
		}
	}
	for _, n := range doomed {
		m.end(n)
	}
	out.Revoked, out.Complete = len(doomed), true
	out.Kept = out.Examined - out.Revoked
	return out
}

// learn takes note of what a signal says of somebody.
func (m *model) learn(about name, f fact) tb.Outcome {
	old := m.facts[about]
	if f.since = old.since; f != old {
		m.tick++
		m.changed = m.now
		f.since = m.tick
	}
	m.facts[about] = f
	return m.reconsider(func(n *node) bool { return n.bears(about) && n.decided < f.since })
}

// freeze takes note of what a signal says of env.frozen.
func (m *model) freeze(to bool) tb.Outcome {
	if to != m.frozen {
		m.tick++
		m.frozen, m.froze, m.changed = to, m.tick, m.now
	}
	return m.reconsider(func(n *node) bool { return n.decided < m.froze })
}

// reload takes note of a signal that says that another policy set is in force. What was decided before the facts last changed
// may have been judged by another set since.
func (m *model) reload() tb.Outcome {
	m.tick++
	return m.reconsider(func(n *node) bool { return n.strict != m.strict || !n.at.After(m.changed.Add(2*leeway)) })
}

// setTask changes the state of a task. What comes back to life with it is decided anew, if anything has changed meanwhile.
func (m *model) setTask(by string, t *node, to tb.TaskState) error {
	is, operator := m.taskState(t), slices.Contains(operators, by)
	over, ends := is != tb.TaskActive && is != tb.TaskSuspended, to == tb.TaskCompleted || to == tb.TaskRevoked
	switch {
	case m.blocked(by):
		return tb.ErrForbidden
	case by != t.client && !operator:
		return tb.ErrNotFound
	case over && !ends:
		return tb.ErrConflict
	case to == tb.TaskSuspended && t.state == to:
		t.held = t.held || operator
	case to == tb.TaskSuspended:
		t.held, t.paused, t.pausedStrict = operator, m.tick, m.strict
	case over, is == to:
		return nil
	case to == tb.TaskActive && t.state != to && t.held && !operator:
		return tb.ErrForbidden
	case to == tb.TaskActive && t.parent.up(func(x *node) bool { return x.state == tb.TaskSuspended }):
		return tb.ErrConflict
	case to == tb.TaskActive && !m.would(t):
		return tb.ErrDenied
	case to == tb.TaskActive && (t.paused != m.tick || t.pausedStrict != m.strict):
		m.review(func(n *node) bool { return n != t && slices.Contains(n.tasks(), t) && m.lives(n) })
	}
	t.state = to
	return nil
}

// retire ends a token, or a refresh family, at the wish of its client.
func (m *model) retire(by string, n *node) error {
	switch {
	case m.blocked(by):
		return tb.ErrForbidden
	case by != n.client && !slices.Contains(operators, by):
		return tb.ErrDenied
	case n.stands:
		return m.setTask(by, n.tasks()[0], tb.TaskRevoked)
	}
	if m.lives(n) {
		m.end(n)
	}
	return nil
}

// approve agrees to what waits, or refuses it, for a person who must not take part in it, nor be cut.
func (m *model) approve(person string, w *node, to string) error {
	by := &node{client: "lead", subject: person, since: m.now}
	switch {
	case m.blocked(by.client), w.up(func(x *node) bool { return x.subject == person }):
		return tb.ErrForbidden
	case w.wait != "pending" || !m.lives(w):
		return tb.ErrConflict
	case m.over(by):
		return tb.ErrForbidden
	}
	w.wait, w.by = to, by
	return nil
}
