package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/exchange"
)

// start runs the program in an empty directory and returns its issuer.
func start(t *testing.T, key jose.JSONWebKey) string {
	dir := t.TempDir()
	public, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}})
	require.NoError(t, err)
	keys := filepath.Join(dir, "support-bot.jwks.json")
	require.NoError(t, os.WriteFile(keys, public, 0o600))

	ctx, stop := context.WithCancel(context.Background())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"-listen", "127.0.0.1:0", "-data", dir, "-client-jwks", keys}, w)
		w.CloseWithError(err)
		done <- err
	}()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-done)
	})
	line, err := bufio.NewReader(r).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(line)
}

func TestStartsAndAnswers(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	key := jose.JSONWebKey{Key: private, KeyID: "bot-1", Use: "sig", Algorithm: "ES256"}
	issuer := start(t, key)

	resp, err := http.Get(issuer + "/.well-known/oauth-authorization-server")
	require.NoError(t, err)
	defer resp.Body.Close() //nolint:errcheck // read only
	require.Equal(t, http.StatusOK, resp.StatusCode)
	var metadata map[string]any
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&metadata))
	require.Equal(t, issuer, metadata["issuer"])
	require.Equal(t, issuer+"/token", metadata["token_endpoint"])
	require.Equal(t, issuer+"/jwks.json", metadata["jwks_uri"])

	bot := exchange.Client{Endpoint: issuer + "/token", Auth: exchange.Assertion(func(context.Context) (string, error) {
		return assertion(issuer, key)
	})}
	token, err := bot.ClientCredentials(t.Context(), exchange.Params{})
	require.NoError(t, err)
	require.Equal(t, []string{"cases:read"}, token.Scopes, "the default of the one resource that is bound")
	require.Equal(t, 5*time.Minute, token.ExpiresIn)

	_, err = bot.ClientCredentials(t.Context(), exchange.Params{Scopes: []string{"cases:write"}})
	var refused *exchange.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "invalid_scope", refused.Code, "writing takes a person")
}

func assertion(issuer string, key jose.JSONWebKey) (string, error) {
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil)
	if err != nil {
		return "", err
	}
	now := time.Now().Unix()
	claims, err := json.Marshal(map[string]any{
		"iss": "support-bot", "sub": "support-bot", "aud": issuer, "jti": rand.Text(), "iat": now, "exp": now + 60,
	})
	if err != nil {
		return "", err
	}
	signed, err := s.Sign(claims)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

func TestRefusesToStartWithoutWhatItNeeds(t *testing.T) {
	dir := t.TempDir()
	err := run(t.Context(), []string{"-listen", "127.0.0.1:0", "-data", dir, "-policies", filepath.Join(dir, "none")}, io.Discard)
	require.ErrorContains(t, err, "policy")
	err = run(t.Context(), []string{"-listen", "127.0.0.1:0", "-data", dir}, io.Discard)
	require.ErrorContains(t, err, "support-bot")
}
