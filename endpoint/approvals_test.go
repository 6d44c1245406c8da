package endpoint_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
)

// deferred asks as support-bot for something that has to be approved, and returns the answer that defers it.
func (s *server) deferred(pairs ...string) answer {
	s.Helper()
	a := s.post("support-bot", "/token", append([]string{
		"grant_type", "client_credentials", "scope", "refunds:write cases:read", "completion_mode", "deferred"}, pairs...)...)
	return s.refused(a, 400, "authorization_pending", "the request waits")
}

func (s *server) pollFor(client, code string) answer {
	s.Helper()
	return s.post(client, "/token", "grant_type", exchange.GrantDeferred, "deferral_code", code)
}

// waiting returns what an operator sees of the one request that waits.
func (s *server) waiting(client string) map[string]any {
	s.Helper()
	a := s.ok(s.get(client, "/approvals"))
	requireASCII(s.T, a.raw)
	list := a.body["approvals"].([]any)
	require.Len(s, list, 1, a.raw)
	return list[0].(map[string]any)
}

func (s *server) approve(client, id, body string) answer {
	s.Helper()
	return s.do(client, "POST", "/approvals/"+id, jsonType, body)
}

func TestApprovalOverTheWire(t *testing.T) {
	s := newServer(t)
	s.policy = asksFirst
	a := s.deferred()
	code := a.text("deferral_code")
	require.GreaterOrEqual(t, len(code), 22, "128 bits at least")
	require.Equal(t, float64(600), a.body["expires_in"])
	require.Positive(t, a.body["interval"])
	interval := time.Duration(a.body["interval"].(float64)) * time.Second

	pending := s.waiting("lead")
	id := pending["id"].(string)
	require.Equal(t, "support-bot", pending["client"])
	require.Equal(t, "prod", pending["connection"])
	require.Equal(t, []any{"support-leads"}, pending["groups"])
	require.Equal(t, []any{crm}, pending["audience"])
	require.Equal(t, float64(300), pending["lifetime"], "in seconds")
	access := pending["granted"].(map[string]any)["access"].([]any)[0].(map[string]any)
	require.Equal(t, map[string]any{"resource": crm, "scopes": []any{"cases:read", "refunds:write"}}, access)

	s.clock.Add(interval)
	still := s.refused(s.pollFor("support-bot", code), 400, "authorization_pending", "")
	require.NotContains(t, still.body, "deferral_code")
	require.NotContains(t, still.raw, code)
	fast := s.refused(s.pollFor("support-bot", code), 400, "slow_down", "")
	require.Greater(t, fast.body["interval"], a.body["interval"])
	s.clock.Add(time.Duration(fast.body["interval"].(float64)) * time.Second)
	s.refused(s.pollFor("stranger", code), 400, "invalid_grant", "")

	decided := s.ok(s.approve("lead", id, `{"approve":true}`))
	require.Equal(t, id, decided.text("id"))
	require.Equal(t, pending["digest"], decided.text("digest"))
	require.Equal(t, float64(300), decided.body["lifetime"])
	require.Empty(t, s.ok(s.get("lead", "/approvals")).body["approvals"])
	s.refused(s.approve("lead", id, `{"approve":false}`), 409, "invalid_request", "")

	s.clock.Add(time.Minute)
	released := s.ok(s.pollFor("support-bot", code))
	require.Equal(t, "cases:read refunds:write", released.text("scope"))
	require.Equal(t, tokenboundary.TypeAccessToken, released.text("issued_token_type"))
	s.claims(released.text("access_token"))
	s.clock.Add(time.Minute)
	s.refused(s.pollFor("support-bot", code), 400, "invalid_grant", "")
	require.NotContains(t, s.log.String(), code)
}

func TestApprovalEnds(t *testing.T) {
	s := newServer(t)
	s.policy = asksFirst
	code := s.deferred().text("deferral_code")
	s.ok(s.approve("lead", s.waiting("lead")["id"].(string), `{"approve":false}`))
	s.clock.Add(time.Minute)
	s.refused(s.pollFor("support-bot", code), 400, "access_denied", "")

	code = s.deferred().text("deferral_code")
	id := s.waiting("lead")["id"].(string)
	s.clock.Add(10 * time.Minute)
	s.refused(s.pollFor("support-bot", code), 400, "expired_token", "")
	s.refused(s.approve("lead", id, `{"approve":true}`), 409, "invalid_request", "")
	require.Empty(t, s.ok(s.get("lead", "/approvals")).body["approvals"])

	a := s.post("support-bot", "/token", "grant_type", "client_credentials", "scope", "refunds:write")
	s.refused(a, 400, "invalid_scope", "")
	require.NotContains(t, a.body, "deferral_code", "nobody waits who has not said so")
}

func TestApproveRefuses(t *testing.T) {
	s := newServer(t)
	s.policy = asksFirst
	a := s.exchanged("support-bot", s.human("alice"), tokenboundary.TypeIDToken, "scope", "refunds:write", "completion_mode", "deferred")
	s.refused(a, 400, "authorization_pending", "")
	id := s.waiting("lead")["id"].(string)
	good := `{"approve":true}`
	for body, why := range map[string]string{
		`{}`:                               "approve is missing",
		`{"approve":null}`:                 "approve is malformed",
		`{"approve":"true"}`:               "approve is malformed",
		`{"approve":1}`:                    "approve is malformed",
		`{"Approve":true}`:                 "unknown member",
		`{"approve":true,"scope":"a"}`:     "unknown member",
		`{"approve":false,"approve":true}`: "not acceptable JSON",
		`[true]`:                           "not a JSON object",
		`true`:                             "not a JSON object",
		``:                                 "not acceptable JSON",
	} {
		s.refused(s.approve("lead", id, body), 400, "invalid_request", why)
	}
	s.refused(s.do("lead", "POST", "/approvals/"+id, formType, "approve=true"), 400, "invalid_request", "application/json")
	s.refused(s.approve("lead", id, good+strings.Repeat(" ", 256<<10)), 413, "invalid_request", "too large")
	s.refused(s.approve("", id, good), 401, "invalid_client", "")
	s.refused(s.get("", "/approvals"), 401, "invalid_client", "")
	for _, client := range []string{"support-bot", "crm", "ops", "alice-ops", "nobody-ops"} { // of another kind or group, a party to it, nobody
		s.refused(s.approve(client, id, good), 403, "unauthorized_client", "")
	}
	for _, client := range []string{"support-bot", "crm"} {
		s.refused(s.get(client, "/approvals"), 403, "unauthorized_client", "")
	}
	s.refused(s.do("", "GET", "/approvals", "", "", bearer(s.assertion())), 403, "unauthorized_client", "")
	require.Empty(t, s.ok(s.get("ops", "/approvals")).body["approvals"], "of another group")
	token := s.claims(s.token("support-bot"))["jti"].(string)
	for _, unknown := range []string{"x", id + "A", id[:42] + "%41", token} {
		s.refused(s.approve("lead", unknown, good), 404, "invalid_request", "")
	}
	s.ok(s.approve("lead", id, good))
}

// TestApproverSeesWhatIsThere: a purpose cannot make a terminal show something else.
func TestApproverSeesWhatIsThere(t *testing.T) {
	s := newServer(t)
	s.policy = asksFirst
	purpose, note := "refund \u202etxt.\U0001f600", "\u2066hidden\u2069 \u200b"
	details, err := json.Marshal([]any{map[string]any{"type": "task", "purpose": purpose, "context": map[string]any{"note": note}}})
	require.NoError(t, err)
	s.deferred("authorization_details", string(details))
	raw := s.ok(s.get("lead", "/approvals")).raw
	requireASCII(t, raw)
	require.Contains(t, raw, `"purpose":"refund \u202etxt.\ud83d\ude00"`)
	require.Contains(t, raw, `"note":"\u2066hidden\u2069 \u200b"`)
	task := s.waiting("lead")["task"].(map[string]any)
	require.Equal(t, purpose, task["purpose"], "escaped, and still exact")
	requireASCII(t, s.ok(s.approve("lead", s.waiting("lead")["id"].(string), `{"approve":true}`)).raw)
}

func TestClientPollsAtTheEndpoint(t *testing.T) {
	s := newServer(t)
	s.policy = asksFirst
	c := &exchange.Client{Endpoint: s.url + "/token", HTTPClient: http.DefaultClient, Auth: exchange.Basic("support-bot", secret("support-bot"))}
	p := exchange.Params{Scopes: []string{"refunds:write"}, Deferrable: true,
		Subject: tokenboundary.Credential{Type: tokenboundary.TypeIDToken, Value: s.human("bob")}}
	_, err := c.Exchange(t.Context(), p)
	var wait *exchange.Error
	require.ErrorAs(t, err, &wait)
	require.NotNil(t, wait.Deferral)
	require.Equal(t, 10*time.Minute, wait.Deferral.ExpiresIn)
	code := wait.Deferral.Code.Value
	s.clock.Add(wait.Deferral.Interval)
	_, err = c.Poll(t.Context(), code, p)
	require.ErrorAs(t, err, &wait)
	require.Equal(t, "authorization_pending", wait.Code)
	require.NotContains(t, err.Error(), code)

	s.ok(s.approve("lead", s.waiting("lead")["id"].(string), `{"approve":true}`))
	s.clock.Add(time.Minute)
	r, err := c.Poll(t.Context(), code, p)
	require.NoError(t, err)
	require.Equal(t, []string{"refunds:write"}, r.Scopes)
	require.Equal(t, "user:bob", s.claims(r.Value())["sub"])
}
