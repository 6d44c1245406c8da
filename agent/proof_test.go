package agent_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/agent"
)

// prover signs proofs of possession with a key of its own.
type prover struct {
	w   *world
	key *ecdsa.PrivateKey
}

func (w *world) prover(t *testing.T) prover {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return prover{w, key}
}

func (p prover) Prove(_ context.Context, method, url, ath string) (string, error) {
	opts := (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: p.key}, opts)
	if err != nil {
		return "", err
	}
	claims := map[string]any{"htm": method, "htu": url, "iat": p.w.clock.Now().Unix(), "jti": rand.Text()}
	if ath != "" {
		claims["ath"] = ath
	}
	raw, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	jws, err := signer.Sign(raw)
	if err != nil {
		return "", err
	}
	return jws.CompactSerialize()
}

func (p prover) thumbprint(t *testing.T) string {
	sum, err := (&jose.JSONWebKey{Key: p.key.Public()}).Thumbprint(crypto.SHA256)
	require.NoError(t, err)
	return base64.RawURLEncoding.EncodeToString(sum)
}

func TestTokensAreBoundToTheKey(t *testing.T) {
	both(t, func(t *testing.T, w *world, b agent.Boundary) {
		w.decide(refreshes)
		home := w.api(t, nil)
		p := w.prover(t)
		cfg := w.config(b)
		cfg.Prover = p
		cfg.Task.Authority[0].Resource = home.URL + "/"
		s := w.start(t, cfg)
		c := client(t, s, agent.Rules{Allow: []agent.Rule{reads(home)}})
		for i := range 3 {
			resp, err := do(t, c, t.Context(), "GET", home.URL+"/cases?page=2", nil)
			require.NoError(t, err)
			require.Equal(t, 200, resp.StatusCode, i)
			w.clock.Add(4 * 60e9) // the task token is renewed with the key, too
		}
		proofs := map[string]bool{}
		for _, r := range home.requests() {
			scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
			require.Equal(t, "DPoP", scheme)
			proof, err := jose.ParseSignedCompact(r.Header.Get("DPoP"), []jose.SignatureAlgorithm{jose.ES256})
			require.NoError(t, err)
			raw, err := proof.Verify(p.key.Public())
			require.NoError(t, err)
			var said map[string]any
			require.NoError(t, json.Unmarshal(raw, &said))
			hash := sha256.Sum256([]byte(token))
			require.Equal(t, base64.RawURLEncoding.EncodeToString(hash[:]), said["ath"])
			require.Equal(t, "GET", said["htm"])
			require.Equal(t, home.URL+"/cases", said["htu"], "without the query")
			proofs[said["jti"].(string)] = true
		}
		require.Len(t, proofs, 3, "each once")
		tok, err := s.Token(t.Context(), agent.Call{Resource: home.URL + "/", Scopes: []string{"cases:read"}})
		require.NoError(t, err)
		require.Equal(t, "DPoP", tok.TokenType)
		require.Equal(t, p.thumbprint(t), w.state(t, tok.AccessToken).Claims.Confirm.Thumbprint)
	})
}

func TestABindingThatWasNotAskedForIsRefused(t *testing.T) {
	w := newWorld(t)
	cfg := w.config(turned{w.local()})
	_, err := agent.Start(t.Context(), cfg)
	require.ErrorIs(t, err, tokenboundary.ErrUnavailable)
	require.ErrorContains(t, err, "a token that is bound to a key")
	cfg.Prover = w.prover(t)
	_, err = agent.Start(t.Context(), cfg)
	require.ErrorContains(t, err, "a token that is not bound to the key")

	cfg.Boundary, cfg.Prover = w.remote(), broken{}
	_, err = agent.Start(t.Context(), cfg)
	require.ErrorContains(t, err, "Config.Prover: no key")
}

// turned is a boundary that says the opposite of what it did.
type turned struct{ agent.Boundary }

func (b turned) Issue(ctx context.Context, req tokenboundary.Request) (agent.Granted, error) {
	g, err := b.Boundary.Issue(ctx, req)
	g.Bound = !g.Bound
	return g, err
}

type broken struct{}

func (broken) Prove(context.Context, string, string, string) (string, error) {
	return "", errors.New("no key")
}

func TestARequestThatCannotBeProvedIsNotSent(t *testing.T) {
	w := newWorld(t)
	home := w.api(t, nil)
	p := &fading{Prover: w.prover(t)}
	cfg := w.config(w.local())
	cfg.Prover = p
	cfg.Task.Authority[0].Resource = home.URL + "/"
	s := w.start(t, cfg)
	tr, err := s.Transport(http.DefaultTransport, agent.Rules{Allow: []agent.Rule{reads(home)}})
	require.NoError(t, err)
	_, err = s.Token(t.Context(), agent.Call{Resource: home.URL + "/", Scopes: []string{"cases:read"}})
	require.NoError(t, err)
	p.Prover = broken{}
	_, err = do(t, &http.Client{Transport: tr}, t.Context(), "POST", home.URL, strings.NewReader("x"))
	require.ErrorContains(t, err, "Config.Prover: no key")
	require.Empty(t, home.requests())
}

type fading struct{ agent.Prover }
