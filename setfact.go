package tokenboundary

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/store"
)

// setFact writes what the signal says into the head with the key and returns its version, and the count of the signal among
// all. A signal that is known already writes nothing.
func (g *Governor) setFact(ctx context.Context, by Client, key string, s Signal) (version, count uint64, err error) {
	for range contended {
		heads, err := g.cfg.Store.Heads(ctx, g.cfg.Issuer, []string{key, signalsKey})
		if err != nil {
			return 0, 0, unavailable("store", err)
		}
		head := heads[0]
		if key == envKey && head.Version == 0 {
			if head, err = g.firstFacts(ctx); errors.Is(err, errStale) {
				continue
			} else if err != nil {
				return 0, 0, err
			}
		}
		value, err := s.apply(head, g.now())
		if err != nil {
			return 0, 0, err
		}
		tx, version, count := g.tx(g.now()), head.Version, heads[1].Version
		if !bytes.Equal(value, head.Value) {
			version, count = version+1, count+1
			tx.Swaps = append(factSwaps(head, value), store.Swap{
				Key: signalsKey, Version: heads[1].Version, State: "set", Value: []byte(tx.Time.Format(time.RFC3339Nano)),
			})
		}
		if err := g.change(ctx, by, tx); !errors.Is(err, ErrConflict) {
			return version, count, err
		}
	}
	return 0, 0, fmt.Errorf("%w: the facts keep changing", ErrConflict)
}

// signalsKey is the head that counts signals: whoever decides many things anew and then relies on all of them requires that
// there was none in between.
const signalsKey = "fact:signals"

// contended bounds how often a write starts again that many may want to make at once.
const contended = 64

// announce counts a signal that changes no facts, and returns its count.
func (g *Governor) announce(ctx context.Context, by Client) (count uint64, facts time.Time, err error) {
	for range contended {
		heads, err := g.cfg.Store.Heads(ctx, g.cfg.Issuer, []string{signalsKey})
		if err != nil {
			return 0, facts, unavailable("store", err)
		}
		facts = time.Time{}
		if v := heads[0].Value; len(v) > 0 {
			if facts, err = time.Parse(time.RFC3339Nano, string(v)); err != nil {
				return 0, facts, unavailable("facts", err)
			}
		}
		tx := g.tx(g.now())
		tx.Swaps = []store.Swap{{Key: signalsKey, Version: heads[0].Version, State: "set", Value: heads[0].Value}}
		if err := g.change(ctx, by, tx); !errors.Is(err, ErrConflict) {
			return heads[0].Version + 1, facts, err
		}
	}
	return 0, facts, fmt.Errorf("%w: the facts keep changing", ErrConflict)
}

// apply returns the value of a head of facts after the signal. An assurance counts from now on, also one that was said
// before; but not one that only goes on.
func (s Signal) apply(head store.Head, now time.Time) ([]byte, error) {
	var old partyFacts
	env := map[string]any{}
	if head.Version > 0 {
		into := any(&old)
		if s.Env != nil {
			into = &env
		}
		if err := readHead(head, into); err != nil {
			return nil, err
		}
	}
	var next any
	if s.Env != nil {
		next = merged(env, s.Env)
	} else {
		if s.Risk != "" {
			old.Risk = s.Risk
		}
		if a := s.Assurance; a != nil && (s.After.IsZero() || old.Assurance == nil || !old.Assurance.same(*a)) {
			old.Assurance, old.Assured = a, now
		}
		old.Attributes = merged(old.Attributes, s.Attributes)
		next = old
	}
	out, err := json.Marshal(next)
	if err != nil || len(out) > canon.MaxDetails {
		return nil, fmt.Errorf("%w: signal: not plain data, or too much", ErrInvalid)
	}
	if _, err := canon.JSON(out); err != nil {
		return nil, fmt.Errorf("%w: signal: %w", ErrInvalid, err)
	}
	return out, nil
}

// merged returns the facts after the changes, of which a nil value removes one.
func merged(facts, changes map[string]any) map[string]any {
	out := maps.Clone(facts)
	if out == nil && changes != nil {
		out = map[string]any{}
	}
	for name, v := range changes {
		if v == nil {
			delete(out, name)
		} else {
			out[name] = v
		}
	}
	return out
}
