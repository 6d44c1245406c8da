package mcp_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/go-jose/go-jose/v4"
	"github.com/modelcontextprotocol/go-sdk/mcp"
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

		// While a call runs nothing proves the key again, and news of others are no reason to end it.
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

// proved are the headers of a GET with a key-bound token.
func (w *world) proved(p prover, token string) http.Header {
	w.Helper()
	digest := sha256.Sum256([]byte(token))
	proof, err := p.Prove(w.Context(), http.MethodGet, w.endpoint, base64.RawURLEncoding.EncodeToString(digest[:]))
	require.NoError(w, err)
	h := with("")
	h.Set("Authorization", "DPoP "+token)
	h.Set("DPoP", proof)
	return h
}

// What a key-bound token was let through for ends with its revocation, though nothing proves the key again.
func TestTheRevocationOfAKeyBoundTokenEndsWhatItIsUsedFor(t *testing.T) {
	w := newWorld(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	p := prover{w.clock, key}
	bind := func(c *agent.Config) { c.Prover = p }
	listener, task := w.taskOf("alice", "listen", bind, "mcp"), w.taskOf("alice", "triage", bind, all...)
	s := w.connect(func(c *governed.ClientConfig) { c.Connection = w.taskOf("alice", "connect", bind, "mcp") })
	ended := w.listens(w.silent(listener), w.proved(p, w.token(listener, "mcp")))
	called := make(chan error, 1)
	t.Cleanup(func() { close(w.finish) }) // where the test fails
	go func() { _, err := use(w, s, task, "wait"); called <- err }()
	<-w.begun

	w.revoke(lineage.SelectTask, task.TaskID().String())
	w.until(func() bool { return len(called) > 0 })
	require.ErrorContains(t, <-called, "not acceptable any more")
	require.ErrorContains(t, w.reached()[0].ended, "not acceptable any more")
	w.clock.Add(time.Second)
	select {
	case <-ended:
		t.Fatal("the revocation of another task has ended the stream")
	default:
	}
	w.revoke(lineage.SelectTask, listener.TaskID().String())
	w.endsSoon(ended)
}

// silent opens an MCP session with the tokens of a task, and does not listen.
func (w *world) silent(connection *agent.Session) *mcp.ClientSession {
	w.Helper()
	cfg := w.clientConfig()
	cfg.Connection = connection
	client, err := governed.HTTPClient(cfg)
	require.NoError(w, err)
	s, err := mcp.NewClient(&mcp.Implementation{Name: "bot", Version: "1"}, nil).Connect(w.Context(),
		&mcp.StreamableClientTransport{Endpoint: w.endpoint, HTTPClient: client, DisableStandaloneSSE: true}, nil)
	require.NoError(w, err)
	return s
}
