package mint

import (
	"context"
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/jose"
	"github.com/tokenboundary/tokenboundary/store"
)

func TestFirstKeyIsUsableAtOnce(t *testing.T) {
	w := newWorld(t)
	m := w.open()
	w.verifies(m, w.token(m))
	require.Equal(t, []string{w.key(m)}, w.published(m))
}

func TestRotation(t *testing.T) {
	w := newWorld(t)
	m := w.open(func(c *Config) { c.PublishAhead, c.Overlap = 10*time.Minute, time.Hour })
	old := w.key(m)
	before := w.token(m)

	next, err := m.Rotate(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, old, next)
	require.Equal(t, []string{old, next}, w.published(m), "published ahead")
	require.Equal(t, old, w.key(m), "not used yet")
	_, err = m.Mint(t.Context(), claims(next))
	require.ErrorContains(t, err, "may not sign", "not even on request")

	w.clock.Add(10*time.Minute - time.Millisecond)
	require.Equal(t, old, w.key(m))
	w.clock.Add(time.Millisecond)
	require.Equal(t, next, w.key(m), "takes over when its time has come")

	w.clock.Add(signGrace - time.Millisecond)
	_, err = m.Mint(t.Context(), claims(old))
	require.NoError(t, err, "a decision under way is still signed")
	w.clock.Add(time.Millisecond)
	_, err = m.Mint(t.Context(), claims(old))
	require.ErrorContains(t, err, "may not sign")
	require.ErrorIs(t, err, tokenboundary.ErrUnavailable)

	w.clock.Add(time.Hour - signGrace - time.Millisecond)
	w.verifies(m, before)
	require.Equal(t, []string{old, next}, w.published(m))
	w.clock.Add(time.Millisecond)
	_, err = m.Verify(t.Context(), before)
	require.ErrorContains(t, err, "retired or revoked", "the overlap is over")
	require.ErrorIs(t, err, ErrToken)
	require.NotErrorIs(t, err, tokenboundary.ErrNotMine)
	require.Equal(t, []string{next}, w.published(m))
	w.verifies(m, w.token(m))
}

func TestRotationsInQuickSuccession(t *testing.T) {
	w := newWorld(t)
	m := w.open()
	first := w.key(m)
	var last string
	for range 3 {
		var err error
		last, err = m.Rotate(t.Context())
		require.NoError(t, err)
		w.clock.Add(time.Minute)
		require.Equal(t, first, w.key(m))
	}
	for range 6 {
		w.clock.Add(time.Minute)
		w.verifies(m, w.token(m))
	}
	require.Equal(t, last, w.key(m), "the last one wins")
}

func TestKeysInUseAreBounded(t *testing.T) {
	w := newWorld(t)
	m := w.open(func(c *Config) { c.Alg = EdDSA })
	for range maxListed - 1 {
		_, err := m.Rotate(t.Context())
		require.NoError(t, err)
	}
	_, err := m.Rotate(t.Context())
	require.ErrorContains(t, err, "too many keys")
	require.Len(t, w.published(m), maxListed)
	kids, err := keyDir(w.dir).kids()
	require.NoError(t, err)
	require.Len(t, kids, maxListed, "what could not be published is not kept")
	w.clock.Add(3 * time.Hour)
	w.verifies(m, w.token(m))
	_, err = m.Rotate(t.Context())
	require.NoError(t, err, "there is room again when the overlap is over")
}

func TestNodesShareTrust(t *testing.T) {
	w := newWorld(t)
	a, b := w.open(), w.open(elsewhere(t))
	require.NotEqual(t, w.key(a), w.key(b), "each signs with its own key")
	require.ElementsMatch(t, []string{w.key(a), w.key(b)}, w.published(a))
	require.Equal(t, w.published(a), w.published(b))
	w.verifies(a, w.token(b))
	w.verifies(b, w.token(a))

	kb := w.key(b)
	_, err := a.Rotate(t.Context())
	require.NoError(t, err)
	w.clock.Add(time.Hour)
	w.verifies(b, w.token(a))
	require.Equal(t, kb, w.key(b), "rotating one node leaves the other's key alone")
}

func TestNodesOnOneDirectory(t *testing.T) {
	w := newWorld(t)
	a, b := w.open(), w.open()
	require.Equal(t, w.key(a), w.key(b))
	next, err := a.Rotate(t.Context())
	require.NoError(t, err)
	w.clock.Add(5 * time.Minute)
	require.Equal(t, next, w.key(b), "the other node picks the new key up")
	w.verifies(a, w.token(b))
}

func TestNodesOnOneDirectoryWithTwoAlgorithms(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	b := w.open(func(c *Config) { c.Alg = EdDSA })
	for range 20 {
		w.clock.Add(time.Minute)
		require.Equal(t, w.key(a), w.key(b))
	}
	require.Len(t, w.published(a), 2, "they agree on one key, and do not rotate against each other")
}

func TestConcurrentChangeIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	a, b := w.open(), w.open(elsewhere(t))
	var other string
	w.store.hook = func() {
		var err error
		other, err = b.Rotate(context.Background())
		require.NoError(t, err)
	}
	mine, err := a.Rotate(t.Context())
	require.NoError(t, err)
	require.Subset(t, w.published(a), []string{mine, other}, "neither change is lost")
}

func TestFirstStartOfTwoNodesOnOneDirectory(t *testing.T) {
	w := newWorld(t)
	var b *Mint
	w.store.hook = func() { b = w.open() }
	a := w.open()
	require.Equal(t, w.key(b), w.key(a))
	require.Equal(t, []string{w.key(b)}, w.published(a))
	kids, err := keyDir(w.dir).kids()
	require.NoError(t, err)
	require.Equal(t, w.published(a), kids, "the key of the slower node is not left behind")
}

func TestChangeThatNeverEnds(t *testing.T) {
	w := newWorld(t)
	m := w.open()
	w.store.fail = func(store.Tx) error { return store.ErrConflict }
	_, err := m.Rotate(t.Context())
	require.ErrorContains(t, err, "keeps changing")
	require.ErrorIs(t, err, tokenboundary.ErrUnavailable)
}

func TestLostAnswerOfCommit(t *testing.T) {
	for name, applied := range map[string]bool{"applied": true, "not applied": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			m := w.open()
			w.store.fail = func(tx store.Tx) error {
				if applied {
					require.NoError(t, w.store.Store.Commit(t.Context(), []store.Tx{tx})[0])
				}
				return errors.New("connection lost")
			}
			old := w.key(m)
			lost, err := m.Rotate(t.Context())
			require.ErrorContains(t, err, "connection lost")
			w.store.fail = nil
			require.Equal(t, applied, len(w.published(m)) == 2)
			next, err := m.Rotate(t.Context())
			require.NoError(t, err)
			require.ElementsMatch(t, []string{old, lost, next}, w.published(m), "nothing is left in between")
			w.clock.Add(5 * time.Minute)
			w.verifies(m, w.token(m))
		})
	}
}

func TestRotateToAnotherSigner(t *testing.T) {
	w := newWorld(t)
	old, next := kms{Signer: ecKey(t, elliptic.P256())}, kms{Signer: ecKey(t, elliptic.P256())}
	with := func(k kms) func(*Config) { return func(c *Config) { c.Dir, c.Signer = "", k } }
	m := w.open(with(old))
	first := w.key(m)
	_, err := m.Rotate(t.Context())
	require.ErrorContains(t, err, "RotateTo")
	_, err = m.RotateTo(t.Context(), edKey(t))
	require.ErrorContains(t, err, "not one for ES256")
	second, err := m.RotateTo(t.Context(), next)
	require.NoError(t, err)
	again, err := m.RotateTo(t.Context(), next)
	require.NoError(t, err, "asking twice changes nothing")
	require.Equal(t, second, again)
	require.Equal(t, first, w.key(m))
	require.Equal(t, first, w.key(w.open(with(old))), "a restart with the old one goes on")
	w.clock.Add(5 * time.Minute)
	require.Equal(t, second, w.key(m))
	require.Equal(t, second, w.key(w.open(with(next))))
	_, err = Open(t.Context(), Config{Issuer: issuer, Store: w.store, Signer: old, Clock: w.clock})
	require.ErrorContains(t, err, "retired or revoked")
	w.clock.Add(signGrace)
	_, err = m.RotateTo(t.Context(), old)
	require.ErrorContains(t, err, "retired or revoked", "no key comes back")
	w.verifies(m, w.token(m))
	_, err = w.open(elsewhere(t)).RotateTo(t.Context(), next)
	require.ErrorContains(t, err, "Config.Signer")
}

func TestRetire(t *testing.T) {
	w := newWorld(t)
	a, b := w.open(), w.open(elsewhere(t))
	gone, raw := w.key(b), w.token(b)
	require.NoError(t, a.Retire(t.Context(), gone))
	require.NoError(t, a.Retire(t.Context(), gone), "once more changes nothing")
	require.ErrorIs(t, a.Retire(t.Context(), id("no key")), tokenboundary.ErrNotFound)
	w.verifies(a, raw)
	w.clock.Add(time.Second)
	require.NotEqual(t, gone, w.key(b), "a node that was not gone makes a new key")
	w.clock.Add(2 * time.Hour)
	require.NotContains(t, w.published(a), gone)
}

func TestStoreFault(t *testing.T) {
	w := newWorld(t)
	m := w.open()
	raw, kid := w.token(m), w.key(m)
	foreign := w.token(newWorld(t).open())
	w.store.down.Store(true)
	w.clock.Add(freshness)
	fails := func(err error) {
		t.Helper()
		require.ErrorIs(t, err, errDown)
		require.ErrorIs(t, err, tokenboundary.ErrUnavailable)
	}
	_, err := m.Key(t.Context())
	fails(err)
	_, err = m.Mint(t.Context(), claims(kid))
	fails(err)
	_, err = m.JWKS(t.Context())
	fails(err)
	_, err = m.Rotate(t.Context())
	fails(err)
	fails(m.Retire(t.Context(), kid))
	_, err = Open(t.Context(), w.config())
	fails(err)
	w.verifies(m, raw)
	_, err = m.Verify(t.Context(), foreign)
	fails(err)

	w.clock.Add(patience - freshness - time.Millisecond)
	w.verifies(m, raw)
	w.clock.Add(time.Millisecond)
	_, err = m.Verify(t.Context(), raw)
	fails(err)

	w.store.down.Store(false)
	w.clock.Add(freshness)
	w.verifies(m, raw)
	require.Equal(t, kid, w.key(m))
}

func TestUnreadableKeySetIsRefused(t *testing.T) {
	good, err := marshalJWK(public(t))
	require.NoError(t, err)
	kid := kidOf(t, good)
	one := func(kid, alg, jwk string) string {
		return `{"kid":"` + kid + `","alg":"` + alg + `","jwk":` + jwk +
			`,"published":"2026-03-01T12:00:00Z","usable_from":"2026-03-01T12:00:00Z"}`
	}
	e := func(kid, alg, jwk string) string { return "[" + one(kid, alg, jwk) + "]" }
	twice := "[" + one(kid, "ES256", string(good)) + "," + one(kid, "ES256", string(good)) + "]"
	for name, c := range map[string]struct {
		value string
		ok    bool
	}{
		"readable":       {e(kid, "ES256", string(good)), true},
		"no JSON":        {`[`, false},
		"other kid":      {e(id("x"), "ES256", string(good)), false},
		"kid of a path":  {e("../../etc/passwd", "ES256", string(good)), false},
		"other alg":      {e(kid, "EdDSA", string(good)), false},
		"unknown alg":    {e(kid, "HS256", string(good)), false},
		"symmetric":      {e(kid, "ES256", `{"kty":"oct","k":"AAAA"}`), false},
		"twice the same": {twice, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			require.NoError(t, w.store.Commit(t.Context(), []store.Tx{{
				Issuer: issuer, Time: start, Swaps: []store.Swap{{Key: headKey, Value: []byte(c.value)}},
			}})[0])
			_, err := Open(t.Context(), w.config())
			if c.ok {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, errRing)
			require.ErrorIs(t, err, tokenboundary.ErrUnavailable)
		})
	}
}

func public(t *testing.T) jose.Key {
	t.Helper()
	k, err := newPrivateKey(ES256, ecKey(t, elliptic.P256()))
	require.NoError(t, err)
	return k.Key
}

func kidOf(t *testing.T, jwk json.RawMessage) string {
	t.Helper()
	var k struct{ Kid string }
	require.NoError(t, json.Unmarshal(jwk, &k))
	return k.Kid
}
