package mcp_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/benbjohnson/clock"
	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/agent"
	governed "github.com/tokenboundary/tokenboundary/hosts/mcp"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// prover signs proofs of possession with a key of its own.
type prover struct {
	clock clock.Clock
	key   *ecdsa.PrivateKey
}

func (p prover) Prove(_ context.Context, method, url, ath string) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: p.key}, (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
	if err != nil {
		return "", err
	}
	claims := map[string]any{"htm": method, "htu": url, "iat": p.clock.Now().Unix(), "jti": rand.Text()}
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

func TestKeyBoundTokensAreProvedAndNotShown(t *testing.T) {
	bothServers(t, func(t *testing.T, w *world) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		bind := func(c *agent.Config) { c.Prover = prover{w.clock, key} }
		s := w.connect(func(c *governed.ClientConfig) { c.Connection = w.taskOf("alice", "connect", bind, "mcp") })
		task := w.taskOf("alice", "triage", bind, all...)
		w.works(s, task, "read")
		w.works(s, task, "read")
		got := w.reached()[0]
		require.NotNil(t, got.claims.Confirm)
		require.Empty(t, got.header.Values("DPoP"))
		require.Empty(t, got.header.Values("Authorization"))

		token := w.token(task, "cases:read")
		h := with(token)
		a := w.send(http.MethodPost, calls("read"), h)
		require.Equal(t, http.StatusUnauthorized, a.status)
		require.Contains(t, a.challenge, `DPoP error="invalid_token"`)
		h.Set("Authorization", "DPoP "+token)
		a = w.send(http.MethodPost, calls("read"), h)
		require.Equal(t, http.StatusUnauthorized, a.status)
		require.Contains(t, a.challenge, `DPoP error="invalid_dpop_proof"`)
		require.Len(t, w.reached(), 2)

		// Nothing proves the key again while a call runs: news of others are no reason to end it.
		plain, bound, other := make(chan error, 1), make(chan error, 1), w.task("report", all...)
		go func() { _, err := use(w, s, task, "wait"); bound <- err }()
		go func() { _, err := use(w, s, other, "wait"); plain <- err }()
		<-w.begun
		<-w.begun
		w.revoke(lineage.SelectTask, other.TaskID().String())
		require.ErrorContains(t, <-plain, "not acceptable any more", "control")
		close(w.finish)
		require.NoError(t, <-bound)
	})
}
