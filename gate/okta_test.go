package gate_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/gate"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// patches returns the operations on the access token.
func (w *world) patches(r reply) map[string]any {
	w.Helper()
	require.Equal(w, 200, r.status)
	commands, _ := r.at("commands").([]any)
	require.Len(w, commands, 1, r.raw)
	require.Equal(w, "com.okta.access.patch", at(commands[0], "type"))
	out := map[string]any{}
	for _, p := range commands[0].(map[string]any)["value"].([]any) {
		out[at(p, "op").(string)+" "+at(p, "path").(string)] = at(p, "value")
	}
	return out
}

func TestOktaGetsAPatch(t *testing.T) {
	w := newWorld(t)
	url := w.hook(gate.Okta{})
	p := w.patches(w.call(url, w.fixture("okta_client_credentials")))
	require.EqualValues(t, "300", p["replace /token/lifetime/expiration"])
	rec := w.recorded(p["add /claims/tb_decision"])
	require.True(t, rec.Body.Unconfirmed)
	require.Equal(t, w.clock.Now().Add(5*time.Minute), rec.ExpiresAt)
	require.Equal(t, []lineage.Access{{Resource: crm, Scopes: []string{"read"}}}, rec.Body.Granted.Access)

	// A claim of the name is there already: an add would fail, and with it the patch.
	p = w.patches(w.call(url, w.fixture("okta_client_credentials", "data.access.claims.tb_decision", "x", "data.access.claims.tb_task", "y")))
	require.NotEmpty(t, p["replace /claims/tb_decision"])
	require.Equal(t, "", p["replace /claims/tb_task"], "nobody else says what task it is of")
}

func TestOktaVouchesForItsUser(t *testing.T) {
	w := newWorld(t)
	p := w.patches(w.call(w.hook(gate.Okta{}), w.fixture("okta_user")))
	rec := w.recorded(p["add /claims/tb_decision"])
	require.Equal(t, lineage.Party{ID: "alice@example.com", Issuer: "https://org.okta.example/oauth2/default", Kind: "human"}, rec.Body.Subject)
	require.Equal(t, "bot", rec.Body.Actors[0].ID)
	require.Equal(t, lineage.Session{Kind: "human", ID: "102Qoe7t5PcRnSxr8j3I8I6pA", AuthTime: time.Date(2026, 3, 1, 11, 59, 0, 0, time.UTC), AMR: []string{"PASSWORD"}},
		rec.Body.Session)
	require.Equal(t, tb.Exchange, w.facts[0].Grant)
}

func TestWhatOktaCannotDoIsARecordedDenial(t *testing.T) {
	w := newWorld(t)
	url := w.hook(gate.Okta{})
	refused := func(code string, changes ...any) func() {
		return func() {
			r := w.call(url, w.fixture("okta_client_credentials", changes...))
			require.Equal(t, 200, r.status)
			require.Equal(t, map[string]any{"error": map[string]any{"errorSummary": "refused: " + code}}, r.body)
		}
	}
	w.denied(tb.CodeInvalidScope, "the host cannot narrow scopes; allowed: read",
		refused("invalid_scope", "data.access.scopes.admin", map[string]any{"id": "x", "action": "GRANT"}))
	w.denied(tb.CodeInvalidTarget, "the host cannot set the audience", refused("invalid_target", "data.access.claims.aud", nil))
	w.denied(tb.CodeInvalidGrant, "not a refresh token of this boundary",
		refused("invalid_grant", "data.context.protocol.request.grant_type", "refresh_token"))
	w.denied(tb.CodeInvalidGrant, "not a refresh token of this boundary",
		refused("invalid_grant", "data.refresh_token", map[string]any{"jti": "oar1"}))
	w.denied(tb.CodeUnauthorizedClient, "malformed", refused("unauthorized_client", "data.context.protocol.request.grant_type", "password"))
	w.rules.lifetime = 299 * time.Second
	w.denied(tb.CodeInvalidRequest, "the host cannot set the lifetime", refused("invalid_request"))
	w.rules.lifetime = 300 * time.Second
	w.patches(w.call(url, w.fixture("okta_client_credentials"))) // positive control

	w.revoke("subject:alice@example.com")
	w.clock.Add(time.Second)
	w.denied(tb.CodeInvalidRequest, "revoked", func() {
		require.Equal(t, "refused: invalid_request", w.call(url, w.fixture("okta_user")).at("error", "errorSummary"))
	})
	w.clock.Add(time.Minute)
	fresh := w.fixture("okta_user", "data.context.session.lastPasswordVerification", w.clock.Now().Format(time.RFC3339))
	w.patches(w.call(url, fresh)) // who has authenticated since
}

func TestACallThatIsNotOktasIsRefused(t *testing.T) {
	w := newWorld(t)
	url := w.hook(gate.Okta{})
	for _, changes := range [][]any{
		{"eventType", "com.okta.saml.tokens.transform"}, {"data.context.protocol.client.id", nil}, {"data.access.claims.cid", "other"},
		{"data.access.scopes", []any{"read"}}, {"data.access.claims.aud", 7}, {"data.context", "x"},
	} {
		r := w.call(url, w.fixture("okta_client_credentials", changes...))
		require.Equal(t, "not decided: invalid_request", r.at("error", "errorSummary"), changes)
	}
	r := w.call(url, w.fixture("okta_user", "data.context.session.createdAt", "yesterday", "data.context.session.lastPasswordVerification", nil))
	require.Equal(t, "not decided: invalid_request", r.at("error", "errorSummary"))
	require.Empty(t, w.facts)
	many := w.fixture("okta_client_credentials", "data.access.claims.aud", []any{crm, mail})
	require.NotEmpty(t, w.patches(w.call(url, many)), "positive control")
}
