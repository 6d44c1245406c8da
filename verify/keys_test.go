package verify_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/verify"
)

// TestKeysThatCannotBeHad: nothing can be said of any token, until they can.
func TestKeysThatCannotBeHad(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"away": status(http.StatusBadGateway), "none": serves("application/json", `{}`),
		"empty": serves("application/json", `{"keys":[]}`), "garbage": serves("application/json", `{"keys":`),
		"a gigabyte": endless, "redirected": status(http.StatusFound, "Location", "/tenant/elsewhere"),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.on("/jwks.json", h)
			g := w.guard()
			tok := w.issued()
			_, err := g.Verify(t.Context(), tok.Value())
			require.Error(t, err)
			want := 503
			if name == "empty" { // an empty set is a set: none of its keys has signed this
				want = 401
			}
			if want == 503 {
				require.ErrorIs(t, err, tokenboundary.ErrUnavailable)
			}
			get := g.api(verify.Route{AnyScope: true})
			require.Equal(t, want, get(bearer(tok)).status, err)
			require.Zero(t, w.times("/elsewhere"))
			w.on("/jwks.json", nil)
			w.clock.Add(time.Minute)
			require.Equal(t, 200, get(bearer(tok)).status)
		})
	}
}

// TestKeysThatVanish do no harm to tokens of keys that are known, and let nothing through that they have not signed. Keys
// that change are followed.
func TestKeysThatVanish(t *testing.T) {
	w := newWorld(t)
	g := w.idle(func(c *verify.Config) { c.FeedLost = verify.UntilExpiry })
	g.good(w.issued())
	w.clock.Add(5 * time.Minute)
	tok := w.issued()
	w.on("/jwks.json", status(http.StatusNotFound))
	w.clock.Add(4 * time.Minute)
	g.good(tok)
	other := newWorld(t) // another boundary of the same name
	other.clock.Set(w.clock.Now())
	foreign := other.issued()
	_, err := g.Verify(t.Context(), foreign.Value())
	require.ErrorIs(t, err, mint.ErrSignature)
	other.guard().good(foreign, "positive control")

	w.on("/jwks.json", other.proxy()) // and now its keys are served
	w.clock.Add(2 * time.Minute)
	g.good(foreign)
	_, err = g.Verify(t.Context(), tok.Value())
	require.ErrorIs(t, err, mint.ErrSignature, "the issuer has taken back the key")
}

// TestTokensThatAreNotForThisResource, or not valid, are refused for that reason.
func TestTokensThatAreNotForThisResource(t *testing.T) {
	w := newWorld(t)
	g := w.guard()
	tok := w.issued()
	g.good(tok)
	elsewhere := w.issued(func(r *tokenboundary.Request) { r.Resource = []string{mail} })
	g.refused(elsewhere, mint.ErrAudience, "audience")
	short := w.guard(func(c *verify.Config) { c.Lifetime = 9 * time.Minute })
	short.refused(tok, verify.ErrLifetime, "lives longer")
	for name, raw := range map[string]string{"empty": "", "no token": "abc", "cut": tok.Value()[:len(tok.Value())-4], "long": tok.Value() + string(make([]byte, 9000))} {
		_, err := g.Verify(t.Context(), raw)
		require.ErrorIs(t, err, mint.ErrToken, name)
	}
	g = w.idle(func(c *verify.Config) { c.FeedLost = verify.UntilExpiry })
	w.clock.Add(10*time.Minute + 4*time.Second)
	g.good(tok, "within the leeway")
	w.clock.Add(time.Second)
	g.refused(tok, mint.ErrExpired, "expired")
	w.clock.Set(w.clock.Now().Add(-time.Minute))
	g.refused(tok, mint.ErrExpired, "expired") // going back revives nothing
}

// TestAConfigurationThatCannotWork names the field.
func TestAConfigurationThatCannotWork(t *testing.T) {
	w := newWorld(t)
	_, err := verify.New(w.config())
	require.NoError(t, err, "positive control")
	for field, change := range map[string]func(*verify.Config){
		"Issuer": func(c *verify.Config) { c.Issuer = "" }, "Resource": func(c *verify.Config) { c.Resource = "" },
		"Boundary": func(c *verify.Config) { c.Boundary = nil }, "FeedLost": func(c *verify.Config) { c.FeedLost = 2 },
		"MaxStale": func(c *verify.Config) { c.MaxStale = time.Hour }, "Lifetime": func(c *verify.Config) { c.Lifetime = -1 },
		"Entries": func(c *verify.Config) { c.Entries = -1 }, "Origin": func(c *verify.Config) { c.Origin = "https://crm.example/path" },
		"ProofAlgs": func(c *verify.Config) { c.ProofAlgs = []string{"ES256"} }, "Scopes": func(c *verify.Config) { c.Scopes = []string{`a"b`} },
		"JWKS": func(c *verify.Config) { c.JWKS, c.JWKSURI = nil, "" }, "URI": func(c *verify.Config) { c.JWKSURI = "http://example.com/" },
	} {
		_, err := verify.New(w.config(change))
		require.ErrorContains(t, err, field)
	}
	for _, url := range []string{"", "http://example.com", "ftp://127.0.0.1", "https://u:p@h", "https://h?q", "https://h#", "https://", ":"} {
		_, err := verify.NewRemote(verify.RemoteConfig{URL: url, Credential: verify.Secret("a", "b")})
		require.ErrorContains(t, err, "RemoteConfig.URL", url)
	}
	_, err = verify.NewRemote(verify.RemoteConfig{URL: "https://boundary.example"})
	require.ErrorContains(t, err, "Credential")
}
