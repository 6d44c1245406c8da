package mcp_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/agent"
	governed "github.com/tokenboundary/tokenboundary/hosts/mcp"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// Both kinds of MCP server: those with sessions, and those without, which alone speak 2026-07-28.
func bothServers(t *testing.T, run func(*testing.T, *world)) {
	t.Run("stateful", func(t *testing.T) { run(t, newWorld(t)) })
	t.Run("stateless", func(t *testing.T) { run(t, newWorld(t, stateless)) })
}

func TestEachCallHasATokenOfItsTaskForItsTool(t *testing.T) {
	bothServers(t, func(t *testing.T, w *world) {
		s, triage, report := w.connect(), w.task("triage", all...), w.task("report", all...)
		var all sync.WaitGroup
		for _, task := range []*agent.Session{triage, report} {
			for _, tool := range []string{"read", "write", "close", "read"} {
				all.Go(func() { w.works(s, task, tool) })
			}
		}
		all.Wait()
		seen := map[string]int{}
		for _, c := range w.reached() {
			seen[c.claims.Task.Purpose+" "+c.tool+": "+c.claims.Scope]++
		}
		require.Equal(t, map[string]int{
			"triage read: cases:read": 2, "triage write: cases:write": 1, "triage close: cases:close cases:write": 1,
			"report read: cases:read": 2, "report write: cases:write": 1, "report close: cases:close cases:write": 1,
		}, seen)
		require.Len(t, w.tokens("read"), 2, "one for each task, kept")
		for _, form := range w.asked() {
			q, err := url.ParseQuery(form)
			require.NoError(t, err)
			if q.Get("subject_token_type") != tb.TypeJWT { // which starts a task, and gives no token for a resource
				require.Equal(t, []string{w.endpoint}, q["resource"])
			}
		}
	})
}

func TestCompletingOneTaskStopsOnlyItsCalls(t *testing.T) {
	bothServers(t, func(t *testing.T, w *world) {
		s, triage, report := w.connect(), w.task("triage", all...), w.task("report", all...)
		w.works(s, triage, "read")
		w.works(s, report, "read")
		require.NoError(t, triage.Complete(t.Context()))
		require.ErrorIs(t, w.denied(s, triage, "read", "the session has ended"), agent.ErrEnded)
		w.works(s, report, "read")
		w.works(s, report, "close")

		// Cut behind the agent's back, it is the MCP server that refuses, and the boundary that gives no other token.
		w.revoke(lineage.SelectTask, report.TaskID().String())
		require.ErrorIs(t, w.denied(s, report, "read", "subject_token was refused"), tb.ErrDenied)
		w.works(s, w.task("another", all...), "read")
	})
}

func TestACallThatIsRefusedFailsAlone(t *testing.T) {
	bothServers(t, func(t *testing.T, w *world) {
		s, task := w.connect(), w.task("triage", "cases:read")
		w.works(s, task, "read")
		require.ErrorIs(t, w.denied(s, task, "write", "invalid_scope"), tb.ErrDenied)
		require.ErrorIs(t, w.denied(s, task, "loose", "status 403"), tb.ErrDenied)
		require.ErrorIs(t, w.denied(s, task, "unheard of", "not in ClientConfig.Tools"), tb.ErrDenied)
		require.Empty(t, w.tokens("write"), "the boundary has refused, and nothing was sent")
		require.Empty(t, w.tokens("unheard of"))
		w.works(s, task, "read")
	})
}

// A grant that lost a scope on the way is no grant of the call.
func TestATokenThatIsTooNarrowIsNotUsed(t *testing.T) {
	w := newWorld(t)
	s, task := w.connect(), w.task("triage", all...)
	w.decide(func(f tb.Facts) tb.Verdict {
		if len(f.Scopes) > 1 && f.Grant == tb.Exchange && f.Ceiling != nil {
			f.Scopes = f.Scopes[1:]
		}
		return grants(f)
	})
	err := w.denied(s, task, "close", "was not granted")
	var narrow *agent.InsufficientScopeError
	require.ErrorAs(t, err, &narrow)
	require.Equal(t, []string{"cases:close"}, narrow.Missing)
	require.Empty(t, w.tokens("close"))
	w.works(s, task, "read")
	w.decide(grants)
	w.works(s, task, "close")
}

func TestATokenThatTheServerDoesNotKnowAnyMoreIsHadAgain(t *testing.T) {
	w := newWorld(t)
	s, task := w.connect(), w.task("triage", all...)
	w.works(s, task, "read")
	first := w.reached()[0].claims.ID
	w.revoke(lineage.SelectToken, first)
	w.works(s, task, "read")
	require.NotEqual(t, first, w.reached()[1].claims.ID)
	require.Len(t, w.tokens("read"), 2)
}

func TestATokenThatHasExpiredIsHadAgain(t *testing.T) {
	w := newWorld(t)
	s, task := w.connect(func(c *governed.ClientConfig) { c.Connection = w.task("connect", "mcp") }), w.task("triage", all...)
	w.works(s, task, "read")
	w.clock.Add(4*time.Minute + 55*time.Second)
	w.works(s, task, "read")
	require.Len(t, w.tokens("read"), 2)
}

func TestWhatBelongsToNoTaskHasATokenOfTheConnection(t *testing.T) {
	w := newWorld(t)
	s, task := w.connect(), w.task("triage", all...)
	ctx := governed.WithTask(t.Context(), task)
	_, err := s.ListTools(ctx, nil)
	require.NoError(t, err)
	_, err = s.GetPrompt(ctx, &mcp.GetPromptParams{Name: "sum up"})
	require.NoError(t, err)
	w.works(s, task, "read")
	cancelled, cancel := context.WithCancel(ctx)
	failed := make(chan error, 1)
	go func() {
		_, err := s.CallTool(cancelled, &mcp.CallToolParams{Name: "wait"})
		failed <- err
	}()
	<-w.begun
	cancel()
	require.ErrorIs(t, <-failed, context.Canceled)
	w.until(func() bool { return len(w.reached()) > 1 })
	require.ErrorIs(t, w.reached()[1].ended, context.Canceled)
	require.NoError(t, s.Close())

	opened := w.tokens("initialize")
	require.Len(t, opened, 1)
	for _, what := range []string{"notifications/initialized", "tools/list", "notifications/cancelled", "GET", "DELETE"} {
		require.Equal(t, opened, w.tokens(what), what)
	}
	for _, tool := range []string{"sum up", "read", "wait"} {
		require.Len(t, w.tokens(tool), 1)
		require.NotEqual(t, opened, w.tokens(tool))
	}
}

func TestACallWithoutATaskBelongsToTheConnection(t *testing.T) {
	w := newWorld(t)
	s := w.connect()
	require.ErrorIs(t, w.denied(s, nil, "read", "invalid_scope"), tb.ErrDenied)
	s = w.connect(func(c *governed.ClientConfig) { c.Connection = w.task("all in one", "mcp", "cases:read") })
	w.works(s, nil, "read")
	require.Equal(t, "cases:read", w.reached()[0].claims.Scope)
	_, err := s.CallTool(governed.WithTask(t.Context(), nil), &mcp.CallToolParams{Name: "read"})
	require.ErrorIs(t, err, tb.ErrInvalid, "a task that was forgotten is not the connection")
	require.ErrorContains(t, err, "the task in the context is nil")
}

func TestAClientConfigThatCannotWork(t *testing.T) {
	w := newWorld(t)
	good := w.clientConfig()
	for text, change := range map[string]func(*governed.ClientConfig){
		"ClientConfig.Connection": func(c *governed.ClientConfig) { c.Connection = nil },
		"ClientConfig.Scopes":     func(c *governed.ClientConfig) { c.Scopes = nil },
		`"read" has no scopes`:    func(c *governed.ClientConfig) { c.Tools = map[string][]string{"read": nil} },
		`"tools/call"`:            func(c *governed.ClientConfig) { c.Methods = map[string][]string{"tools/call": {"a"}} },
		"ClientConfig.Endpoint":   func(c *governed.ClientConfig) { c.Endpoint = "http://mcp.example.com/mcp" },
	} {
		c := good
		change(&c)
		_, err := governed.HTTPClient(c)
		require.ErrorContains(t, err, text)
		require.ErrorIs(t, err, tb.ErrInvalid)
	}
	_, err := governed.HTTPClient(good)
	require.NoError(t, err)
}

// until waits for what another goroutine is about to do.
func (w *world) until(holds func() bool) {
	w.Helper()
	require.Eventually(w, holds, 20*time.Second, time.Millisecond)
}

func unauthorized(rw http.ResponseWriter, challenge string) bool {
	rw.Header().Set("WWW-Authenticate", challenge)
	http.Error(rw, "no", http.StatusUnauthorized)
	return true
}

func isCall(m message) bool { return m.Method == "tools/call" }

func bearerOf(r *http.Request) string {
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
}

// What it does not see it does not send.
func TestABodyThatCanBeReadOnlyOnceIsNotSent(t *testing.T) {
	w := newWorld(t)
	client, err := governed.HTTPClient(w.clientConfig())
	require.NoError(t, err)
	_, err = client.Post(w.endpoint, "application/json", struct{ *strings.Reader }{strings.NewReader(calls("read"))})
	require.ErrorContains(t, err, "its body can be read only once")
	require.Empty(t, w.tokens("read"))
	resp, err := client.Post(w.endpoint, "application/json", strings.NewReader(calls("read")))
	require.ErrorIs(t, err, tb.ErrDenied, "control: the connection's task has not the scope")
	require.Nil(t, resp)
}
