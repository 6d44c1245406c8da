package bench

import (
	"fmt"
	"testing"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

// derived is how many tokens are derived from a task token.
const derived = 9

// work is a task with its token and those derived from it, as the boundary has recorded them, to be copied.
type work struct {
	task, token, child lineage.Record
	head               store.Head
}

// newWork lets a boundary issue the tokens of one task.
func newWork(b *testing.B) work {
	g := newBoundary(b, memory.New())
	g.signal(b, "agent", "low")
	first := g.issue(b, triage("agent", human("alice")))
	second := g.issue(b, triage("agent", accessToken(first)))
	found, err := g.store.Get(b.Context(), issuer, []lineage.ID{first.TaskID, first.ID, second.ID})
	if err != nil {
		b.Fatal(err)
	}
	w := work{task: found[0].Record, token: found[1].Record, child: found[2].Record}
	// Beside the task and its token stands the refresh family, which is left out.
	w.token.Parents, w.token.Ancestors = []lineage.ID{w.task.ID()}, []lineage.ID{w.task.ID()}
	w.child.Parents, w.child.Ancestors = []lineage.ID{w.token.ID()}, []lineage.ID{w.task.ID(), w.token.ID()}
	heads, err := g.store.Heads(b.Context(), issuer, []string{"task:" + w.task.ID().String()})
	if err != nil || heads[0].Version == 0 {
		b.Fatal(err, heads)
	}
	w.head = heads[0]
	return w
}

// copier makes records like others, of another person and agent, each a millisecond younger than the one before.
type copier struct {
	at           time.Time
	names        map[string]string // by those in the original
	ids          map[lineage.ID]lineage.ID
	agent, human string
}

func (c *copier) copy(r lineage.Record) (lineage.Record, error) {
	c.at = c.at.Add(time.Millisecond)
	env, body := r.Envelope, *r.Body
	env.IssuedAt, env.Since, env.ExpiresAt = c.at, c.at, c.at.Add(8*time.Hour)
	env.Parents, env.Ancestors, env.Grant = c.translate(env.Parents), c.translate(env.Ancestors), c.ids[env.Grant]
	body.Client, body.Subject.ID, body.Session.ID = c.agent, c.human, "session-"+c.human
	body.Actors = []lineage.Party{body.Actors[0]}
	body.Actors[0].ID = c.agent
	body.Facts = map[string]uint64{"fact:env": 1}
	task := *body.Task
	task.ID, task.Deadline = c.ids[task.ID], env.ExpiresAt
	body.Task = &task
	body.Selectors = make([]lineage.Selector, 0, len(r.Body.Selectors))
	for _, s := range r.Body.Selectors {
		if name, ok := c.names[s.Value]; ok {
			s.Value = name
		}
		body.Selectors = append(body.Selectors, s)
	}
	out, err := lineage.Seal(env, body)
	c.ids[r.ID()], c.names[r.ID().String()] = out.ID(), out.ID().String()
	return out, err
}

func (c *copier) translate(ids []lineage.ID) (out []lineage.ID) {
	for _, id := range ids {
		out = append(out, c.ids[id])
	}
	return out
}

// again returns the same work, done from a moment on by another agent for another person: its write, with n derived tokens,
// and what makes more of these.
func (w work) again(agent, person string, at time.Time, n int) (store.Tx, *copier, error) {
	c := &copier{
		at: at, agent: agent, human: person, ids: map[lineage.ID]lineage.ID{},
		names: map[string]string{"alice": person, "session-alice": "session-" + person, "agent": agent},
	}
	tx := store.Tx{Issuer: issuer, Time: time.Now(), Leeway: time.Hour}
	for i := range n + 2 {
		r := w.child
		if i < 2 {
			r = []lineage.Record{w.task, w.token}[i]
		}
		sealed, err := c.copy(r)
		if err != nil {
			return tx, c, err
		}
		tx.Records = append(tx.Records, sealed)
	}
	tx.Swaps = []store.Swap{{
		Key: "task:" + tx.Records[0].ID().String(), State: w.head.State, Value: w.head.Value,
	}}
	return tx, c, nil
}

// crowd records a task of agent-0 under which n tokens have been derived, in commits as they come from many callers.
func (w work) crowd(b *testing.B, s store.Store, n int) lineage.ID {
	commit := func(tx store.Tx, err error) {
		if err == nil {
			err = s.Commit(b.Context(), []store.Tx{tx})[0]
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	first := min(n, 256)
	tx, c, err := w.again("agent-0", "person", time.Now().Add(-time.Duration(n+2)*time.Millisecond), first)
	commit(tx, err)
	task := tx.Records[0].ID()
	for done := first; done < n; done += len(tx.Records) {
		tx = store.Tx{Issuer: issuer, Time: time.Now(), Leeway: time.Hour}
		for range min(n-done, 256) {
			r, err := c.copy(w.child)
			if err != nil {
				b.Fatal(err)
			}
			tx.Records = append(tx.Records, r)
		}
		commit(tx, nil)
	}
	return task
}

// A commit holds a twentieth of what is there already, within these bounds, in tasks: a large first commit is slow in bolt,
// which splits a page only when it is written.
const leastBatch, mostBatch = 20, 300

// populate records tokens of agents that did nothing before: agent-first, agent-first+1, and so on, each with so many.
func (w work) populate(b *testing.B, s store.Store, first, count, tokens int) {
	begin := time.Now()
	perAgent := tokens / (derived + 1)
	at := begin.Add(-time.Duration(count*perAgent) * (derived + 2) * time.Millisecond)
	ready := make(chan []store.Tx, 1)
	failed := make(chan error, 1)
	go func() {
		defer close(ready)
		var txs []store.Tx
		size := leastBatch
		for i := range count * perAgent {
			agent := first + i/perAgent
			tx, _, err := w.again(fmt.Sprintf("agent-%d", agent), fmt.Sprintf("person-%d-%d", agent, i%perAgent), at, derived)
			at = at.Add((derived + 2) * time.Millisecond)
			if err != nil {
				failed <- err
				return
			}
			if txs = append(txs, tx); len(txs) == size {
				ready <- txs
				txs, size = nil, min(max(i/20, leastBatch), mostBatch)
			}
		}
		ready <- txs
	}()
	for txs := range ready {
		for _, err := range s.Commit(b.Context(), txs) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	select {
	case err := <-failed:
		b.Fatal(err)
	default:
	}
	if count > 1 {
		b.Logf("%d tokens of %d agents recorded in %v", count*tokens, count, time.Since(begin).Round(time.Millisecond))
	}
}
