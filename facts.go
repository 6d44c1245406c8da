package tokenboundary

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"

	"github.com/tokenboundary/tokenboundary/store"
)

// envKey is the head that holds the facts policies see as env.
const envKey = "fact:env"

// factSet is one version of the changeable facts. A decision records the version it read and its commit is
// conditional on it, so a cached set can be stale without a stale decision ever being released.
type factSet struct {
	env     map[string]any
	version uint64
}

// currentFacts returns the facts as last read. The first Governor on a new store writes the configured values.
func (g *Governor) currentFacts(ctx context.Context) (*factSet, error) {
	if f := g.facts.Load(); f != nil {
		return f, nil
	}
	heads, err := g.cfg.Store.Heads(ctx, g.cfg.Issuer, []string{envKey})
	if err != nil {
		return nil, unavailable("store", err)
	}
	if heads[0].Version == 0 {
		if heads[0], err = g.firstFacts(ctx); err != nil {
			return nil, err
		}
	}
	if !bytes.Equal(heads[0].Value, g.env) && g.differs.CompareAndSwap(false, true) {
		g.cfg.Logger.WarnContext(ctx, "the store holds other facts than Config.Env, and those of the store are in force")
	}
	f := &factSet{version: heads[0].Version}
	if err := json.Unmarshal(heads[0].Value, &f.env); err != nil {
		return nil, unavailable("facts", err)
	}
	g.facts.Store(f)
	return f, nil
}

func (g *Governor) firstFacts(ctx context.Context) (store.Head, error) {
	tx := g.tx(g.now())
	tx.Swaps = []store.Swap{{Key: envKey, State: "set", Value: g.env}}
	err := g.commit(ctx, tx)
	if errors.Is(err, store.ErrConflict) {
		err = errStale // another node was first
	}
	return store.Head{Key: envKey, Version: 1, State: "set", Value: g.env}, err
}
