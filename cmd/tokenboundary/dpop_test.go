package main_test

import (
	"crypto"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/require"
)

// proof returns a header that proves k for a token request (RFC 9449, section 4.2).
func (k key) proof(t testing.TB) string {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: k.private},
		(&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
	require.NoError(t, err)
	raw, err := jwt.Signed(s).Claims(map[string]any{
		"jti": rand.Text(), "htm": http.MethodPost, "htu": issuer + "/token", "iat": time.Now().Unix(),
	}).Serialize()
	require.NoError(t, err)
	return raw
}

func (k key) thumbprint(t testing.TB) string {
	t.Helper()
	sum, err := (&jose.JSONWebKey{Key: k.private.Public()}).Thumbprint(crypto.SHA256)
	require.NoError(t, err)
	return base64.RawURLEncoding.EncodeToString(sum)
}

// proving adds a proof to a request.
func proving(proof string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("DPoP", proof) }
}

// bound asks for a token that is bound to k, and requires that it is.
func (w *world) bound(k key, form url.Values, client string) map[string]any {
	w.t.Helper()
	status, answer := w.form("/token", form, as(client), proving(k.proof(w.t)))
	require.Equal(w.t, http.StatusOK, status, "%v", answer)
	require.Equal(w.t, "DPoP", answer["token_type"])
	state := w.introspect(answer["access_token"])
	require.Equal(w.t, "DPoP", state["token_type"])
	require.Equal(w.t, map[string]any{"jkt": k.thumbprint(w.t)}, state["cnf"])
	return answer
}

func TestATokenIsBoundToAKey(t *testing.T) {
	w := newFlows(t)
	mine, others := newKey(t, ""), newKey(t, "")
	own := func() url.Values { return url.Values{"grant_type": {"client_credentials"}, "scope": {"cases:read"}} }
	_, meta := w.get("/.well-known/oauth-authorization-server")
	require.Contains(t, meta["dpop_signing_alg_values_supported"], "ES256")

	// Required of one client, possible for another.
	w.refused("invalid_dpop_proof", own(), as("sealed"))
	w.bound(mine, own(), "sealed")
	require.Nil(t, w.introspect(w.token(own(), as("agent"))["access_token"])["cnf"])
	w.bound(mine, own(), "agent")

	// A proof is good once, and for what it was made for.
	proof := mine.proof(t)
	status, _ := w.form("/token", own(), as("sealed"), proving(proof))
	require.Equal(t, http.StatusOK, status)
	w.refused("invalid_dpop_proof", own(), as("sealed"), proving(proof))
	w.refused("invalid_dpop_proof", own(), as("agent"), proving("x"))

	// What comes from a bound token is bound: by the same client to the same key, by a delegate to its own.
	first := w.bound(mine, w.exchange("alice", "cases:read"), "agent")
	w.refused("invalid_dpop_proof", derive(first["access_token"], "cases:read"), as("agent"))
	w.refused("invalid_dpop_proof", derive(first["access_token"], "cases:read"), as("tool"))
	w.refused("invalid_dpop_proof", derive(first["access_token"], "cases:read"), as("agent"), proving(others.proof(t)))
	w.bound(mine, derive(first["access_token"], "cases:read"), "agent")
	w.bound(others, derive(first["access_token"], "cases:read"), "tool")

	// So is its refresh token; an attempt with another key burns nothing.
	w.refused("invalid_grant", refresh(first["refresh_token"], ""), as("agent"), proving(others.proof(t)))
	w.refused("invalid_grant", refresh(first["refresh_token"], ""), as("agent"))
	second := w.bound(mine, refresh(first["refresh_token"], ""), "agent")
	w.bound(mine, refresh(second["refresh_token"], ""), "agent")
}
