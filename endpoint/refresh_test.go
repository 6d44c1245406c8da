package endpoint_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
)

func (s *server) refresh(client, token string, pairs ...string) answer {
	s.Helper()
	return s.post(client, "/token", append([]string{"grant_type", "refresh_token", "refresh_token", token}, pairs...)...)
}

func TestRefreshOverTheWire(t *testing.T) {
	s := newServer(t)
	s.policy = refreshes
	first := s.ok(s.post("keeper", "/token", "grant_type", "client_credentials", "scope", "cases:read cases:write"))
	refresh := first.text("refresh_token")
	require.NotEmpty(t, refresh)
	require.NotEqual(t, refresh, first.text("access_token"))
	plain := s.ok(s.post("support-bot", "/token", "grant_type", "client_credentials"))
	require.NotContains(t, plain.body, "refresh_token", "the client may not use the grant")

	s.clock.Add(time.Minute)
	second := s.ok(s.refresh("keeper", refresh, "scope", "cases:read"))
	require.Equal(t, "cases:read", second.text("scope"))
	require.NotContains(t, second.body, "issued_token_type")
	require.Equal(t, "no-store", second.header.Get("Cache-Control"))
	s.claims(second.text("access_token"))
	next := second.text("refresh_token")
	require.NotEmpty(t, next)
	require.NotEqual(t, refresh, next, "rotated")

	s.refused(s.refresh("support-bot", next), 400, "unauthorized_client", "")
	s.refused(s.refresh("keeper", next, "scope", "cases:delete"), 400, "invalid_scope", "scope")
	s.refused(s.refresh("keeper", "made up"), 400, "invalid_grant", "")
	s.refused(s.refresh("keeper", first.text("access_token")), 400, "invalid_grant", "")
	s.refused(s.exchanged("keeper", next, tokenboundary.TypeRefreshToken), 400, "invalid_request", "subject_token_type is not supported")
	s.refused(s.exchanged("keeper", next, tokenboundary.TypeAccessToken), 400, "invalid_request", "subject_token")
	third := s.ok(s.refresh("keeper", next))
	require.Equal(t, "cases:read cases:write", third.text("scope"), "the full grant is kept")

	s.refused(s.refresh("keeper", refresh), 400, "invalid_grant", "refresh_token")
	s.refused(s.refresh("keeper", third.text("refresh_token")), 400, "invalid_grant", "refresh_token")
	s.inactive(third.text("access_token"))
	for _, value := range []string{refresh, next, third.text("refresh_token")} {
		require.NotContains(t, s.log.String(), value)
	}
}

func TestRevokeTakesRefreshTokens(t *testing.T) {
	s := newServer(t)
	s.policy = refreshes
	a := s.ok(s.post("keeper", "/token", "grant_type", "client_credentials"))
	refresh := a.text("refresh_token")
	s.refused(s.post("stranger", "/revoke", "token", refresh), 400, "unauthorized_client", "token")
	s.refused(s.post("crm", "/revoke", "token", refresh), 403, "unauthorized_client", "")
	s.claims(a.text("access_token"))
	for range 2 {
		require.Equal(t, 200, s.post("keeper", "/revoke", "token", refresh, "token_type_hint", "access_token").status, "the hint is only a hint")
	}
	s.inactive(a.text("access_token"))
	s.refused(s.refresh("keeper", refresh), 400, "invalid_grant", "refresh_token")
	require.Equal(t, `{"active":false}`, s.ok(s.post("ops", "/introspect", "token", refresh)).raw)
}

func TestClientRefreshesAtTheEndpoint(t *testing.T) {
	s := newServer(t)
	s.policy = refreshes
	c := &exchange.Client{Endpoint: s.url + "/token", Auth: exchange.Basic("keeper", secret("keeper"))}
	first, err := c.ClientCredentials(t.Context(), exchange.Params{Scopes: []string{"cases:read"}})
	require.NoError(t, err)
	second, err := c.Refresh(t.Context(), first.RefreshValue(), exchange.Params{})
	require.NoError(t, err)
	require.NotEqual(t, first.RefreshValue(), second.RefreshValue())
	s.claims(second.Value())
	_, err = c.Refresh(t.Context(), first.RefreshValue(), exchange.Params{})
	var refused *exchange.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "invalid_grant", refused.Code)
}

// holder has a key and makes proofs of it.
type holder struct {
	*server
	key *ecdsa.PrivateKey
}

func (s *server) holder() holder {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(s, err)
	return holder{s, key}
}

// proof is a new proof for a POST of a URL.
func (h holder) proof(url string) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: h.key},
		(&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
	require.NoError(h, err)
	jws, err := signer.Sign(fmt.Appendf(nil, `{"jti":"p%d","htm":"POST","htu":%q,"iat":%d}`, h.serial.Add(1), url, h.clock.Now().Unix()))
	require.NoError(h, err)
	compact, err := jws.CompactSerialize()
	require.NoError(h, err)
	return compact
}

// post sends a form to the token endpoint with these values of the header.
func (h holder) post(client string, proofs []string, pairs ...string) answer {
	h.Helper()
	with := func(r *http.Request) { r.Header["Dpop"] = proofs }
	return h.do(client, "POST", "/token", formType, pairsOf(pairs...).Encode(), with)
}

const tokenURL = issuer + "/token" // as published, wherever the test server listens

func TestProofOfPossession(t *testing.T) {
	s := newServer(t)
	s.policy = refreshes
	h := s.holder()
	a := s.ok(h.post("keeper", []string{h.proof(tokenURL)}, "grant_type", "client_credentials"))
	require.Equal(t, "DPoP", a.text("token_type"))
	claims := s.claims(a.text("access_token"))
	require.Equal(t, "DPoP", claims["token_type"])
	require.Len(t, claims["cnf"].(map[string]any)["jkt"], 43)

	bearer := s.ok(h.post("keeper", nil, "grant_type", "client_credentials"))
	require.Equal(t, "Bearer", bearer.text("token_type"))
	require.NotContains(t, s.claims(bearer.text("access_token")), "cnf")
	off := s.ok(h.post("support-bot", []string{h.proof(tokenURL)}, "grant_type", "client_credentials"))
	require.Equal(t, "Bearer", off.text("token_type"), "a proof is ignored where the client has no binding")

	refresh := []string{"grant_type", "refresh_token", "refresh_token", a.text("refresh_token")}
	s.refused(h.post("keeper", nil, refresh...), 400, "invalid_grant", "")
	s.refused(s.holder().post("keeper", []string{s.holder().proof(tokenURL)}, refresh...), 400, "invalid_grant", "")
	b := s.ok(h.post("keeper", []string{h.proof(tokenURL)}, refresh...))
	require.Equal(t, "DPoP", b.text("token_type"))
	require.Equal(t, claims["cnf"], s.claims(b.text("access_token"))["cnf"])
}

func TestProofsThatAreNone(t *testing.T) {
	s := newServer(t)
	h := s.holder()
	cc := []string{"grant_type", "client_credentials"}
	spent := h.proof(tokenURL)
	s.ok(h.post("keeper", []string{spent}, cc...))
	for _, c := range []struct {
		name, why string
		proofs    []string
	}{
		{"two", "DPoP must not repeat", []string{h.proof(tokenURL), h.proof(tokenURL)}},
		{"empty", "DPoP is malformed", []string{""}},
		{"two in one", "DPoP was refused", []string{h.proof(tokenURL) + ", " + h.proof(tokenURL)}},
		{"no proof", "DPoP was refused", []string{"x.y.z"}},
		{"an assertion", "DPoP was refused", []string{s.assertion()}},
		{"for another URL", "DPoP was refused", []string{h.proof(issuer + "/introspect")}},
		{"for the host that was asked", "DPoP was refused", []string{h.proof(s.url + "/token")}},
		{"spent", "DPoP was refused", []string{spent}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.in(t).refused(h.post("keeper", c.proofs, cc...), 400, "invalid_dpop_proof", c.why)
			s.in(t).refused(h.post("", c.proofs, cc...), 401, "invalid_client", "")
		})
	}
	s.ok(h.post("keeper", []string{h.proof(tokenURL)}, cc...))
}
