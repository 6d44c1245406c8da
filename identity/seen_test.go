package identity_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/identity"
)

// TestWhatWasSeenIsLookedAtAgain: a token that has verified before is refused for all that it would have been refused for
// without.
func TestWhatWasSeenIsLookedAtAgain(t *testing.T) {
	next := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	long := with(alice, m{"exp": at(50 * time.Minute)})
	for name, c := range map[string]struct {
		claims m
		keys   []byte // what is published then
		later  time.Duration
		why    string // empty: it is still accepted
	}{
		"nothing has changed":     {long, jwks(t, published{esKey, "es", "sig"}), 20 * time.Minute, ""},
		"another key joins":       {long, jwks(t, published{esKey, "es", "sig"}, published{next, "next", "sig"}), 20 * time.Minute, ""},
		"its key is gone":         {long, jwks(t, published{next, "next", "sig"}), 20 * time.Minute, "no such key"},
		"another key of its name": {long, jwks(t, published{next, "es", "sig"}), 20 * time.Minute, "does not verify"},
		"its key is for another":  {long, jwks(t, published{esKey, "es", "enc"}), 20 * time.Minute, "no such key"},
		"its time is over":        {alice, jwks(t, published{esKey, "es", "sig"}), 2 * time.Minute, "expired"},
	} {
		t.Run(name, func(t *testing.T) {
			var keys atomic.Pointer[[]byte]
			first := jwks(t, published{esKey, "es", "sig"})
			keys.Store(&first)
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(*keys.Load()) }))
			defer srv.Close()
			clk := newClock()
			cfg := oidcConfig(t)
			cfg.JWKSFile, cfg.JWKSURI, cfg.Clock = "", srv.URL, clk
			s := source(t, identity.OIDC, cfg)
			cred := idToken(t, c.claims)
			want := accepts(t, s, cred)
			require.Equal(t, want, accepts(t, s, cred))

			keys.Store(&c.keys)
			clk.Add(c.later)
			if c.why == "" {
				require.Equal(t, want, accepts(t, s, cred))
				return
			}
			refuses(t, s, cred, c.why)
		})
	}
}

// TestASeenTokenVouchesForNoOther: every byte counts, and so does the kind of credential.
func TestASeenTokenVouchesForNoOther(t *testing.T) {
	s := source(t, identity.OIDC, oidcConfig(t))
	cred := idToken(t, alice)
	accepts(t, s, cred)
	for i := range cred.Value {
		spoilt := cred
		spoilt.Value = cred.Value[:i] + string(cred.Value[i]^1) + cred.Value[i+1:]
		_, err := s.Identify(t.Context(), spoilt)
		require.Error(t, err, i)
	}
	forged := cred
	forged.Value = token(t, rogue, esHeader, alice)
	refuses(t, s, forged, "does not verify")
	accepts(t, s, cred)
}
