package tokenboundary_test

import (
	"slices"
	"time"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// The model is the boundary as a plain tree of what was recorded: no store, no hashes, no selectors, no versions. Where
// the Governor looks things up, it walks up the tree. This file says what is known and what it amounts to;
// lifecycle_decide_test.go what a request for a token comes to, and lifecycle_verbs_test.go what all else changes.

// model is all that the boundary knows.
type model struct {
	now            time.Time
	nodes          []*node
	cuts           []*cut
	facts          map[name]fact // what signals have said of somebody
	frozen, strict bool          // the fact env.frozen; which of the two policy sets is in force
	tick, froze    int           // how many changes were signalled; at which one frozen was changed
	changed        time.Time     // when facts were last changed
	key            string        // that tokens are signed with
}

// node is one record: a token, a task, a refresh family, or a request that waits for an approval.
type node struct {
	kind   lineage.Kind
	id     lineage.ID
	parent *node
	agreed *node  // the request that waited for it, where one did: cutting that cuts what it released
	value  string // what its client was given: an access token, or a deferral code

	client, subject, session, connection, key string

	chain          []string // who acts, the current actor first
	scopes, holds  []string // what it is good for; what can be derived from it
	stands         bool     // it is a task token, or its refresh family: ending it ends the task
	since, expires time.Time
	decided        int       // at which tick
	at             time.Time // when
	strict         bool      // by which policy set

	// Of a task. Held: an operator has suspended it. Paused: at which tick, and under which policy set.
	state        tb.TaskState
	held         bool
	paused       int
	pausedStrict bool
	budget, used uint64
	// Of a refresh family: its refresh tokens, the current one last.
	issued        []string
	rotated, idle time.Time
	// Of a request that waits: pending, approved, refused or released; and how it is polled.
	wait     string
	by       *node // who has decided, and when
	asked    ask
	interval time.Duration
	polled   time.Time
}

// name is what a revocation or a fact is about: {client tool}.
type name struct{ kind, value string }

// cut kills what bears the name and is older than before or, while it is open, everything: a block that is not lifted.
type cut struct {
	what   name
	before time.Time
	open   bool
}

// fact is what is known of somebody, since a tick.
type fact struct {
	risk, acr string
	assured   time.Time
	since     int
}

// bears reports whether n has the name by itself, whatever it was made from.
func (n *node) bears(x name) bool {
	switch x.kind {
	case lineage.SelectToken:
		return n.id.String() == x.value || n.agreed != nil && n.agreed.bears(x)
	case lineage.SelectTask:
		return n.kind == lineage.KindTask && n.id.String() == x.value
	case lineage.SelectGrant:
		r := n.root() // what waits is no grant yet
		return r.id.String() == x.value && r.kind != lineage.KindApproval
	case lineage.SelectPath:
		return x.value == "/agents" || x.value == "/agents/"+n.client
	case lineage.SelectActor: // who acts for nobody else acts for itself
		return slices.Contains(n.chain, x.value) || len(n.chain) == 0 && n.subject == x.value
	case lineage.SelectClient:
		return n.client == x.value
	case lineage.SelectSubject:
		return n.subject == x.value
	case lineage.SelectSession:
		return n.session == x.value
	case lineage.SelectConnection:
		return n.connection == x.value
	}
	return x.kind == lineage.SelectKey && n.key == x.value
}

// up reports whether n or anything above it has the property.
func (n *node) up(has func(*node) bool) bool { return n != nil && (has(n) || n.parent.up(has)) }

func (n *node) root() *node {
	for n.parent != nil {
		n = n.parent
	}
	return n
}

// above returns how many records n stands under.
func (n *node) above() (count int) {
	n.parent.up(func(*node) bool { count++; return false })
	return count
}

// tasks returns the tasks that n belongs to, itself included, the innermost first.
func (n *node) tasks() (all []*node) {
	n.up(func(x *node) bool {
		if x.kind == lineage.KindTask {
			all = append(all, x)
		}
		return false
	})
	return all
}

func (c *cut) kills(n *node) bool { return n.bears(c.what) && (c.open || n.since.Before(c.before)) }

// blocked reports whether a client is: then it may do nothing at all.
func (m *model) blocked(client string) bool {
	return slices.ContainsFunc(m.cuts, func(c *cut) bool { return c.open && c.what == name{lineage.SelectClient, client} })
}

// over reports whether n itself was cut, by whatever name, or is a task that was ended.
func (m *model) over(n *node) bool {
	return n.state == tb.TaskCompleted || n.state == tb.TaskRevoked ||
		slices.ContainsFunc(m.cuts, func(c *cut) bool { return c.kills(n) })
}

// stateOf says what n amounts to now.
func (m *model) stateOf(n *node) lineage.State {
	switch {
	case n.up(m.over):
		return lineage.Revoked
	case !m.now.Before(n.expires):
		return lineage.Expired
	case n.up(func(x *node) bool { return x.state == tb.TaskSuspended }):
		return lineage.Suspended
	}
	return lineage.Active
}

// taskState says what a task amounts to now: that it was completed, else what became of it.
func (m *model) taskState(t *node) tb.TaskState {
	if t.state == tb.TaskCompleted {
		return t.state
	}
	return tb.TaskState(m.stateOf(t))
}

func (m *model) lives(n *node) bool {
	s := m.stateOf(n)
	return s == lineage.Active || s == lineage.Suspended
}

// circumstances are what the policy of these histories looks at. It is a pure function of them, over four scopes: a and b
// can be refreshed, b is not in the strict set, c is not granted at a high risk, and d has to be approved.
type circumstances struct {
	client                string
	risky, frozen, strict bool // risky: a high risk is known of somebody who takes part
}

// around returns the circumstances of what n says.
func (m *model) around(n *node) circumstances {
	c := circumstances{client: n.client, frozen: m.frozen, strict: m.strict}
	for about, f := range m.facts {
		c.risky = c.risky || f.risk == "high" && n.bears(about)
	}
	return c
}

// denies is the policy's deny rule.
func (c circumstances) denies() bool { return c.frozen && c.client == "tool" }

// grants are its allow rules.
func (c circumstances) grants(scope string) bool {
	switch scope {
	case "b":
		return !c.strict
	case "c":
		return !c.risky
	}
	return scope == "a" || scope == gated
}

const gated = "d" // the scope that has to be approved

func renewable(scope string) bool     { return scope == "a" || scope == "b" }
func delegated(scope, to string) bool { return scope != "c" || to == "tool" }

// keep returns what of the list has the property.
func keep(list []string, has func(string) bool) (out []string) {
	for _, s := range list {
		if has(s) {
			out = append(out, s)
		}
	}
	return out
}

// in returns the property of being in a list.
func in(list []string) func(string) bool {
	return func(s string) bool { return slices.Contains(list, s) }
}
