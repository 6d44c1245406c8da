package main_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/zitadel/oidc/v3/pkg/client/tokenexchange"
	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// TestExchangeByAnIndependentClient exchanges with a client that knows RFC 8693 and nothing of the boundary.
func TestExchangeByAnIndependentClient(t *testing.T) {
	w := newWorld(t).start()
	endpoint := tokenexchange.WithStaticTokenEndpoint(issuer, w.base+"/token")
	worker, err := tokenexchange.NewTokenExchangerClientCredentials(t.Context(), issuer, "worker", workerSecret, endpoint)
	require.NoError(t, err)
	first, err := tokenexchange.ExchangeToken(t.Context(), worker, w.idToken("alice"), oidc.IDTokenType, "", "",
		[]string{crm}, nil, []string{"cases:read", "contacts:read"}, oidc.AccessTokenType)
	require.NoError(t, err)
	require.Equal(t, oidc.AccessTokenType, first.IssuedTokenType)
	require.Equal(t, "Bearer", first.TokenType)
	require.NotZero(t, first.ExpiresIn)
	state := w.introspect(first.AccessToken)
	require.Equal(t, true, state["active"])
	require.Equal(t, "alice", state["sub"])
	require.Equal(t, "worker", state["act"].(map[string]any)["sub"])
	require.Equal(t, "cases:read contacts:read", state["scope"])

	// A token of the boundary is exchanged for a narrower one, never for a wider.
	narrow, err := tokenexchange.ExchangeToken(t.Context(), worker, first.AccessToken, oidc.AccessTokenType, "", "",
		[]string{crm}, nil, []string{"cases:read"}, oidc.AccessTokenType)
	require.NoError(t, err)
	require.Equal(t, "cases:read", w.introspect(narrow.AccessToken)["scope"])
	_, err = tokenexchange.ExchangeToken(t.Context(), worker, narrow.AccessToken, oidc.AccessTokenType, "", "",
		[]string{crm}, nil, []string{"contacts:read"}, oidc.AccessTokenType)
	require.ErrorContains(t, err, "invalid_scope")

	// Somebody else's token is not the worker's to exchange, nor is one of nobody.
	bots := w.token(w.asBot(w.exchange("alice", "cases:read")))["access_token"].(string)
	for _, foreign := range []string{bots, "not-a-token"} {
		_, err = tokenexchange.ExchangeToken(t.Context(), worker, foreign, oidc.AccessTokenType, "", "",
			[]string{crm}, nil, []string{"cases:read"}, oidc.AccessTokenType)
		require.ErrorContains(t, err, "invalid_request")
	}
	stranger, err := tokenexchange.NewTokenExchangerClientCredentials(t.Context(), issuer, "worker", "not the secret", endpoint)
	require.NoError(t, err)
	_, err = tokenexchange.ExchangeToken(t.Context(), stranger, w.idToken("alice"), oidc.IDTokenType, "", "",
		[]string{crm}, nil, []string{"cases:read"}, oidc.AccessTokenType)
	require.ErrorContains(t, err, "invalid_client")
}
