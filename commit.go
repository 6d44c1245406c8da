package tokenboundary

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// taskHead is the value of a task's head. The head's key is the task's selector, its count the derivations so far.
type taskHead struct {
	Budget uint64 `json:"budget"`
}

func taskKey(id lineage.ID) string {
	return lineage.Selector{Kind: lineage.SelectTask, Value: id.String()}.String()
}

// taskKeys returns the keys of the heads of all tasks that r belongs to, itself included.
func taskKeys(r lineage.Record) (keys []string) {
	for _, s := range r.Selectors() {
		if s.Kind == lineage.SelectTask {
			keys = append(keys, s.String())
		}
	}
	return keys
}

func handleKey(handle string) string { return canon.Key("handle", handle) }

// unblocked is the last step before the commit: nothing that the result carries may be revoked as of its evidence. The
// commit checks the same again, as its own condition; this says so with the right code.
func (h *hop) unblocked(ctx context.Context) error {
	checks := h.conditions()
	var sels []lineage.Selector
	for _, c := range checks {
		sels = append(sels, c.Selectors...)
	}
	marks, err := h.g.cfg.Store.Revoked(ctx, h.g.cfg.Issuer, lineage.Union(sels))
	if err != nil {
		return unavailable("store", err)
	}
	for _, m := range marks {
		for _, c := range checks {
			for _, s := range c.Selectors {
				if s == m.Selector && m.Kills(c.Since) {
					return h.dead(m, c.Since)
				}
			}
		}
	}
	return nil
}

// dead says how a mark on something of this request is answered: a block by the code of what is blocked, a cut as a token
// that is not acceptable.
func (h *hop) dead(m lineage.Mark, since time.Time) error {
	// Evidence tells its age in seconds.
	cut := m.Before.Add(-h.g.cfg.Lifetimes.ClockLeeway).Truncate(time.Second)
	if !m.Cut && !m.Blocked && !since.Before(cut) && h.now.Before(m.Before) {
		// It was cut a moment ago, clocks may differ, and nothing could tell the new from the old.
		return &UnavailableError{m.Before.Sub(h.now) + time.Second, errors.New("just revoked: " + m.Selector.Kind)}
	}
	if m.Selector.Kind == lineage.SelectKey && m.Selector.Value == h.records[len(h.records)-1].Body.Key {
		return &UnavailableError{time.Second, errors.New("the signing key was just revoked")}
	}
	why := "revoked: " + m.Selector.Kind
	switch m.Selector.Kind {
	case lineage.SelectClient:
		if m.Blocked && m.Selector.Value == h.client.ID {
			return refuse(CodeUnauthorizedClient, "client_id", why)
		}
	case lineage.SelectConnection, lineage.SelectPath:
		if m.Blocked {
			return refuse(CodeInvalidTarget, "resource", why)
		}
	}
	if h.req.Grant != Exchange {
		return refuse(CodeInvalidRequest, "client_assertion", why)
	}
	return refuse(CodeInvalidRequest, "subject_token", why)
}

// conditions returns what must not be revoked: the selectors of each new record and of what it is made from, each as of
// its own evidence.
func (h *hop) conditions() []store.Unrevoked {
	out := h.evidence
	for _, r := range h.records {
		out = append(out, store.Unrevoked{Selectors: r.Selectors(), Since: r.Since})
	}
	for _, e := range []*store.Entry{h.parent, h.escort} {
		if e != nil {
			out = append(out, store.Unrevoked{Selectors: e.Record.Selectors(), Since: e.Record.Since})
		}
	}
	return out
}

// tx returns an empty transaction of this issuer at now.
func (g *Governor) tx(now time.Time) store.Tx {
	return store.Tx{Issuer: g.cfg.Issuer, Time: now, Leeway: g.cfg.Lifetimes.ClockLeeway}
}

// transaction returns the one write that records the hop, with every condition it rests on.
func (h *hop) transaction() (store.Tx, error) {
	tx := h.g.tx(h.now)
	tx.Records, tx.Unrevoked = h.records, h.conditions()
	tx.Requires = []store.Require{{Key: envKey, Version: h.facts.version, State: "set"}}
	for _, p := range h.proofs {
		tx.Swaps = append(tx.Swaps, h.g.spend(p))
	}
	if h.parent != nil {
		if err := derives(&tx, *h.parent); err != nil {
			return tx, err
		}
	}
	if h.escort != nil { // its tasks must be active as well; it is not what is derived from
		for _, key := range taskKeys(h.escort.Record) {
			tx.Requires = append(tx.Requires, store.Require{Key: key, State: string(TaskActive), AnyVersion: true})
		}
	}
	if h.task == nil {
		return tx, nil
	}
	task := h.records[0]
	value, err := json.Marshal(taskHead{task.Body.Task.Budget})
	if err != nil {
		return tx, fmt.Errorf("task head: %w", err)
	}
	tx.Swaps = append(tx.Swaps, store.Swap{Key: taskKey(task.ID()), State: string(TaskActive), Value: value})
	return tx, nil
}

// derives adds to tx what deriving from e takes: every task above is exactly active, and has a derivation left.
func derives(tx *store.Tx, e store.Entry) error {
	for _, key := range taskKeys(e.Record) {
		var v taskHead
		if err := json.Unmarshal(headOf(e, key).Value, &v); err != nil {
			return unavailable("task", errors.New("its head cannot be read"))
		}
		tx.Requires = append(tx.Requires, store.Require{Key: key, State: string(TaskActive), AnyVersion: true})
		tx.Adds = append(tx.Adds, store.Add{Key: key, N: 1, Max: v.Budget})
	}
	return nil
}

// commit writes the hop's transaction and says what a conflict means for it.
func (h *hop) commit(ctx context.Context, tx store.Tx) error {
	err := h.g.commit(ctx, tx)
	var c *store.Conflict
	if !errors.As(err, &c) {
		if errors.Is(err, store.ErrConflict) {
			return errStale
		}
		return err
	}
	if c.Full {
		return refuse(CodeInvalidRequest, "subject_token", "the task has no derivation left")
	}
	for i, p := range h.proofs {
		if p.key == c.Key {
			if i == 0 && h.client.proof == p {
				return ErrUnauthenticated
			}
			return refuse(CodeInvalidRequest, "subject_token", "a single-use credential was used before")
		}
	}
	return errStale
}

// commit writes tx. A conflict is returned as it is; every other failure is ErrUnavailable. An unknown outcome is
// settled by reading: what is there was committed.
func (g *Governor) commit(ctx context.Context, tx store.Tx) error {
	err := g.cfg.Store.Commit(ctx, []store.Tx{tx})[0]
	switch {
	case err == nil:
		if len(tx.Revocations) > 0 {
			g.signal.wake()
		}
		return nil
	case errors.Is(err, store.ErrConflict):
		return err
	case errors.Is(err, store.ErrBehind), errors.Is(err, store.ErrInvalid), len(tx.Records) == 0:
		return unavailable("commit", err)
	}
	last := tx.Records[len(tx.Records)-1]
	if e, failed := g.entry(context.WithoutCancel(ctx), last.ID()); failed == nil && e.Record.Equal(last) {
		return nil
	}
	return unavailable("commit", err)
}
