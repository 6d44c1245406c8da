package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/endpoint"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/identity"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

// upstream is an authorization server of its own that grants whatever it is asked for.
func upstream(t *testing.T) string {
	const issuer = "https://as.example"
	state := memory.New()
	keys, err := mint.Open(t.Context(), mint.Config{Issuer: issuer, Store: state, Alg: mint.ES256, Dir: t.TempDir()})
	require.NoError(t, err)
	secrets, err := identity.Clients(identity.ClientsConfig{Issuer: issuer, Clients: []identity.ClientAuth{{ID: "bot", Secret: "known upstream as this"}}})
	require.NoError(t, err)
	g, err := tokenboundary.New(tokenboundary.Config{
		Issuer: issuer, Store: state, Minter: keys, Identities: []tokenboundary.IdentitySource{secrets},
		Clients: tokenboundary.ClientMap{"bot": {ID: "bot", Kind: tokenboundary.KindWorkload, Connections: []string{"all"},
			Grants: []tokenboundary.Grant{tokenboundary.ClientCredentials, tokenboundary.Refresh}}},
		Policy: tokenboundary.PolicyFunc(func(_ context.Context, f tokenboundary.Facts) (tokenboundary.Verdict, error) {
			v := tokenboundary.Verdict{Effect: tokenboundary.Allow, Path: "/", Resources: f.Resources, Lifetime: 300e9}
			for _, r := range f.Resources {
				v.Access = append(v.Access, lineage.Access{Resource: r, Scopes: f.Scopes})
				for _, s := range f.Scopes {
					v.Reasons = append(v.Reasons, lineage.Reason{Resource: r, Scope: s, Granted: true, Refresh: true})
				}
			}
			return v, nil
		}),
	})
	require.NoError(t, err)
	h, err := endpoint.New(g, endpoint.Config{JWKS: keys.JWKS})
	require.NoError(t, err)
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// start runs the program and returns its address.
func start(t *testing.T) string {
	as, dir := upstream(t), t.TempDir()
	for name, text := range map[string]string{
		"bot": "known here as this\n", "bot.upstream": "known upstream as this", "seal": "0123456789abcdef0123456789abcdef", "hook": "the secret of hydra",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name+".secret"), []byte(text), 0o600))
	}
	ctx, stop := context.WithCancel(context.Background())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"-listen", "127.0.0.1:0", "-data", dir, "-secrets", dir, "-upstream", as + "/token", "-revocation", as + "/revoke"}, w)
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

func TestBothDoors(t *testing.T) {
	at := start(t)
	crm := []string{"https://crm.example.com/"}
	bot := exchange.Client{Endpoint: at + "/token", Auth: exchange.Basic("bot", "known here as this")}
	token, err := bot.ClientCredentials(t.Context(), exchange.Params{Resource: crm, Scopes: []string{"cases:read", "cases:delete"}})
	require.NoError(t, err)
	require.Equal(t, []string{"cases:read"}, token.Scopes)
	again, err := bot.Refresh(t.Context(), token.RefreshValue(), exchange.Params{})
	require.NoError(t, err)
	require.NotEqual(t, token.Value(), again.Value())
	_, err = bot.ClientCredentials(t.Context(), exchange.Params{Resource: crm, Scopes: []string{"cases:delete"}})
	var refused *exchange.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "invalid_scope", refused.Code)

	require.Equal(t, http.StatusOK, hooked(t, at, "the secret of hydra", "cases:read"))
	require.Equal(t, http.StatusForbidden, hooked(t, at, "the secret of hydra", "cases:delete"))
	require.Equal(t, http.StatusUnauthorized, hooked(t, at, "another secret of it", "cases:read"))
}

// hooked sends what Hydra sends.
func hooked(t *testing.T, at, secret, scope string) int {
	body, err := json.Marshal(map[string]any{
		"session": map[string]any{"client_id": "bot", "extra": map[string]any{}},
		"request": map[string]any{"client_id": "bot", "granted_scopes": []string{scope}, "granted_audience": []string{"https://crm.example.com/"},
			"grant_types": []string{"client_credentials"}},
	})
	require.NoError(t, err)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at+"/hooks/hydra", strings.NewReader(string(body)))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", secret)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close() //nolint:errcheck // read only
	return resp.StatusCode
}

func TestRefusesToStartWithoutASecret(t *testing.T) {
	dir := t.TempDir()
	err := run(t.Context(), []string{"-secrets", dir, "-data", dir, "-upstream", "https://as.example/token"}, io.Discard)
	require.ErrorContains(t, err, "bot.secret")
}
