package tokenboundary

import (
	"encoding/json"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// taskHead is the value of a task's head. The head's key is the task's selector, its count the derivations so far.
type taskHead struct {
	Budget uint64 `json:"budget"`
	// Held says that an operator has suspended the task: only an operator resumes it.
	Held bool `json:"held,omitempty"`
	// Since is what was in force when the task was suspended; absent while it is not.
	Since *inForce `json:"since,omitempty"`
}

// inForce is what decisions rest on at a moment: how many signals there have been, and the version of the policy.
type inForce struct {
	Signals uint64 `json:"signals"`
	Policy  string `json:"policy"`
}

// readTask is readHead for the head of a task. One that was never suspended is read without the decoder.
func readTask(h store.Head) (v taskHead, err error) {
	number, begins := strings.CutPrefix(string(h.Value), `{"budget":`)
	number, ends := strings.CutSuffix(number, "}")
	if n, err := strconv.ParseUint(number, 10, 64); begins && ends && err == nil && (number == "0" || number[0] != '0') {
		return taskHead{Budget: n}, nil
	}
	err = readHead(h, &v)
	return v, err
}

func taskKey(id lineage.ID) string {
	return lineage.Selector{Kind: lineage.SelectTask, Value: id.String()}.String()
}

// tasksOf yields the heads of all tasks that the record of e belongs to, itself included.
func tasksOf(e store.Entry) iter.Seq[store.Head] {
	return func(yield func(store.Head) bool) {
		for _, s := range e.Record.Selectors() {
			if s.Kind == lineage.SelectTask && !yield(headAt(e, s)) {
				return
			}
		}
	}
}

func handleKey(handle string) string { return canon.Key("handle", handle) }

// conditions returns what must not be revoked: the selectors of each new record and of what it is made from, each as of
// its own evidence.
func (h *hop) conditions() []store.Unrevoked {
	out := append(make([]store.Unrevoked, 0, len(h.evidence)+len(h.records)+2), h.evidence...)
	for _, r := range h.records {
		out = append(out, store.Unrevoked{Selectors: r.Selectors(), Since: r.Since})
	}
	for _, e := range h.sources() {
		out = append(out, store.Unrevoked{Selectors: e.Record.Selectors(), Since: e.Record.Since})
	}
	if h.deferred != nil && h.deferred.wait.By != "" {
		out = append(out, h.deferred.wait.approver())
	}
	return out
}

// spends returns the writes by which what is good for one use is used: single-use evidence, and a deferred request's
// release.
func (h *hop) spends() []store.Swap {
	var out []store.Swap
	for _, p := range h.proofs {
		out = append(out, h.g.spend(p))
	}
	if h.deferred != nil {
		out = append(out, h.deferred.release(h.g))
	}
	return out
}

// sources returns the entries of ours that the result is made from.
func (h *hop) sources() (out []*store.Entry) {
	for _, e := range []*store.Entry{h.parent, h.escort} {
		if e != nil {
			out = append(out, e)
		}
	}
	if h.deferred != nil {
		out = append(out, &h.deferred.entry)
	}
	return out
}

// tx returns an empty transaction of this issuer at now.
func (g *Governor) tx(now time.Time) store.Tx {
	return store.Tx{Issuer: g.cfg.Issuer, Time: now, Leeway: g.cfg.Lifetimes.ClockLeeway}
}

// grounds returns a transaction with the hop's records, everything they rest on, and everything that is used up.
func (h *hop) grounds() store.Tx {
	tx := h.g.tx(h.now)
	tx.Records, tx.Unrevoked = h.records, h.conditions()
	tx.Requires = h.facts.unchanged()
	tx.Swaps = h.spends()
	for _, e := range h.sources() {
		for head := range tasksOf(*e) {
			tx.Requires = append(tx.Requires, active(head.Key))
		}
	}
	return tx
}

// transaction returns the one write that records the hop, with every condition it rests on.
func (h *hop) transaction() (store.Tx, error) {
	tx := h.grounds()
	if h.parent != nil && h.req.Grant != Refresh { // which is no derivation, like a lease
		if err := derives(&tx, *h.parent); err != nil {
			return tx, err
		}
	}
	if err := h.rotate(&tx); err != nil {
		return tx, err
	}
	if h.task == nil {
		return tx, nil
	}
	task := h.records[0]
	value, err := json.Marshal(taskHead{Budget: task.Body.Task.Budget})
	if err != nil {
		return tx, fmt.Errorf("task head: %w", err)
	}
	tx.Swaps = append(tx.Swaps, store.Swap{Key: taskKey(task.ID()), State: string(TaskActive), Value: value})
	return tx, nil
}

// active returns the condition that the task whose head has the key is exactly active.
func active(key string) store.Require {
	return store.Require{Key: key, State: string(TaskActive), AnyVersion: true}
}

// whySpent is why nothing more is made under a task.
const whySpent = "the task has no derivation left"

// affordable refuses a derivation that a task above has nothing left for. What counts is the commit; this is for a hop that
// somebody else commits later, who could not tell the client why it failed.
func (h *hop) affordable() error {
	if h.parent == nil || h.req.Grant == Refresh {
		return nil
	}
	for head := range tasksOf(*h.parent) {
		switch v, err := readTask(head); {
		case err != nil:
			return err
		case head.Count >= v.Budget:
			return h.unacceptable(whySpent)
		}
	}
	return nil
}

// derives adds to tx what deriving from e takes: every task above has a derivation left.
func derives(tx *store.Tx, e store.Entry) error {
	for head := range tasksOf(e) {
		v, err := readTask(head)
		if err != nil {
			return err
		}
		tx.Adds = append(tx.Adds, store.Add{Key: head.Key, N: 1, Max: v.Budget})
	}
	return nil
}
