package tokenboundary

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/tokenboundary/tokenboundary/store"
)

// secretKey is the head that holds what pending decisions and refresh tokens are authenticated with, the same at all nodes.
const secretKey = "secret:decisions"

// sharedSecret returns that secret. The first Governor on a new store makes it.
func (g *Governor) sharedSecret(ctx context.Context) ([]byte, error) {
	for range attempts {
		if s := g.secret.Load(); s != nil {
			return *s, nil
		}
		heads, err := g.cfg.Store.Heads(ctx, g.cfg.Issuer, []string{secretKey})
		if err != nil {
			return nil, unavailable("store", err)
		}
		if s := heads[0].Value; len(s) == 32 {
			g.secret.Store(&s)
			continue
		}
		tx := g.tx(g.now())
		tx.Swaps = []store.Swap{newSecret(heads[0])}
		if err := g.commit(ctx, tx); err != nil && !errors.Is(err, store.ErrConflict) {
			return nil, err
		}
	}
	return nil, unavailable("decisions", errStale)
}

// newSecret returns the write that puts a fresh secret in the place of the one that the head has.
func newSecret(old store.Head) store.Swap {
	fresh := make([]byte, 32)
	rand.Read(fresh) //nolint:errcheck // never fails (crypto/rand)
	return store.Swap{Key: secretKey, Version: old.Version, State: "set", Value: fresh}
}
