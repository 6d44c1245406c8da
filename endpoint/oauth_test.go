package endpoint_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
)

func TestIntrospection(t *testing.T) {
	s := newServer(t)
	token := s.token("support-bot")
	a := s.ok(s.post("crm", "/introspect", "token", token, "token_type_hint", "refresh_token"))
	require.Equal(t, true, a.body["active"])
	require.Equal(t, "no-store", a.header.Get("Cache-Control"))
	for _, member := range []string{"iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "txn", "token_type"} {
		require.Contains(t, a.body, member)
	}

	require.Equal(t, `{"active":false}`, s.ok(s.post("mail", "/introspect", "token", token)).raw, "for another resource")
	require.Equal(t, `{"active":false}`, s.ok(s.post("crm", "/introspect", "token", "x.y.z")).raw)
	require.Equal(t, `{"active":false}`, s.ok(s.post("crm", "/introspect", "token", token+"x")).raw)
	s.refused(s.post("support-bot", "/introspect", "token", token), 403, "unauthorized_client", "")
	s.refused(s.post("", "/introspect", "token", token), 401, "invalid_client", "")
	s.refused(s.post("crm", "/introspect"), 400, "invalid_request", "token is missing")
	s.refused(s.post("crm", "/introspect?token="+token), 400, "invalid_request", "token is missing")
	s.refused(s.post("crm", "/introspect", "token", token, "token", token), 400, "invalid_request", "token must not repeat")
	s.refused(s.post("crm", "/introspect", "token", strings.Repeat("a", 16<<10+1)), 400, "invalid_request", "token is too long")

	s.clock.Add(5 * time.Minute)
	s.inactive(token)
}

func TestRevocationOfToken(t *testing.T) {
	s := newServer(t)
	parent := s.token("support-bot")
	child := s.ok(s.tool(parent)).text("access_token")
	s.claims(child)

	s.refused(s.post("stranger", "/revoke", "token", parent), 400, "unauthorized_client", "token")
	s.refused(s.post("crm", "/revoke", "token", parent), 403, "unauthorized_client", "")
	s.refused(s.post("", "/revoke", "token", parent), 401, "invalid_client", "")
	s.refused(s.post("support-bot", "/revoke"), 400, "invalid_request", "token is missing")
	s.claims(parent)

	for range 2 { // the second time it is dead already, which is no error
		a := s.post("support-bot", "/revoke", "token", parent, "token_type_hint", "made_up")
		require.Equal(t, 200, a.status)
		require.Empty(t, a.raw)
		require.Equal(t, "no-store", a.header.Get("Cache-Control"))
	}
	require.Equal(t, 200, s.post("support-bot", "/revoke", "token", "unknown").status)
	s.inactive(parent)
	s.inactive(child)
}

func TestRevokingTheTaskTokenEndsTheTask(t *testing.T) {
	s := newServer(t)
	a := s.ok(s.post("support-bot", "/token", "grant_type", "client_credentials", "authorization_details", `[{"type":"task","purpose":"triage"}]`))
	derived := s.ok(s.exchanged("support-bot", a.text("access_token"), tokenboundary.TypeAccessToken)).text("access_token")
	s.claims(derived)
	require.Equal(t, 200, s.post("ops", "/revoke", "token", a.text("access_token")).status)
	s.inactive(derived)
	require.Equal(t, "revoked", s.ok(s.get("support-bot", "/tasks/"+a.text("task_id"))).text("state"))
}

// x/oauth2 is the client that most Go programs have.
func TestOAuth2Client(t *testing.T) {
	s := newServer(t)
	for _, style := range []oauth2.AuthStyle{oauth2.AuthStyleInHeader, oauth2.AuthStyleAutoDetect} {
		c := clientcredentials.Config{
			ClientID: "support-bot", ClientSecret: secret("support-bot"), TokenURL: s.url + "/token", AuthStyle: style,
			Scopes: []string{"cases:read"}, EndpointParams: pairsOf("resource", crm, "connection", "prod"),
		}
		tok, err := c.Token(t.Context())
		require.NoError(t, err)
		require.Equal(t, "Bearer", tok.Type())
		require.False(t, tok.Expiry.IsZero())
		require.Equal(t, "cases:read", s.claims(tok.AccessToken)["scope"])
	}
	c := clientcredentials.Config{
		ClientID: "support-bot", ClientSecret: secret("support-bot"), TokenURL: s.url + "/token", Scopes: []string{"admin"},
		AuthStyle: oauth2.AuthStyleInHeader,
	}
	_, err := c.Token(t.Context())
	var refused *oauth2.RetrieveError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "invalid_scope", refused.ErrorCode)
	require.Equal(t, 400, refused.Response.StatusCode)
}

func TestExchangeClient(t *testing.T) {
	s := newServer(t)
	bot := &exchange.Client{Endpoint: s.url + "/token", Auth: exchange.Basic("support-bot", secret("support-bot"))}
	tool := &exchange.Client{Endpoint: s.url + "/token", HTTPClient: http.DefaultClient,
		Auth: exchange.Assertion(func(context.Context) (string, error) { return s.assertion(), nil })}
	first, err := bot.Exchange(t.Context(), exchange.Params{
		Subject: tokenboundary.Credential{Type: tokenboundary.TypeIDToken, Value: s.human("alice")},
		Scopes:  []string{"cases:read", "admin"}, Details: []byte(`[{"type":"task","purpose":"triage"}]`),
	})
	require.NoError(t, err)
	require.Equal(t, []string{"cases:read"}, first.Scopes)
	require.NotEmpty(t, first.TaskID)
	second, err := tool.Exchange(t.Context(), exchange.Params{
		Subject: tokenboundary.Credential{Type: tokenboundary.TypeAccessToken, Value: first.Value()}, Connection: "prod",
	})
	require.NoError(t, err)
	require.Equal(t, first.TaskID, second.TaskID)
	require.Equal(t, 5*time.Minute, second.ExpiresIn)
	require.Equal(t, "crm-tool", s.claims(second.Value())["act"].(map[string]any)["sub"])

	_, err = bot.ClientCredentials(t.Context(), exchange.Params{Resource: []string{"https://unbound.example/"}})
	var refused *exchange.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "invalid_target", refused.Code)
}
