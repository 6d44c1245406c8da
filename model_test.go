package tokenboundary_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// model is the boundary as a plain list of nodes: no store, no hashes, no selectors. It walks up the tree where the
// Governor looks things up.
type model struct {
	nodes []*node
	tasks map[lineage.ID]bool // whether it was ended
}

type node struct {
	d       tb.Decision
	client  string
	parent  *node
	task    lineage.ID
	expires time.Time
	scopes  []string
	dead    bool // cut by name, or by what it carried at the time
}

func (m *model) alive(n *node, now time.Time) lineage.State {
	for x := n; x != nil; x = x.parent {
		if x.dead || m.tasks[x.task] {
			return lineage.Revoked
		}
	}
	if !now.Before(n.expires) {
		return lineage.Expired
	}
	return lineage.Active
}

// carries reports whether n or anything above it has the property.
func (n *node) carries(has func(*node) bool) bool {
	return has(n) || n.parent != nil && n.parent.carries(has)
}

func (m *model) cut(has func(*node) bool) {
	for _, n := range m.nodes {
		n.dead = n.dead || n.carries(has)
	}
}

var agents = []string{"orchestrator", "researcher", "tool"}

// TestRandomHistoriesFollowTheModel runs random histories of issuing, deriving, cutting and waiting, and compares what
// the Governor says of every token with the model: never wider, never longer, never alive under something dead.
func TestRandomHistoriesFollowTheModel(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(40) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			h := &history{seen: seen, world: newWorld(t), rnd: rand.New(rand.NewPCG(seed, 1)), model: model{tasks: map[lineage.ID]bool{}}}
			for range 60 {
				h.step()
			}
			h.check()
		})
	}
	for _, what := range []string{"derived", "refused", "active", "revoked", "expired"} {
		require.Greater(t, seen[what], 50, "the histories must reach all that they test: %s", what)
	}
}

type history struct {
	seen map[string]int
	*world
	model
	rnd *rand.Rand
}

func (h *history) pick() *node {
	if len(h.nodes) == 0 {
		return nil
	}
	return h.nodes[h.rnd.IntN(len(h.nodes))]
}

func (h *history) step() {
	switch n := h.pick(); {
	case n == nil || h.rnd.IntN(8) == 0:
		h.root()
	case h.rnd.IntN(10) < 7:
		h.derive(n, agents[h.rnd.IntN(len(agents))])
	case h.rnd.IntN(3) == 0:
		h.clock.Add(time.Duration(h.rnd.IntN(120)) * time.Second)
	default:
		h.cutSomething(n)
	}
}

func (h *history) scopes() []string {
	all := []string{"a", "b", "c", "d"}
	h.rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return slices.Sorted(slices.Values(all[:1+h.rnd.IntN(len(all))]))
}

func (h *history) root() {
	client := agents[h.rnd.IntN(len(agents))]
	person := fmt.Sprint("person", len(h.nodes)) // nobody was revoked before
	req := h.exchange(client, h.human(person), crm, h.scopes()...)
	if h.rnd.IntN(2) == 0 {
		req.Task = &tb.TaskSpec{Purpose: "work", ExpiresIn: 10 * time.Minute}
	}
	h.add(h.try(req), client, nil)
}

// try decides and records. Nothing may be refused for want of time alone: a cut a moment ago is waited out.
func (h *history) try(req tb.Request) tb.Decision {
	h.Helper()
	req.Enforce = everything &^ tb.CapRecord
	for {
		d, err := h.Decide(h.ctx, req)
		if err == nil {
			return d
		}
		require.ErrorIs(h, err, tb.ErrUnavailable)
		h.clock.Add(2 * time.Second)
	}
}

func (h *history) add(d tb.Decision, client string, parent *node) {
	if d.Effect != tb.Allow {
		return
	}
	n := &node{d: d, client: client, parent: parent, task: d.TaskID, expires: d.ExpiresAt, scopes: d.Granted.Scopes(crm)}
	h.nodes = append(h.nodes, n)
}

func (h *history) derive(parent *node, client string) {
	asked := h.scopes()
	d := h.try(h.exchange(client, host(parent.d), crm, asked...))
	held := slices.DeleteFunc(slices.Clone(asked), func(s string) bool { return !slices.Contains(parent.scopes, s) })
	may := h.alive(parent, h.clock.Now()) == lineage.Active && len(held) > 0 && !h.loop(parent, client)
	require.Equal(h, may, d.Effect == tb.Allow, "%s from %s: %+v", client, parent.client, d)
	if !may {
		h.seen["refused"]++
		return
	}
	h.seen["derived"]++
	require.Equal(h, held, d.Granted.Scopes(crm), "exactly what was asked for and held")
	require.False(h, d.ExpiresAt.After(parent.expires), "a child never outlives its parent")
	require.LessOrEqual(h, len(d.Actors), 3)
	require.Equal(h, parent.d.Subject, d.Subject)
	h.add(d, client, parent)
}

// loop reports whether client held the authority before and handed it on, or the chain is full.
func (h *history) loop(parent *node, client string) bool {
	return client != parent.client &&
		(parent.carries(func(n *node) bool { return n.client == client }) || len(parent.d.Actors) >= 3)
}

func (h *history) cutSomething(n *node) {
	switch h.rnd.IntN(4) {
	case 0:
		h.revoke("token:"+n.d.ID.String(), lineage.Cut)
		h.cut(func(x *node) bool { return x == n })
	case 1:
		h.revoke("subject:"+n.d.Subject.ID, lineage.Cut)
		h.cut(func(x *node) bool { return x.d.Subject.ID == n.d.Subject.ID })
	case 2:
		h.revoke("client:"+n.client, lineage.Cut)
		h.cut(func(x *node) bool { return x.client == n.client })
	case 3:
		if !n.task.IsZero() {
			_, err := h.SetTask(h.ctx, ops, n.task, tb.TaskCompleted)
			require.NoError(h, err)
			task, err := h.Task(h.ctx, ops, n.task)
			require.NoError(h, err)
			h.tasks[n.task] = task.State == tb.TaskCompleted || task.State == tb.TaskRevoked || h.tasks[n.task]
		}
	}
}

func (h *history) check() {
	h.restart()
	for _, n := range h.nodes {
		want := h.alive(n, h.clock.Now())
		h.seen[string(want)]++
		require.Equal(h, want, h.state(n.d.ID))
		nodes, err := h.Lineage(h.ctx, ops, n.d.ID)
		require.NoError(h, err)
		chain := make([]lineage.Record, len(nodes))
		for i := range nodes {
			chain[i] = nodes[i].Record
		}
		require.NoError(h, lineage.VerifyChain(n.d.ID, chain))
	}
}
