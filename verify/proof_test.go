package verify_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/identity"
	"github.com/tokenboundary/tokenboundary/verify"
)

var b64 = base64.RawURLEncoding

// proofs verifies proofs of possession for a resource server.
func proofs(t testing.TB, clk clock.Clock) tokenboundary.IdentitySource {
	s, err := identity.DPoP(identity.DPoPConfig{Resource: true, Clock: clk})
	require.NoError(t, err)
	return s
}

// holder is who has a key.
type holder struct {
	w   *world
	key *ecdsa.PrivateKey
}

func (w *world) holder() holder {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(w, err)
	return holder{w, key}
}

func (h holder) thumbprint() string {
	sum, err := (&jose.JSONWebKey{Key: h.key.Public()}).Thumbprint(crypto.SHA256)
	require.NoError(h.w, err)
	return b64.EncodeToString(sum)
}

// proof is a proof for a use of a token at the crm, with changed claims; nil removes one.
func (h holder) proof(tok string, change map[string]any) string {
	digest := sha256.Sum256([]byte(tok))
	claims := map[string]any{
		"htm": "GET", "htu": "https://crm.example/v1/cases", "iat": h.w.clock.Now().Unix(), "jti": fmt.Sprint("p", h.w.serial.Add(1)),
		"ath": b64.EncodeToString(digest[:]),
	}
	for name, v := range change {
		if claims[name] = v; v == nil {
			delete(claims, name)
		}
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: h.key},
		(&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
	require.NoError(h.w, err)
	return compact(h.w, signer, claims)
}

// bound asks for a token that is bound to the key.
func (h holder) bound(r *tokenboundary.Request) {
	const endpoint = issuer + "/token"
	r.Proof = tokenboundary.Credential{Type: tokenboundary.TypeDPoP, Method: "POST", URL: endpoint,
		Value: h.proof("", map[string]any{"htm": "POST", "htu": endpoint, "ath": nil})}
}

func withProof(scheme, tok string, proofs ...string) []func(*http.Request) {
	return []func(*http.Request){header("Authorization", scheme+" "+tok), header("DPoP", proofs...)}
}

// TestABoundTokenNeedsAProof of its key, for this request and this token, each time a new one.
func TestABoundTokenNeedsAProof(t *testing.T) {
	w := newWorld(t)
	g := w.guard(func(c *verify.Config) { c.Proofs, c.ProofAlgs = proofs(w, w.clock), []string{"ES256", "EdDSA"} })
	get := g.api(verify.Route{Scopes: []string{"cases:read"}})
	h, thief := w.holder(), w.holder()
	tok, bearerToken := w.issued(h.bound).Value(), w.issued().Value()
	other := w.issued(h.bound).Value()

	a := get(withProof("DPoP", tok, h.proof(tok, nil))...)
	require.Equal(t, 200, a.status)
	require.Equal(t, h.thumbprint(), a.claims.Confirm.Thumbprint)
	require.Equal(t, 200, get(withProof("dpop", tok, h.proof(tok, nil))...).status)
	require.Equal(t, 200, get(header("Authorization", "Bearer "+bearerToken)).status)

	const algs = atMetadata + `, algs="ES256 EdDSA"`
	none := []string{`Bearer scope="cases:read", ` + atMetadata, `DPoP scope="cases:read", ` + algs}
	require.Equal(t, none, get().challenge, "either scheme")
	proof := []string{`DPoP error="invalid_dpop_proof", error_description="The proof of possession is not acceptable", ` + algs}
	scheme := []string{`DPoP error="invalid_token", error_description="The access token was presented under the wrong scheme", ` + algs}
	invalid := []string{`DPoP error="invalid_token", error_description="The access token is not acceptable", ` + algs}
	used := h.proof(tok, nil)
	require.Equal(t, 200, get(withProof("DPoP", tok, used)...).status)
	for name, c := range map[string]struct {
		request   []func(*http.Request)
		challenge []string
	}{
		"as a bearer":         {[]func(*http.Request){header("Authorization", "Bearer "+tok)}, scheme},
		"as a bearer, proved": {withProof("Bearer", tok, h.proof(tok, nil)), scheme},
		"not bound":           {withProof("DPoP", bearerToken, h.proof(bearerToken, nil)), scheme},
		"no proof":            {[]func(*http.Request){header("Authorization", "DPoP "+tok)}, proof},
		"two proofs":          {withProof("DPoP", tok, h.proof(tok, nil), h.proof(tok, nil)), proof},
		"a list of proofs":    {withProof("DPoP", tok, h.proof(tok, nil)+", "+h.proof(tok, nil)), proof},
		"used before":         {withProof("DPoP", tok, used), proof},
		"another key":         {withProof("DPoP", tok, thief.proof(tok, nil)), proof},
		"another token":       {withProof("DPoP", tok, h.proof(other, nil)), proof},
		"no ath":              {withProof("DPoP", tok, h.proof(tok, map[string]any{"ath": nil})), proof},
		"ath of another type": {withProof("DPoP", tok, h.proof(tok, map[string]any{"ath": 7})), proof},
		"ath in another case": {withProof("DPoP", tok, h.proof(tok, map[string]any{"ath": nil, "ATH": ath(tok)})), proof},
		"another method":      {withProof("DPoP", tok, h.proof(tok, map[string]any{"htm": "POST"})), proof},
		"another URL":         {withProof("DPoP", tok, h.proof(tok, map[string]any{"htu": "https://crm.example/v1/other"})), proof},
		"the real address":    {withProof("DPoP", tok, h.proof(tok, map[string]any{"htu": "http://127.0.0.1/v1/cases"})), proof},
		"old":                 {withProof("DPoP", tok, h.proof(tok, map[string]any{"iat": w.clock.Now().Unix() - 60})), proof},
		"not used up":         {withProof("DPoP", tok, h.proof(tok, map[string]any{"jti": ""})), proof},
		"garbage":             {withProof("DPoP", tok, "garbage"), proof},
		"too long":            {withProof("DPoP", tok, longProof(h, tok)), proof},
		"garbage as a token":  {withProof("DPoP", "garbage", h.proof(tok, nil)), invalid},
	} {
		t.Run(name, func(t *testing.T) {
			a := get(c.request...)
			require.Equal(t, 401, a.status)
			require.Equal(t, c.challenge, a.challenge)
		})
	}
	lacks := g.api(verify.Route{Scopes: []string{"cases:write"}})
	a = lacks(withProof("DPoP", tok, h.proof(tok, nil))...)
	require.Equal(t, 403, a.status)
	require.Equal(t, []string{`Bearer error="insufficient_scope", error_description="The access token lacks a scope", scope="cases:write", ` + atMetadata},
		lacks(header("Authorization", "Bearer "+bearerToken)).challenge)
	require.Equal(t, []string{`DPoP error="insufficient_scope", error_description="The access token lacks a scope", scope="cases:write", ` + algs}, a.challenge)
	_, err := g.Verify(t.Context(), tok)
	require.ErrorIs(t, err, verify.ErrBinding)
	require.NotContains(t, w.log.String(), used)

	without := w.guard().api(verify.Route{AnyScope: true})
	require.Equal(t, 401, without(withProof("DPoP", tok, h.proof(tok, nil))...).status, "where no proof can be verified")
	require.Equal(t, 200, without(header("Authorization", "Bearer "+bearerToken)).status)
}

func ath(tok string) string {
	digest := sha256.Sum256([]byte(tok))
	return b64.EncodeToString(digest[:])
}

func longProof(h holder, tok string) string {
	return h.proof(tok, map[string]any{"x": b64.EncodeToString(make([]byte, 16<<10))})
}

// TestProofsOfATokenRequest are none of a resource: the source of package identity refuses those that name a token, and
// those that name none are refused here.
func TestProofsOfATokenRequest(t *testing.T) {
	w := newWorld(t)
	source, err := identity.DPoP(identity.DPoPConfig{Clock: w.clock})
	require.NoError(t, err)
	g := w.guard(func(c *verify.Config) { c.Proofs = source })
	h := w.holder()
	tok := w.issued(h.bound).Value()
	for _, p := range []string{h.proof(tok, nil), h.proof(tok, map[string]any{"ath": nil})} {
		_, err := g.VerifyBound(t.Context(), tok, tokenboundary.Credential{
			Type: tokenboundary.TypeDPoP, Value: p, Method: "GET", URL: "https://crm.example/v1/cases",
		})
		require.ErrorIs(t, err, verify.ErrProof)
	}
}

// TestVerifiedPrincipalsAreNotBelieved: whatever a caller says of a proof, the source is asked.
func TestVerifiedPrincipalsAreNotBelieved(t *testing.T) {
	w := newWorld(t)
	g := w.guard(func(c *verify.Config) { c.Proofs = proofs(w, w.clock) })
	h := w.holder()
	tok := w.issued(h.bound).Value()
	cred := tokenboundary.Credential{Type: tokenboundary.TypeDPoP, Value: h.proof(tok, nil), Method: "GET", URL: "https://crm.example/v1/cases"}
	c, err := g.VerifyBound(t.Context(), tok, cred)
	require.NoError(t, err)
	require.Equal(t, "bot", c.Subject)
	cred.Value = "x.eyJhdGgiOiI" + "x"
	cred.Verified = &tokenboundary.Principal{Key: h.thumbprint(), Once: "1", Expires: w.clock.Now().Add(time.Minute)}
	_, err = g.VerifyBound(t.Context(), tok, cred)
	require.ErrorIs(t, err, verify.ErrProof)
	require.NotContains(t, err.Error(), cred.Value, "what a source says is not repeated")
}
