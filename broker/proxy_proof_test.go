package broker_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/broker"
	"github.com/tokenboundary/tokenboundary/identity"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// holder is who has a key.
type holder struct {
	f    *front
	key  *ecdsa.PrivateKey
	made *int
}

func (f *front) holder() holder {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(f, err)
	return holder{f, key, new(int)}
}

func (h holder) thumbprint() string {
	sum, err := (&jose.JSONWebKey{Key: h.key.Public()}).Thumbprint(crypto.SHA256)
	require.NoError(h.f, err)
	return base64.RawURLEncoding.EncodeToString(sum)
}

// bound is a token that is bound to the key.
func (h holder) bound() tb.Token {
	id := h.thumbprint()
	tok, err := h.f.gov.Issue(h.f.ctx, tb.Request{
		Grant: tb.ClientCredentials, Client: verified("bound"), Connection: "erp", Resource: []string{resource}, Scopes: []string{"read"},
		Proof: tb.Credential{Type: tb.TypeDPoP, Verified: &tb.Principal{Party: lineage.Party{ID: id}, Key: id}},
	})
	require.NoError(h.f, err)
	require.Equal(h.f, id, tok.Bound)
	return tok
}

// proof is a proof for reading an invoice with the token, with changed claims; nil removes one.
func (h holder) proof(tok tb.Token, change map[string]any) string {
	*h.made++
	digest := sha256.Sum256([]byte(tok.Value()))
	claims := map[string]any{
		"htm": "GET", "htu": "https://legacy.example.com/v1/invoices/7", "iat": h.f.clock.Now().Unix(), "jti": fmt.Sprint("p", *h.made),
		"ath": base64.RawURLEncoding.EncodeToString(digest[:]),
	}
	for name, v := range change {
		if claims[name] = v; v == nil {
			delete(claims, name)
		}
	}
	payload, err := json.Marshal(claims)
	require.NoError(h.f, err)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: h.key}, (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
	require.NoError(h.f, err)
	signed, err := signer.Sign(payload)
	require.NoError(h.f, err)
	out, err := signed.CompactSerialize()
	require.NoError(h.f, err)
	return out
}

// TestABoundTokenNeedsAProof of its key, for this request and this token, each time a new one; also where there is a lease already.
func TestABoundTokenNeedsAProof(t *testing.T) {
	f := proxied(t, func(w *world, cfg *broker.ProxyConfig) {
		var err error
		cfg.Proofs, err = identity.DPoP(identity.DPoPConfig{Resource: true, Clock: w.clock})
		require.NoError(w, err)
		cfg.ProofAlgs = []string{"ES256"}
	})
	me, thief := f.holder(), f.holder()
	tok, other := me.bound(), f.tok
	f.tok = tok
	ask := func(scheme string, proofs ...string) string {
		text := "GET /v1/invoices/7 HTTP/1.1\r\nHost: x\r\nAuthorization: " + scheme + " TOKEN\r\n"
		for _, p := range proofs {
			text += "DPoP: " + p + "\r\n"
		}
		return text + "\r\n"
	}
	used := me.proof(tok, nil)
	require.Equal(t, 200, f.raw(f.addr, ask("DPoP", used)).StatusCode)
	require.Equal(t, 200, f.raw(f.addr, ask("dpop", me.proof(tok, nil))).StatusCode, "with the same lease")
	require.Equal(t, 1, f.legacy.count())
	require.Len(t, f.up.requests(), 2)
	const scheme, proof = "wrong scheme", "proof of possession is"
	for name, c := range map[string]struct{ text, why string }{
		"as a bearer":     {ask("Bearer"), scheme},
		"proved bearer":   {ask("Bearer", me.proof(tok, nil)), scheme},
		"no proof":        {ask("DPoP"), proof},
		"two proofs":      {ask("DPoP", me.proof(tok, nil), me.proof(tok, nil)), proof},
		"used before":     {ask("DPoP", used), proof},
		"another key":     {ask("DPoP", thief.proof(tok, nil)), proof},
		"another method":  {ask("DPoP", me.proof(tok, map[string]any{"htm": "POST"})), proof},
		"another path":    {ask("DPoP", me.proof(tok, map[string]any{"htu": "https://legacy.example.com/v1/invoices/8"})), proof},
		"another host":    {ask("DPoP", me.proof(tok, map[string]any{"htu": "https://evil.example/v1/invoices/7"})), proof},
		"another token":   {ask("DPoP", me.proof(other, nil)), proof},
		"no token":        {ask("DPoP", me.proof(tok, map[string]any{"ath": nil})), proof},
		"old":             {ask("DPoP", me.proof(tok, map[string]any{"iat": f.clock.Now().Unix() - 61})), proof},
		"no id":           {ask("DPoP", me.proof(tok, map[string]any{"jti": nil})), proof},
		"rubbish":         {ask("DPoP", "a.b.c"), proof},
		"no proof at all": {ask("DPoP", ""), proof},
	} {
		t.Run(name, func(t *testing.T) {
			out := f.refuses(f.addr, c.text, 401, c.why)
			require.Contains(t, fmt.Sprint(out.Header["Www-Authenticate"]), `algs="ES256"`)
		})
	}
	refusedOnce := me.proof(tok, map[string]any{"htu": "https://legacy.example.com/v2"})
	f.refuses(f.addr, ask("DPoP", refusedOnce), 401, proof)
	require.Equal(t, 200, f.raw(f.addr, ask("DPoP", me.proof(tok, nil))).StatusCode, "control")
	head := func(method string) string {
		return strings.Replace(ask("DPoP", me.proof(tok, map[string]any{"htm": method})), "GET ", "HEAD ", 1)
	}
	f.up.requests()
	f.refuses(f.addr, head("GET"), 401, "")
	require.Equal(t, 200, f.raw(f.addr, head("HEAD")).StatusCode, "control")
	f.up.requests()
	f.tok = other
	f.refuses(f.addr, ask("DPoP", me.proof(other, nil)), 401, scheme)
	f.get()

	g := proxied(t) // which verifies none
	h := g.holder()
	g.tok = h.bound()
	g.refuses(g.addr, ask("DPoP", h.proof(g.tok, nil)), 401, proof)
}
