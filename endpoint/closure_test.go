package endpoint_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
)

func TestRevocationSaysWhatItCut(t *testing.T) {
	s := newServer(t)
	s.policy = refreshes
	task := s.ok(s.post("keeper", "/token", "grant_type", "client_credentials", "authorization_details", `[{"type":"task","purpose":"triage"}]`))
	s.ok(s.exchanged("keeper", task.text("access_token"), tokenboundary.TypeAccessToken))
	s.token("support-bot")

	a := s.cut("ops", `{"selector":"client:keeper","reason":"drill"}`)
	require.Equal(t, 201, a.status)
	require.Equal(t, "client:keeper", a.text("selector"))
	require.NotZero(t, a.body["seq"])
	cut := a.body["closure"].(map[string]any)
	require.Equal(t, "complete", cut["status"])
	require.NotContains(t, cut, "next")
	require.Equal(t, float64(2), cut["tokens"], a.raw)
	require.Equal(t, float64(1), cut["tasks"])
	require.Equal(t, float64(2), cut["families"])
	require.Equal(t, float64(0), cut["approvals"])

	alone := s.ok(s.get("ops", "/revocations/client:keeper"))
	require.Equal(t, cut, alone.body, "the same, by itself")
	again := s.ok(s.get("ops", "/revocations/"+url.PathEscape("client:keeper")+"?after="+task.text("task_id")))
	require.Equal(t, "complete", again.text("status"))
	require.Less(t, again.body["tokens"].(float64)+again.body["tasks"].(float64), float64(3), "from behind the task on")

	a = s.cut("ops", `{"selector":"client:stranger","block":true}`)
	require.Equal(t, map[string]any{"tokens": 0.0, "tasks": 0.0, "families": 0.0, "approvals": 0.0, "leases": 0.0, "outstanding": 0.0, "status": "complete"}, a.body["closure"])
	a = s.cut("ops", `{"selector":"client:stranger","lift":true}`)
	require.Equal(t, 201, a.status)
	require.NotContains(t, a.body, "closure")
}

func TestClosureIsCountedInParts(t *testing.T) {
	s := newServer(t)
	const all = 300
	for range all {
		s.clock.Add(time.Millisecond)
		s.token("support-bot")
	}
	s.store.slow.Store(290)
	a := s.cut("ops", `{"selector":"client:support-bot"}`)
	require.Equal(t, 201, a.status, a.raw)
	first := a.body["closure"].(map[string]any)
	require.Equal(t, "partial", first["status"], a.raw)
	next, _ := first["next"].(string)
	require.NotEmpty(t, next)

	s.store.slow.Store(1)
	path := "/revocations/client:support-bot"
	a = s.ok(s.get("ops", path+"?after="+next))
	require.Equal(t, map[string]any{"tokens": 0.0, "tasks": 0.0, "families": 0.0, "approvals": 0.0, "leases": 0.0,
		"outstanding": 0.0, "status": "partial", "next": next}, a.body,
		"no further than it was")
	a = s.ok(s.get("ops", path))
	require.Equal(t, "partial", a.text("status"))
	require.NotContains(t, a.body, "next", "at the beginning")

	s.store.slow.Store(0)
	rest := s.ok(s.get("ops", path+"?after="+next))
	require.Equal(t, "complete", rest.text("status"))
	require.Positive(t, rest.body["tokens"])
	require.Equal(t, float64(all), first["tokens"].(float64)+rest.body["tokens"].(float64), "each once")
}

func TestClosureByAssertion(t *testing.T) {
	s := newServer(t)
	s.token("support-bot")
	once := s.assertionOf("ops-signer")
	send := func() answer {
		return s.do("", "POST", "/revocations", jsonType, `{"selector":"client:support-bot"}`, bearer(once))
	}
	a := s.ok(send())
	require.Equal(t, "complete", a.body["closure"].(map[string]any)["status"], "what was spent on the revocation serves its count as well")
	s.refused(send(), 401, "invalid_client", "")
	read := s.assertionOf("ops-signer")
	for range 2 {
		s.ok(s.do("", "GET", "/revocations/client:support-bot", "", "", bearer(read)))
	}
}

func TestClosureCountsApprovals(t *testing.T) {
	s := newServer(t)
	s.policy = asksFirst
	s.deferred()
	a := s.cut("ops", `{"selector":"client:support-bot"}`)
	require.Equal(t, float64(1), a.body["closure"].(map[string]any)["approvals"], a.raw)
}

func TestRevocationHoldsWhereNothingCanBeCounted(t *testing.T) {
	s := newServer(t)
	token := s.token("support-bot")
	s.store.blind.Store(true)
	a := s.cut("ops", `{"selector":"client:support-bot"}`)
	require.Equal(t, 201, a.status, a.raw)
	require.Equal(t, map[string]any{"status": "unknown"}, a.body["closure"])
	require.NotContains(t, a.raw, "secret-host")
	s.inactive(token)
	s.refused(s.get("ops", "/revocations/client:support-bot"), 503, "temporarily_unavailable", "")
	require.Contains(t, s.log.String(), "could not be counted")
	s.store.blind.Store(false)
	require.Equal(t, float64(1), s.ok(s.get("ops", "/revocations/client:support-bot")).body["tokens"], "positive control")
}

func TestClosureRefuses(t *testing.T) {
	s := newServer(t)
	for path, why := range map[string]string{
		"colour:red":                     "selector",
		"connection:":                    "selector",
		"connection":                     "selector",
		"task:x":                         "selector",
		"path:agents":                    "selector",
		"connection:%00":                 "selector",
		"connection:a?after=x":           "after is not an id",
		"connection:a?after=0":           "after is not an id",
		"connection:a?after=a%20b&after": "the query is malformed",
		"connection:a?after=%zz":         "the query is malformed",
	} {
		s.refused(s.get("ops", "/revocations/"+path), 400, "invalid_request", why)
	}
	for _, path := range []string{"/revocations/path:/agents", "/revocations/connection:a/b"} {
		s.refused(s.get("ops", path), 404, "invalid_request", "")
	}
	s.refused(s.get("crm", "/revocations/connection:a"), 403, "unauthorized_client", "")
	s.refused(s.get("support-bot", "/revocations/connection:a"), 403, "unauthorized_client", "")
	s.refused(s.get("", "/revocations/connection:a"), 401, "invalid_client", "")
	for _, selector := range []string{"path:/agents/b c", "connection:a%2Fb", "subject:user:älice", "session:a/b?c#d"} {
		a := s.ok(s.get("ops", "/revocations/"+url.PathEscape(selector)+"?after="))
		require.Equal(t, "complete", a.text("status"), selector)
	}
}
