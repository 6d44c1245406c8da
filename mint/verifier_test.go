package mint

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
)

func errorIs(err, target error) bool { return errors.Is(err, target) }

// verifier returns a Verifier that has the JWKS as it is now.
func (w *world) verifier(m *Mint, edit ...func(*VerifierConfig)) *Verifier {
	w.t.Helper()
	jwks, err := m.JWKS(w.t.Context())
	require.NoError(w.t, err)
	cfg := VerifierConfig{Issuer: issuer, Audience: resource, JWKS: jwks, Clock: w.clock}
	for _, e := range edit {
		e(&cfg)
	}
	v, err := NewVerifier(cfg)
	require.NoError(w.t, err)
	return v
}

func TestVerifierAcceptsEveryAlgorithm(t *testing.T) {
	for _, alg := range algorithms {
		w := newWorld(t)
		m := w.open(func(c *Config) { c.Alg = alg })
		got, err := w.verifier(m).Verify(t.Context(), w.token(m))
		require.NoError(t, err, alg)
		require.Equal(t, "alice", got.Subject)
		require.Equal(t, w.key(m), got.Key)
	}
}

func TestVerifierReasons(t *testing.T) {
	w := newWorld(t)
	m := w.open()
	good := w.token(m)
	header, payload := parts(t, good)
	swap := func(old, new string) string {
		require.Contains(t, payload, old)
		return forge(t, m, header, strings.Replace(payload, old, new, 1))
	}
	head := func(old, new string) string {
		return forge(t, m, strings.Replace(header, old, new, 1), payload)
	}
	foreign := newWorld(t)
	v := w.verifier(m)
	for name, c := range map[string]struct {
		raw  string
		is   error // nil: accepted
		want string
	}{
		"as minted":         {good, nil, ""},
		"one of several":    {swap(`"aud":"`+resource+`"`, `"aud":["https://a.example/","`+resource+`"]`), nil, ""},
		"other audience":    {swap(`"aud":"`+resource, `"aud":"https://erp.example.com/`), ErrAudience, "audience"},
		"longer audience":   {swap(`"aud":"`+resource, `"aud":"`+resource+`x`), ErrAudience, "audience"},
		"shorter audience":  {swap(`"aud":"`+resource, `"aud":"`+strings.TrimSuffix(resource, "/")), ErrAudience, "audience"},
		"no audience":       {forge(t, m, header, without(t, payload, "aud")), ErrToken, "aud"},
		"no expiry":         {forge(t, m, header, without(t, payload, "exp")), ErrToken, "exp"},
		"other issuer":      {swap(`"iss":"`+issuer, `"iss":"`+issuer+`/`), ErrToken, "another issuer"},
		"extra member":      {swap(`"iss"`, `"nonce":"x","iss"`), ErrToken, "one form"},
		"typ JWT":           {head("at+jwt", "JWT"), ErrToken, "typ"},
		"other alg":         {head("ES256", "PS256"), ErrToken, "alg"},
		"kid not a key":     {head(w.key(m), "x"), ErrToken, "no key id"},
		"of another set":    {foreign.token(foreign.open()), ErrSignature, "unknown key"},
		"another signature": {good[:len(good)-8] + "AAAAAAAA", ErrSignature, "signature"},
		"no token":          {"opaque", ErrToken, "segments"},
		"too long":          {strings.Repeat("a", canon.MaxMinted+1), ErrToken, "too long"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := v.Verify(t.Context(), c.raw)
			if c.is == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, c.is)
			require.ErrorIs(t, err, ErrToken, "the general error covers it")
			require.ErrorContains(t, err, c.want)
			require.Zero(t, got)
			for _, other := range []error{ErrAudience, ErrSignature, ErrExpired} {
				require.Equal(t, c.is == other, errorIs(err, other))
			}
		})
	}
}

func TestVerifierAndTime(t *testing.T) {
	w := newWorld(t)
	m := w.open()
	raw := w.token(m)
	for _, leeway := range []time.Duration{0, time.Nanosecond, time.Minute} {
		v := w.verifier(m, func(c *VerifierConfig) { c.Leeway = leeway })
		if leeway == 0 {
			leeway = 5 * time.Second
		}
		issued, expires := start, start.Add(5*time.Minute)
		for _, c := range []struct {
			at time.Time
			is error
		}{
			{issued.Add(-leeway), nil},
			{issued.Add(-leeway - time.Nanosecond), ErrToken},
			{expires.Add(leeway - time.Nanosecond), nil},
			{expires.Add(leeway), ErrExpired},
			{expires.Add(1000 * time.Hour), ErrExpired},
		} {
			w.clock.Set(c.at)
			_, err := v.Verify(t.Context(), raw)
			if c.is == nil {
				require.NoError(t, err)
				continue
			}
			require.ErrorIs(t, err, c.is)
			require.Equal(t, c.is == ErrExpired, errorIs(err, ErrExpired))
		}
	}
}

func TestVerifierConfigIsChecked(t *testing.T) {
	w := newWorld(t)
	jwks, err := w.open().JWKS(t.Context())
	require.NoError(t, err)
	good := VerifierConfig{Issuer: issuer, Audience: resource, JWKS: jwks}
	_, err = NewVerifier(good)
	require.NoError(t, err)
	for want, spoil := range map[string]func(*VerifierConfig){
		"Issuer is required":    func(c *VerifierConfig) { c.Issuer = "" },
		"Audience is required":  func(c *VerifierConfig) { c.Audience = "" },
		"Leeway is negative":    func(c *VerifierConfig) { c.Leeway = -1 },
		"one of VerifierConfig": func(c *VerifierConfig) { c.JWKS = nil },
		"JWKS and URI":          func(c *VerifierConfig) { c.URI = "https://boundary.example/jwks.json" },
		"URI: jwks_uri":         func(c *VerifierConfig) { c.JWKS, c.URI = nil, "http://boundary.example/jwks.json" },
		"no usable key":         func(c *VerifierConfig) { c.JWKS = []byte(`{"keys":[]}`) },
		"Config.JWKS: not":      func(c *VerifierConfig) { c.JWKS = []byte(`[]`) },
	} {
		cfg := good
		spoil(&cfg)
		_, err := NewVerifier(cfg)
		require.ErrorContains(t, err, want)
	}
}

func TestVerifierRefusesKeysWithoutAlgorithm(t *testing.T) {
	w := newWorld(t)
	m := w.open()
	raw := w.token(m)
	v := w.verifier(m, func(c *VerifierConfig) {
		c.JWKS = []byte(strings.Replace(string(c.JWKS), `"alg":"ES256",`, "", 1))
	})
	_, err := v.Verify(t.Context(), raw)
	require.ErrorIs(t, err, ErrSignature)
}

func TestVerifierFollowsItsSource(t *testing.T) {
	w := newWorld(t)
	m := w.open()
	var calls atomic.Int64
	var down atomic.Bool
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		jwks, err := m.JWKS(r.Context())
		if err != nil || down.Load() {
			rw.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		rw.Write(jwks) //nolint:errcheck // a test
	}))
	defer srv.Close()
	v := w.verifier(m, func(c *VerifierConfig) { c.JWKS, c.URI, c.Leeway = nil, srv.URL, 48*time.Hour })
	verify := func(raw string) error {
		_, err := v.Verify(t.Context(), raw)
		return err
	}
	raw := w.token(m)
	require.NoError(t, verify(raw))
	for range 10 {
		require.NoError(t, verify(raw))
	}
	require.Equal(t, int64(1), calls.Load(), "the set is kept")

	stolen := w.key(m)
	w.revoke(stolen)
	w.clock.Add(freshness)
	require.NoError(t, verify(w.token(m)), "an unknown kid is looked up")
	require.Equal(t, int64(2), calls.Load())
	require.ErrorIs(t, verify(raw), ErrSignature, "and the revoked key is gone with it")
	for range 10 {
		require.ErrorIs(t, verify(raw), ErrSignature)
	}
	require.Equal(t, int64(2), calls.Load(), "at most once in a while")

	raw = w.token(m)
	down.Store(true)
	w.clock.Add(time.Hour)
	require.NoError(t, verify(raw))
	require.NoError(t, verify(raw))
	require.Equal(t, int64(3), calls.Load(), "a source that is down is not pressed")
	w.clock.Add(23 * time.Hour)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, gaveUp := v.Verify(cancelled, raw)
	for _, err := range []error{gaveUp, verify(raw)} {
		require.ErrorIs(t, err, tokenboundary.ErrUnavailable)
		require.NotErrorIs(t, err, ErrToken)
	}
	down.Store(false)
	w.clock.Add(time.Minute)
	require.NoError(t, verify(w.token(m)))
	w.clock.Add(time.Minute)
	require.NoError(t, verify(w.token(w.open(elsewhere(t)))), "a node that came later")
}
