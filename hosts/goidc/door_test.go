package goidc_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/benbjohnson/clock"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/luikyv/go-oidc/pkg/goidc"
	"github.com/luikyv/go-oidc/pkg/provider"
	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

func TestAnAmbiguousFormIsRefusedAndRecorded(t *testing.T) {
	w := newWorld(t)
	f := form("grant_type", "client_credentials", "resource", crm, "scope", "read")
	f.Add("scope", "write")
	w.refused(w.post("/token", "tool", f), http.StatusBadRequest, "invalid_request")
	require.Contains(t, w.denied("tool"), "malformed")
	f = form("grant_type", "client_credentials", "resource", crm, "scope", "read", "subject_token", "x")
	w.refused(w.post("/token", "tool", f), http.StatusBadRequest, "invalid_request")
	w.granted(w.credentials("tool", "read"))
}

func TestParametersInTheURLDoNotCount(t *testing.T) {
	w := newWorld(t)
	query := url.Values{"scope": {"read write"}, "resource": {mail}}.Encode()
	a := w.granted(w.post("/token?"+query, "tool", form("grant_type", "client_credentials", "resource", crm, "scope", "read")))
	require.Equal(t, "read", a.claims(t)["scope"])
	require.Equal(t, crm, a.claims(t)["aud"])
}

func TestAClientThatProvesNothingGetsNoToken(t *testing.T) {
	w := newWorld(t)
	f := form("grant_type", "client_credentials", "resource", crm, "scope", "read", "client_id", "public")
	w.refused(w.post("/token", "", f), http.StatusUnauthorized, "invalid_client")
	w.granted(w.credentials("tool", "read"))
}

func TestALargeFormIsRefused(t *testing.T) {
	w := newWorld(t)
	f := form("grant_type", "client_credentials", "resource", crm, "scope", "read", "x", strings.Repeat("a", 256<<10))
	w.refused(w.post("/token", "tool", f), http.StatusRequestEntityTooLarge, "invalid_request")
	f.Set("x", strings.Repeat("a", 200<<10))
	w.granted(w.post("/token", "tool", f))
}

// bearing governs a provider that also has a grant of its own.
func bearing(undecided ...goidc.GrantType) func(*world) {
	return func(w *world) {
		w.more = append(w.more, provider.WithJWTBearerGrant(func(_ context.Context, assertion string) (goidc.JWTBearerResult, error) {
			return goidc.JWTBearerResult{Subject: assertion}, nil
		}))
		w.cfg.Undecided = undecided
	}
}

func (w *world) bearer(client, who string) answer {
	w.Helper()
	return w.post("/token", client, form("grant_type", string(goidc.GrantJWTBearer), "assertion", who, "scope", "read", "resource", crm))
}

func TestAnotherGrantIsRefusedUnlessTheHostAnswersForIt(t *testing.T) {
	w := newWorld(t, bearing())
	w.refused(w.bearer("tool", "bob"), http.StatusBadRequest, "unauthorized_client")
	require.Contains(t, w.denied("tool"), "the client may not use this grant")

	w = newWorld(t, bearing(goidc.GrantJWTBearer))
	a := w.granted(w.bearer("tool", "bob"))
	_, err := lineage.ParseID(a.claims(t)["jti"].(string))
	require.Error(t, err, "no decision")
	require.Equal(t, true, w.introspect(a.text("access_token")).body["active"])
	a = w.granted(w.refresh("tool", a.text("refresh_token")))
	w.refused(w.exchange("orchestrator", a.text("access_token"), typeAccess, "read"), http.StatusBadRequest, "invalid_request")
	require.Contains(t, w.denied("orchestrator"), "not acceptable")

	token := a.text("refresh_token")
	alone := newWorld(t, bearing(), func(o *world) { o.grants = w.grants; o.cfg.RefreshTokens = w.grants })
	alone.refused(alone.refresh("tool", token), http.StatusBadRequest, "invalid_grant")
	w.granted(w.refresh("tool", token))
}

func TestATokenOfAnotherGrantCarriesWhatTheHostSays(t *testing.T) {
	w := newWorld(t, bearing(goidc.GrantJWTBearer), func(w *world) {
		w.cfg.Subject = func(_ context.Context, info goidc.TokenInfo) (tb.Principal, error) {
			var access []lineage.Access
			for _, r := range info.ResourceAudiences {
				access = append(access, lineage.Access{Resource: r, Scopes: strings.Fields(info.Scopes)})
			}
			return tb.Principal{
				Party:  lineage.Party{ID: info.Subject, Issuer: info.Issuer, Kind: "human"},
				Issued: at(info.IssuedAt), Expires: at(info.ExpiresAt), Authority: &lineage.Authority{Access: access, Depth: 2},
			}, nil
		}
	})
	a := w.granted(w.bearer("tool", "bob"))
	c := w.granted(w.exchange("orchestrator", a.text("access_token"), typeAccess, "read write")).claims(t)
	require.Equal(t, "bob", c["sub"])
	require.Equal(t, "read", c["scope"])
	require.Equal(t, "orchestrator", c["act"].(map[string]any)["sub"])
}

func TestABoundTokenStaysBound(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.more = append(w.more, provider.WithDPoP(goidc.ES256))
		w.binding = tb.BindingOptional
	})
	mine, others := proofKey(t), proofKey(t)
	w.proof = prove(t, mine)
	a := w.granted(w.exchange("orchestrator", human(t, "alice"), typeID, "read"))
	require.Equal(t, "DPoP", a.text("token_type"))
	token := a.text("access_token")
	w.proof = nil
	w.refused(w.exchange("tool", token, typeAccess, "read"), http.StatusBadRequest, "invalid_dpop_proof")
	w.proof = prove(t, others)
	w.refused(w.exchange("orchestrator", token, typeAccess, "read"), http.StatusBadRequest, "invalid_dpop_proof")
	child := w.granted(w.exchange("tool", token, typeAccess, "read")) // a delegate proves a key of its own
	thumb, err := (&jose.JSONWebKey{Key: others.Public()}).Thumbprint(crypto.SHA256)
	require.NoError(t, err)
	require.Equal(t, map[string]any{"jkt": base64.RawURLEncoding.EncodeToString(thumb)}, child.claims(t)["cnf"])
}

func proofKey(t *testing.T) *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return k
}

// prove returns a maker of proofs of possession (RFC 9449).
func prove(t *testing.T, k *ecdsa.PrivateKey) func(path string) string {
	return func(path string) string {
		opts := (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt")
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: k}, opts)
		require.NoError(t, err)
		text, err := jwt.Signed(signer).Claims(map[string]any{
			"jti": rand.Text(), "htm": http.MethodPost, "htu": issuer + path, "iat": clock.New().Now().Unix(),
		}).Serialize()
		require.NoError(t, err)
		return text
	}
}
