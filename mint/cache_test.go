package mint

import (
	"crypto/elliptic"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// seen reports whether a token would be answered for by the cache.
func (w *world) seen(m *Mint, raw string) bool {
	_, found := m.snap.Load().verified.get(digestOf(raw), w.clock.Now())
	return found
}

func TestASeenTokenHasTheSameClaims(t *testing.T) {
	w := newWorld(t)
	m := w.open()
	raw := w.token(m)
	require.False(t, w.seen(m, raw), "signing is not verifying")
	first, err := m.Verify(t.Context(), raw)
	require.NoError(t, err)
	require.True(t, w.seen(m, raw))
	again, err := m.Verify(t.Context(), raw)
	require.NoError(t, err)
	require.Equal(t, first, again)
	require.Equal(t, claims(w.key(m)), again)
}

// TestOnlyWhatVerifiesIsRemembered: nobody can fill the cache, or find anything in it, with what is no token.
func TestOnlyWhatVerifiesIsRemembered(t *testing.T) {
	w := newWorld(t)
	m := w.open()
	raw := w.token(m)
	w.verifies(m, raw)
	for i := range raw {
		for _, c := range []byte{'A', 'z', '_', '.', '='} {
			if raw[i] == c {
				continue
			}
			spoilt := raw[:i] + string(c) + raw[i+1:]
			_, err := m.Verify(t.Context(), spoilt)
			require.Error(t, err)
			require.False(t, w.seen(m, spoilt))
		}
	}
	require.Equal(t, 1, m.snap.Load().verified.Len())
	w.verifies(m, raw)
}

// TestTheCacheBelongsToTheKeySet: a change of the keys empties it, and a key that is not trusted is refused first.
func TestTheCacheBelongsToTheKeySet(t *testing.T) {
	for name, change := range map[string]struct {
		do      func(*world, *Mint, string)
		refused bool
	}{
		"another reading": {func(*world, *Mint, string) {}, false},
		"rotated":         {func(w *world, m *Mint, _ string) { _, err := m.Rotate(w.t.Context()); require.NoError(w.t, err) }, false},
		"retired":         {func(w *world, m *Mint, kid string) { require.NoError(w.t, m.Retire(w.t.Context(), kid)) }, false},
		"revoked":         {func(w *world, _ *Mint, kid string) { w.revoke(kid) }, true},
		"past its overlap": {func(w *world, m *Mint, kid string) {
			require.NoError(w.t, m.Retire(w.t.Context(), kid))
			w.clock.Add(m.overlap)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			m := w.open()
			kid := w.key(m)
			in := claims(kid)
			in.ExpiresAt += int64((24 * time.Hour).Seconds())
			raw, err := m.Mint(t.Context(), in)
			require.NoError(t, err)
			w.verifies(m, raw)
			change.do(w, m, kid)
			w.clock.Add(freshness)
			_, err = m.current(t.Context(), freshness)
			require.NoError(t, err)
			require.Equal(t, name == "another reading", w.seen(m, raw))
			_, err = m.Verify(t.Context(), raw)
			if !change.refused {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, ErrToken)
			require.ErrorContains(t, err, "retired or revoked")
		})
	}
}

func TestAnExpiredTokenIsNotRemembered(t *testing.T) {
	w := newWorld(t)
	m := w.open()
	raw := w.token(m)
	w.verifies(m, raw)
	w.clock.Set(time.Unix(claims("").ExpiresAt-1, 0))
	require.True(t, w.seen(m, raw))
	w.clock.Add(time.Second)
	require.False(t, w.seen(m, raw))
	w.verifies(m, raw) // time is the Governor's part
	require.False(t, w.seen(m, raw))
}

// otherSpelling returns the token with (r, n-s) for (r, s).
func otherSpelling(t *testing.T, raw string) string {
	t.Helper()
	dot := strings.LastIndexByte(raw, '.')
	sig, err := base64url.DecodeString(raw[dot+1:])
	require.NoError(t, err)
	s := new(big.Int).SetBytes(sig[p256:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(sig[p256:])
	return raw[:dot+1] + base64url.EncodeToString(sig)
}

// TestOneTokenOfTwoSpellings: each spelling of an ECDSA signature is verified by itself, and says the same.
func TestOneTokenOfTwoSpellings(t *testing.T) {
	w := newWorld(t)
	m := w.open()
	raw := w.token(m)
	other := otherSpelling(t, raw)
	require.NotEqual(t, raw, other)
	first, err := m.Verify(t.Context(), raw)
	require.NoError(t, err)
	require.False(t, w.seen(m, other))
	second, err := m.Verify(t.Context(), other)
	require.NoError(t, err)
	require.Equal(t, first, second)
}

func TestVerifyFromManyGoroutines(t *testing.T) {
	w := newWorld(t)
	m := w.open()
	var tokens []string
	for range 4 {
		tokens = append(tokens, w.token(m))
	}
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			raw := tokens[i%len(tokens)]
			for range 20 {
				if _, err := m.Verify(t.Context(), raw); err != nil {
					t.Error(err)
				}
				if _, err := m.Verify(t.Context(), strings.ToUpper(raw)); err == nil {
					t.Error("another token verifies")
				}
			}
		})
	}
	all.Wait()
}
