package endpoint_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
)

func TestClientCredentials(t *testing.T) {
	s := newServer(t)
	a := s.ok(s.post("support-bot", "/token", "grant_type", "client_credentials", "scope", "cases:write cases:read admin"))
	require.Equal(t, "Bearer", a.text("token_type"))
	require.Equal(t, float64(300), a.body["expires_in"])
	require.Equal(t, "cases:read cases:write", a.text("scope"), "narrowed, and said so")
	require.NotContains(t, a.body, "issued_token_type")
	require.NotContains(t, a.body, "task_id")
	require.NotContains(t, a.body, "refresh_token")
	require.Equal(t, "application/json", a.header.Get("Content-Type"))
	require.Equal(t, "no-store", a.header.Get("Cache-Control"))
	require.Equal(t, "no-cache", a.header.Get("Pragma"))

	claims := s.claims(a.text("access_token"))
	require.Equal(t, "support-bot", claims["sub"])
	require.Equal(t, crm, claims["aud"])
	require.Equal(t, "Bearer", claims["token_type"])
	require.Equal(t, "cases:read cases:write", claims["scope"])
	require.NotContains(t, claims, "act")
}

func TestExchangeIsDelegation(t *testing.T) {
	s := newServer(t)
	a := s.ok(s.exchanged("support-bot", s.human("alice"), tokenboundary.TypeIDToken,
		"resource", "HTTPS://CRM.example:443/", "scope", "cases:read cases:write"))
	require.Equal(t, tokenboundary.TypeAccessToken, a.text("issued_token_type"))
	claims := s.claims(a.text("access_token"))
	require.Equal(t, "user:alice", claims["sub"])
	require.Equal(t, crm, claims["aud"])
	require.Equal(t, "support-bot", claims["act"].(map[string]any)["sub"])

	b := s.ok(s.tool(a.text("access_token"), "scope", "cases:read", "client_id", "crm-tool"))
	claims = s.claims(b.text("access_token"))
	require.Equal(t, "user:alice", claims["sub"])
	require.Equal(t, "cases:read", claims["scope"])
	act := claims["act"].(map[string]any)
	require.Equal(t, "crm-tool", act["sub"])
	require.Equal(t, "support-bot", act["act"].(map[string]any)["sub"])
}

func TestTaskOverTheWire(t *testing.T) {
	s := newServer(t)
	a := s.ok(s.post("support-bot", "/token", "grant_type", "client_credentials", "scope", "cases:read", "authorization_details",
		`[{"type":"task","purpose":"triage","expires_in":900,"max_derivations":1,"context":{"ticket":7}},{"type":"payment","amount":1}]`))
	id := a.text("task_id")
	require.NotEmpty(t, id)
	granted, err := json.Marshal(a.body["authorization_details"])
	require.NoError(t, err)
	require.JSONEq(t, `[{"type":"task","purpose":"triage","task_id":"`+id+`","expires_in":900,"max_derivations":1,"context":{"ticket":7},
		"authority":[{"resource":"https://crm.example/","scopes":["cases:read"]}]},{"type":"payment","amount":1}]`, string(granted))

	task := s.ok(s.get("support-bot", "/tasks/"+id)).body
	require.Equal(t, map[string]any{
		"id": id, "state": "active", "purpose": "triage", "expires_at": "2026-03-01T12:15:00Z", "derivations": float64(0),
	}, task)
	derived := s.ok(s.exchanged("support-bot", a.text("access_token"), tokenboundary.TypeAccessToken))
	require.Equal(t, id, derived.text("task_id"))
	require.Equal(t, map[string]any{"id": id, "purpose": "triage"}, s.claims(derived.text("access_token"))["task"])
	require.Equal(t, float64(1), s.ok(s.get("ops", "/tasks/"+id)).body["derivations"])
	s.refused(s.exchanged("support-bot", a.text("access_token"), tokenboundary.TypeAccessToken), 400, "invalid_request", "subject_token")

	s.refused(s.get("stranger", "/tasks/"+id), 404, "invalid_request", "")
	s.refused(s.do("stranger", "POST", "/tasks/"+id+"/complete", "", ""), 404, "invalid_request", "")
	s.refused(s.get("crm", "/tasks/"+id), 403, "unauthorized_client", "")
	s.claims(derived.text("access_token"))

	require.Equal(t, "completed", s.ok(s.do("support-bot", "POST", "/tasks/"+id+"/complete", "", "")).text("state"))
	s.inactive(derived.text("access_token"))
	s.inactive(a.text("access_token"))
	require.Equal(t, "completed", s.ok(s.do("ops", "POST", "/tasks/"+id+"/complete", "", "")).text("state"), "again changes nothing")
}

func TestSuspendAndResume(t *testing.T) {
	s := newServer(t)
	a := s.ok(s.post("support-bot", "/token", "grant_type", "client_credentials", "authorization_details", `[{"type":"task","purpose":"triage"}]`))
	token, path := a.text("access_token"), "/tasks/"+a.text("task_id")
	derived := s.ok(s.exchanged("support-bot", token, tokenboundary.TypeAccessToken)).text("access_token")
	to := func(client, verb string) answer { return s.do(client, "POST", path+verb, "", "") }

	want := map[string]any{
		"id": a.text("task_id"), "state": "suspended", "purpose": "triage", "expires_at": "2026-03-01T13:00:00Z", "derivations": 1.0}
	for range 2 { // the second time it changes nothing
		require.Equal(t, want, s.ok(to("support-bot", "/suspend")).body)
	}
	require.Equal(t, want, s.ok(s.get("ops", path)).body)
	s.inactive(token)
	s.inactive(derived)
	s.refused(s.exchanged("support-bot", token, tokenboundary.TypeAccessToken), 400, "invalid_request", "subject_token")

	s.policy = func(tokenboundary.Facts) tokenboundary.Verdict { return tokenboundary.Verdict{Path: "/hidden"} }
	s.refused(to("ops", "/resume"), 400, "invalid_target", "")
	s.inactive(token)
	require.Equal(t, "suspended", s.ok(s.get("ops", path)).text("state"), "a resume that is refused changes nothing")
	s.policy = grantsMost
	want["state"] = "active"
	require.Equal(t, want, s.ok(to("ops", "/resume")).body)
	s.claims(token)
	s.claims(derived)
	var actions []any
	for _, e := range s.ok(s.get("crm", "/revocations")).body["entries"].([]any) {
		require.Equal(t, "task:"+a.text("task_id"), e.(map[string]any)["selector"])
		actions = append(actions, e.(map[string]any)["action"])
	}
	require.Equal(t, []any{"suspend", "resume"}, actions, "one write each")

	for _, verb := range []string{"/suspend", "/resume"} {
		s.refused(to("stranger", verb), 404, "invalid_request", "")
		s.refused(to("crm", verb), 403, "unauthorized_client", "")
		s.refused(to("", verb), 401, "invalid_client", "")
		s.refused(s.do("ops", "POST", "/tasks/x"+verb, "", ""), 404, "invalid_request", "")
	}
	s.claims(token)
	require.Equal(t, "completed", s.ok(to("support-bot", "/complete")).text("state"))
	for _, verb := range []string{"/suspend", "/resume"} {
		s.refused(to("support-bot", verb), 409, "invalid_request", "")
	}
	s.inactive(token)
}

func TestTokenCodes(t *testing.T) {
	s := newServer(t)
	mine := s.token("support-bot")
	cc := func(pairs ...string) []string { return append([]string{"grant_type", "client_credentials"}, pairs...) }
	ex := func(pairs ...string) []string {
		return append([]string{"grant_type", exchange.GrantTokenExchange, "subject_token_type", tokenboundary.TypeAccessToken}, pairs...)
	}
	for _, c := range []struct {
		name, client, code, why string
		form                    []string
	}{
		{"target denied", "support-bot", "invalid_target", "resource", cc("resource", "https://unbound.example/")},
		{"target malformed", "support-bot", "invalid_target", "resource", cc("resource", "https://crm.example/a/../b")},
		{"target with a fragment", "support-bot", "invalid_target", "resource", cc("resource", "https://crm.example/#x")},
		{"audience is a target", "support-bot", "invalid_target", "resource", cc("audience", "https://unbound.example/")},
		{"all scopes denied", "support-bot", "invalid_scope", "scope", cc("scope", "admin")},
		{"other connection", "support-bot", "invalid_target", "connection", cc("connection", "staging")},
		{"unknown type of details", "support-bot", "invalid_authorization_details", "", cc("authorization_details", `[{"type":"x"}]`)},
		{"grant not permitted", "exchanger", "unauthorized_client", "grant_type", cc()},
		{"kind without grants", "crm", "unauthorized_client", "", cc()},
		{"operator without grants", "ops", "unauthorized_client", "", ex("subject_token", mine)},
		{"not a token", "support-bot", "invalid_request", "subject_token", ex("subject_token", "x.y.z")},
		{"not delegable to this client", "stranger", "invalid_request", "subject_token", ex("subject_token", mine)},
		{"wider than the subject token", "support-bot", "invalid_scope", "scope", ex("subject_token", mine, "scope", "cases:delete")},
		{"elsewhere than the subject token", "support-bot", "invalid_target", "resource", ex("subject_token", mine, "resource", mail)},
		{"actor that is not its own", "support-bot", "invalid_request", "actor_token",
			ex("subject_token", mine, "actor_token", s.human("mallory"), "actor_token_type", tokenboundary.TypeIDToken)},
	} {
		t.Run(c.name, func(t *testing.T) {
			sub := s.in(t)
			sub.refused(sub.post(c.client, "/token", c.form...), 400, c.code, c.why)
		})
	}
	s.ok(s.post("support-bot", "/token", ex("subject_token", mine)...))
}

// malformed are forms that are no request, with the answer that an authenticated client gets.
var malformed = map[string][2]string{
	"":                         {"invalid_request", "grant_type is missing"},
	"grant_type=x":             {"unsupported_grant_type", "grant_type"},
	"grant_type=refresh_token": {"invalid_request", "refresh_token is missing"},
	"grant_type=refresh_token&refresh_token=r&completion_mode=deferred":    {"invalid_request", "completion_mode has no place"},
	"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adeferred":       {"invalid_request", "deferral_code is missing"},
	"grant_type=client_credentials&completion_mode=later":                  {"invalid_request", "completion_mode is not supported"},
	"grant_type=client_credentials&grant_type=client_credentials":          {"invalid_request", "grant_type must not repeat"},
	"grant_type=client_credentials&scope=a&scope=b":                        {"invalid_request", "scope must not repeat"},
	"grant_type=client_credentials&scope=%zz":                              {"invalid_request", "scope is malformed"},
	"grant_type=client_credentials&scope=a%20%20b":                         {"invalid_scope", "scope"},
	"grant_type=client_credentials&subject_token=x":                        {"invalid_request", "subject_token has no place"},
	"grant_type=client_credentials&authorization_details=%7B%7D":           {"invalid_authorization_details", "array"},
	"grant_type=client_credentials&" + strings.Repeat("x=y&", 200):         {"invalid_request", "too many parameters"},
	"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange": {"invalid_request", "subject_token is missing"},
}

func TestAuthenticationComesFirst(t *testing.T) {
	s := newServer(t)
	for body, want := range malformed {
		s.refused(s.do("support-bot", "POST", "/token", formType, body), 400, want[0], want[1])
		s.refused(s.do("", "POST", "/token", formType, body), 401, "invalid_client", "")
		wrong := func(r *http.Request) { r.SetBasicAuth("support-bot", "wrong but long enough") }
		s.refused(s.do("", "POST", "/token", formType, body, wrong), 401, "invalid_client", "")
		unknown := func(r *http.Request) { r.SetBasicAuth("nobody", "wrong but long enough") }
		s.refused(s.do("", "POST", "/token", formType, body, unknown), 401, "invalid_client", "")
	}
	// The same with an assertion, as long as that itself can be read without doubt.
	assertion := "&client_assertion_type=" + "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion="
	scopes := "grant_type=client_credentials&scope=a&scope=b"
	s.refused(s.do("", "POST", "/token", formType, scopes+assertion+s.assertion()), 400, "invalid_request", "scope must not repeat")
	s.refused(s.do("", "POST", "/token", formType, scopes+assertion+"x.y.z"), 401, "invalid_client", "")
	one := s.assertion()
	s.refused(s.do("", "POST", "/token", formType, "grant_type=client_credentials"+assertion+one+"&client_assertion="+one), 400, "invalid_request", "client_assertion must not repeat")
	s.ok(s.do("", "POST", "/token", formType, "grant_type=client_credentials"+assertion+one))
}

func TestClientAuthentication(t *testing.T) {
	s := newServer(t)
	header := func(values ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header["Authorization"] = values }
	}
	basic := func(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }
	good := basic("support-bot:secret+of+support-bot%3A+%25%26%2B%C3%A9")
	jwt := []string{"client_assertion_type", exchange.AssertionType}
	for _, c := range []struct {
		name   string
		header []string
		form   []string
		status int
		code   string
	}{
		{"secret", []string{good}, nil, 200, ""},
		{"scheme in another case", []string{"bASIC" + good[5:]}, nil, 200, ""},
		{"secret and its client_id", []string{good}, []string{"client_id", "support-bot"}, 200, ""},
		{"assertion", nil, append(jwt, "client_assertion", s.assertion()), 200, ""},
		{"assertion and its client_id", nil, append(jwt, "client_assertion", s.assertion(), "client_id", "crm-tool"), 200, ""},

		{"nothing", nil, nil, 401, "invalid_client"},
		{"client_id alone", nil, []string{"client_id", "support-bot"}, 401, "invalid_client"},
		{"secret of another", []string{basic("stranger:secret+of+support-bot%3A+%25%26%2B%C3%A9")}, nil, 401, "invalid_client"},
		{"secret not form-encoded", []string{basic("support-bot:" + secret("support-bot"))}, nil, 401, "invalid_client"},
		{"secret and another client_id", []string{good}, []string{"client_id", "stranger"}, 401, "invalid_client"},
		{"assertion and another client_id", nil, append(jwt, "client_assertion", s.assertion(), "client_id", "support-bot"), 401, "invalid_client"},
		{"no colon", []string{basic("support-bot")}, nil, 401, "invalid_client"},
		{"empty secret", []string{basic("support-bot:")}, nil, 401, "invalid_client"},
		{"empty id", []string{basic(":x")}, nil, 401, "invalid_client"},
		{"not base64", []string{"Basic %%%"}, nil, 401, "invalid_client"},
		{"bad escape", []string{basic("support-bot:%zz")}, nil, 401, "invalid_client"},
		{"not UTF-8", []string{basic("support-bot:%ff")}, nil, 401, "invalid_client"},
		{"empty header", []string{""}, nil, 401, "invalid_client"},
		{"other scheme", []string{"Negotiate abc"}, nil, 401, "invalid_client"},
		{"bearer at a form endpoint", []string{"Bearer " + s.assertion()}, nil, 401, "invalid_client"},
		{"secret in the body", nil, []string{"client_id", "support-bot", "client_secret", secret("support-bot")}, 401, "invalid_client"},
		{"assertion of another type", nil, []string{"client_assertion", s.assertion(), "client_assertion_type", "urn:x"}, 401, "invalid_client"},
		{"assertion without type", nil, []string{"client_assertion", s.assertion()}, 401, "invalid_client"},
		{"type without assertion", nil, jwt, 401, "invalid_client"},
		{"assertion that is a token of ours", nil, append(jwt, "client_assertion", s.token("support-bot")), 401, "invalid_client"},

		{"secret and assertion", []string{good}, append(jwt, "client_assertion", s.assertion()), 400, "invalid_request"},
		{"secret and assertion type", []string{good}, jwt, 400, "invalid_request"},
		{"secret twice", []string{good, good}, nil, 400, "invalid_request"},
		{"secret in both places", []string{good}, []string{"client_secret", secret("support-bot")}, 400, "invalid_request"},
		{"assertion and secret in the body", nil, append(jwt, "client_assertion", s.assertion(), "client_secret", "x"), 400, "invalid_request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			sub := s.in(t)
			body := pairsOf(append([]string{"grant_type", "client_credentials"}, c.form...)...).Encode()
			a := sub.do("", "POST", "/token", formType, body, header(c.header...))
			if c.status == 200 {
				require.NotEmpty(t, sub.ok(a).text("access_token"))
				return
			}
			sub.refused(a, c.status, c.code, "")
			require.NotContains(t, a.raw, "access_token")
		})
	}
}

func TestAssertionIsSpentOnce(t *testing.T) {
	s := newServer(t)
	form := []string{"client_assertion_type", exchange.AssertionType, "client_assertion", s.assertion(), "grant_type", "client_credentials"}
	s.ok(s.post("", "/token", form...))
	s.refused(s.post("", "/token", form...), 401, "invalid_client", "")

	form[3] = s.assertion()
	s.refused(s.post("", "/token", append(form, "scope", "admin")...), 400, "invalid_scope", "scope")
	s.refused(s.post("", "/token", form...), 401, "invalid_client", "")
}

func TestQueryIsNeverRead(t *testing.T) {
	s := newServer(t)
	query := "?" + pairsOf("grant_type", "client_credentials", "scope", "cases:write", "client_id", "x", "client_secret", "y",
		"resource", "https://unbound.example/").Encode()
	s.refused(s.post("support-bot", "/token"+query), 400, "invalid_request", "grant_type is missing")
	a := s.ok(s.post("support-bot", "/token"+query, "grant_type", "client_credentials"))
	require.Equal(t, "cases:read", a.text("scope"))
	s.refused(s.post("", "/token"+query, "grant_type", "client_credentials"), 401, "invalid_client", "")
}

func TestBodies(t *testing.T) {
	s := newServer(t)
	form := "grant_type=client_credentials&x="
	fits := form + strings.Repeat("a", 256<<10-len(form))
	s.ok(s.do("support-bot", "POST", "/token", formType, fits))
	s.refused(s.do("support-bot", "POST", "/token", formType, fits+"a"), 413, "invalid_request", "too large")
	chunked := func(r *http.Request) { r.ContentLength = -1 }
	s.refused(s.do("support-bot", "POST", "/token", formType, fits+"a", chunked), 413, "invalid_request", "too large")
	for _, kind := range []string{"", "application/json", "text/plain", "multipart/form-data; boundary=x"} {
		s.refused(s.do("support-bot", "POST", "/token", kind, "grant_type=client_credentials"), 400, "invalid_request", "x-www-form-urlencoded")
		s.refused(s.do("", "POST", "/token", kind, "grant_type=client_credentials"), 401, "invalid_client", "")
	}
}

func TestFailClosed(t *testing.T) {
	s := newServer(t)
	mine := s.token("support-bot")
	s.store.broken.Store(true)
	for _, a := range []answer{
		s.post("support-bot", "/token", "grant_type", "client_credentials"),
		s.post("crm", "/introspect", "token", mine),
		s.post("support-bot", "/revoke", "token", mine),
	} {
		s.refused(a, 503, "temporarily_unavailable", "")
		require.Equal(t, "1", a.header.Get("Retry-After"))
	}
	require.Equal(t, 503, s.get("", "/healthz").status)
	s.store.broken.Store(false)
	s.claims(mine)

	s.policy = func(tokenboundary.Facts) tokenboundary.Verdict { panic("hidden value of a secret") }
	s.refused(s.post("support-bot", "/token", "grant_type", "client_credentials"), 500, "server_error", "")
	require.Contains(t, s.log.String(), "panic (string) at ")
	require.NotContains(t, s.log.String(), "hidden value")
	s.policy = grantsMost
	s.ok(s.post("support-bot", "/token", "grant_type", "client_credentials"))
}
