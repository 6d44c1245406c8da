package identity_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/identity"
	"github.com/tokenboundary/tokenboundary/internal/canary"
)

// TestAConfigurationHidesItsSecrets: in whatever form it is written down, also as a part of something else.
func TestAConfigurationHidesItsSecrets(t *testing.T) {
	const secret = "a secret of sixteen bytes & more: %"
	a := identity.ClientAuth{ID: "bot", Secret: secret}
	cfg := identity.ClientsConfig{Issuer: boundary, Clients: []identity.ClientAuth{a}}
	k := canary.Watch(t)
	k.Plant("client secret", secret)
	for _, v := range []any{a, &a, cfg, &cfg, []identity.ClientAuth{a}, map[string]identity.ClientAuth{"x": a}} {
		k.Show("configuration", v)
	}
	require.Contains(t, strings.Join(k.Text(), ""), "client(bot)", "control: it is written down")
	_, err := identity.Clients(identity.ClientsConfig{Issuer: boundary, Clients: []identity.ClientAuth{a, a}})
	k.Show("error", err)
	short := identity.ClientAuth{ID: "bot", Secret: "fifteen bytes: "}
	k.Plant("short secret", short.Secret)
	_, err = identity.Clients(identity.ClientsConfig{Issuer: boundary, Clients: []identity.ClientAuth{short}})
	require.ErrorContains(t, err, "shorter than 16 bytes")
	k.Show("error", err)
}

// TestNoSourceRepeatsWhatItIsGiven: whatever is wrong with a credential, the error says what, and not what it was.
func TestNoSourceRepeatsWhatItIsGiven(t *testing.T) {
	const text = "canary-in-a-claim-zqjx"
	sources := map[string]*identity.Source{
		"clients": registered(t, esKey.Public()),
		"oidc": source(t, identity.OIDC, identity.OIDCConfig{
			Issuer: idp, Audience: boundary, Session: "human", JWKSFile: idpKeys(t), Clock: newClock(),
		}),
		"kubernetes": source(t, identity.Kubernetes, identity.KubernetesConfig{
			Issuer: idp, Audience: boundary, JWKSFile: idpKeys(t), Clock: newClock(),
		}),
		"dpop": source(t, identity.DPoP, identity.DPoPConfig{Clock: newClock()}),
	}
	types := []string{
		tokenboundary.TypeClientAssertion, tokenboundary.TypeClientSecret, tokenboundary.TypeIDToken, tokenboundary.TypeJWT, tokenboundary.TypeDPoP,
	}
	good := m{"iss": idp, "sub": "alice", "aud": boundary, "iat": at(0), "exp": at(60e9)}
	k := canary.Watch(t)
	k.Plant("what was presented", text)
	seen := 0
	for _, s := range sources {
		for _, kind := range types {
			for _, raw := range hostileTokens(t, good, text) {
				k.Plant("a token", raw)
				_, err := s.Identify(t.Context(), tokenboundary.Credential{Type: kind, ID: text, Value: raw, Method: "POST", URL: "https://b.example/" + text})
				if err != nil {
					seen++
					k.Show("error", err)
				}
			}
		}
	}
	require.Greater(t, seen, 100)
}

// hostileTokens are tokens with a text in each place where one can have it.
func hostileTokens(t *testing.T, good m, text string) []string {
	t.Helper()
	out := []string{text, text + "." + text + "." + text}
	for _, claim := range []string{"iss", "sub", "aud", "iat", "exp", "nbf", "jti", "sid", "auth_time", "acr", "amr", "act", "may_act", "cnf", "scope", "htm", "htu", text} {
		for _, v := range []any{text, []any{text}, m{text: text}, m{"sub": text, text: 1}} {
			out = append(out, token(t, esKey, m{"alg": "ES256", "kid": "es"}, with(good, m{claim: v})))
		}
	}
	for _, header := range []string{"alg", "kid", "typ", "jwk", "crit", text} {
		h := m{"alg": "ES256", "kid": "es"}
		h[header] = text
		out = append(out, token(t, esKey, h, good))
	}
	return out
}
