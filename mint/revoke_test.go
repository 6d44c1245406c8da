package mint

import (
	"crypto/elliptic"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/store"
)

func TestRevokedKeyIsReplacedAtOnce(t *testing.T) {
	w := newWorld(t)
	m := w.open()
	stolen, raw := w.key(m), w.token(m)
	w.verifies(m, raw)
	w.revoke(stolen)
	require.Empty(t, w.published(m), "gone from the JWKS, with no time passing")
	_, err := m.Mint(t.Context(), claims(stolen))
	require.ErrorContains(t, err, "may not sign")
	_, err = m.Verify(t.Context(), raw)
	require.ErrorIs(t, err, ErrToken)
	require.ErrorContains(t, err, "retired or revoked")

	fresh := w.key(m)
	require.NotEqual(t, stolen, fresh)
	require.Equal(t, []string{fresh}, w.published(m))
	w.verifies(m, w.token(m))
	_, err = os.Stat(keyDir(w.dir).file(stolen))
	require.ErrorIs(t, err, os.ErrNotExist, "its secret is destroyed")
}

func TestRevocationReachesEveryNode(t *testing.T) {
	w := newWorld(t)
	a, b := w.open(), w.open(elsewhere(t))
	stolen, raw := w.key(a), w.token(a)
	w.verifies(b, raw)
	w.revoke(stolen)
	w.verifies(b, raw) // within a second, the Governor's own look-up is what refuses it
	w.clock.Add(freshness)
	_, err := b.Verify(t.Context(), raw)
	require.ErrorContains(t, err, "retired or revoked")
	require.NotContains(t, w.published(b), stolen)
	require.NotEqual(t, stolen, w.key(a))
	w.verifies(b, w.token(a))
}

func TestRevocationWithTheNextKeyPublished(t *testing.T) {
	w := newWorld(t)
	m := w.open()
	next, err := m.Rotate(t.Context())
	require.NoError(t, err)
	w.revoke(w.key(m))
	w.clock.Add(freshness)
	require.Equal(t, next, w.key(m), "the next key is used early")
	require.Equal(t, []string{next}, w.published(m))
	w.verifies(m, w.token(m))
}

func TestRevocationOfTheNextKey(t *testing.T) {
	w := newWorld(t)
	m := w.open()
	old := w.key(m)
	next, err := m.Rotate(t.Context())
	require.NoError(t, err)
	w.revoke(next)
	w.clock.Add(freshness)
	require.Equal(t, old, w.key(m))
	require.NotContains(t, w.published(m), next)
	for range 10 {
		w.clock.Add(time.Minute)
		require.NotEqual(t, next, w.key(m))
		w.verifies(m, w.token(m))
	}
	require.NotEqual(t, old, w.key(m), "another one has taken its place")
}

func TestRevokedKeyNeverComesBack(t *testing.T) {
	w := newWorld(t)
	m := w.open()
	stolen := w.key(m)
	pem, err := os.ReadFile(keyDir(w.dir).file(stolen))
	require.NoError(t, err)
	w.revoke(stolen)
	w.clock.Add(freshness)
	fresh := w.key(m)

	// The store keeps a revocation only as long as something issued before can be alive; the key set remembers.
	forgetful := struct{ store.Store }{w.store}
	w.clock.Add(1000 * time.Hour)
	require.NoError(t, os.WriteFile(keyDir(w.dir).file(stolen), pem, 0o600))
	restarted := w.open(func(c *Config) { c.Store = unmarked{forgetful} })
	require.Equal(t, fresh, w.key(restarted))
	require.Equal(t, []string{fresh}, w.published(restarted))
	_, err = os.Stat(keyDir(w.dir).file(stolen))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestKeyRevokedBeforeItWasPublished(t *testing.T) {
	w := newWorld(t)
	signer := ecKey(t, elliptic.P256())
	k, err := newPrivateKey(ES256, signer)
	require.NoError(t, err)
	w.revoke(k.ID)
	cfg := w.config()
	cfg.Dir, cfg.Signer = "", signer
	_, err = Open(t.Context(), cfg)
	require.ErrorIs(t, err, errNoKey)
	m := w.open()
	require.NotContains(t, w.published(m), k.ID)

	// The revocation comes between reading and writing.
	cfg.Signer = ecKey(t, elliptic.P256())
	late, err := newPrivateKey(ES256, cfg.Signer)
	require.NoError(t, err)
	w.store.hook = func() { w.revoke(late.ID) }
	_, err = Open(t.Context(), cfg)
	require.ErrorIs(t, err, errNoKey)
	require.NotContains(t, w.published(m), late.ID)
}

func TestRevokedSignerStopsSigning(t *testing.T) {
	w := newWorld(t)
	m := w.open(func(c *Config) { c.Dir, c.Signer = "", kms{Signer: ecKey(t, elliptic.P256())} })
	w.revoke(w.key(m))
	w.clock.Add(freshness)
	_, err := m.Key(t.Context())
	require.ErrorIs(t, err, errNoKey)
	require.ErrorIs(t, err, tokenboundary.ErrUnavailable)
	reads := w.store.reads.Load()
	for range 10 {
		_, err = m.Key(t.Context())
		require.ErrorIs(t, err, errNoKey)
	}
	require.Equal(t, reads, w.store.reads.Load(), "what cannot be helped costs nothing")

	next, err := m.RotateTo(t.Context(), kms{Signer: ecKey(t, elliptic.P256())})
	require.NoError(t, err)
	require.Equal(t, next, w.key(m), "usable at once")
}

func TestReadingsAreBounded(t *testing.T) {
	w := newWorld(t)
	m := w.open()
	foreign := w.token(newWorld(t).open())
	w.clock.Add(freshness)
	w.token(m)
	reads := w.store.reads.Load()
	for range 20 {
		_, err := m.Verify(t.Context(), foreign)
		require.ErrorIs(t, err, tokenboundary.ErrNotMine)
		w.verifies(m, w.token(m))
	}
	require.Equal(t, reads+1, w.store.reads.Load(), "one for the unknown kid")

	late := w.open(elsewhere(t))
	raw := w.token(late)
	_, err := m.Verify(t.Context(), raw)
	require.ErrorIs(t, err, tokenboundary.ErrNotMine, "the bound holds for honest ones too")
	w.clock.Add(freshness)
	w.verifies(m, raw)
}

func TestUnknownKidIsLookedUpAtOnce(t *testing.T) {
	w := newWorld(t)
	m := w.open()
	w.token(m)
	w.verifies(m, w.token(w.open(elsewhere(t))))
}

func TestConcurrentUse(t *testing.T) {
	w := newWorld(t)
	a, b := w.open(), w.open(elsewhere(t))
	stolen := w.key(a)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				w.clock.Add(200 * time.Millisecond)
				for _, m := range []*Mint{a, b} {
					kid, err := m.Key(t.Context())
					if err != nil {
						t.Error(err)
						return
					}
					raw, err := m.Mint(t.Context(), claims(kid))
					if err != nil {
						continue // revoked in between
					}
					if _, err = m.Verify(t.Context(), raw); err != nil && kid != stolen {
						t.Error(err)
					}
					if _, err = m.JWKS(t.Context()); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Go(func() { w.revoke(stolen) })
	wg.Go(func() {
		if _, err := b.Rotate(t.Context()); err != nil {
			t.Error(err)
		}
	})
	wg.Wait()
	require.NotContains(t, w.published(b), stolen)
	require.LessOrEqual(t, len(w.published(b)), 4, "one replacement, however many saw the need")
}
