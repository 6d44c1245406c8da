package mcp_test

import (
	"bufio"
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/agent"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// Each way for a token not to be good, beside the same call with one that is.
func TestATokenThatIsNotGoodIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(w *world, task *agent.Session, token string) string{
		"none":    func(*world, *agent.Session, string) string { return "" },
		"garbage": func(*world, *agent.Session, string) string { return "garbage" },
		"for another audience": func(w *world, task *agent.Session, _ string) string {
			t, err := task.Token(w.Context(), agent.Call{Resource: elsewhere, Scopes: []string{"cases:read"}})
			require.NoError(w, err)
			return t.AccessToken
		},
		"of a foreign issuer": func(w *world, _ *agent.Session, _ string) string {
			foreign := newWorld(w.T)
			s := foreign.taskOf("alice", "triage", func(c *agent.Config) { c.Task.Authority[0].Resource = w.endpoint }, "cases:read")
			return w.tokenOf(s)
		},
		"expired": func(w *world, _ *agent.Session, token string) string { w.clock.Add(7 * time.Minute); return token },
		"revoked": func(w *world, task *agent.Session, token string) string {
			w.revoke(lineage.SelectSubject, "alice")
			return token
		},
		"of a completed task": func(w *world, task *agent.Session, token string) string {
			known := w.news()
			require.NoError(w, task.Complete(w.Context()))
			known()
			return token
		},
		"of a suspended task": func(w *world, task *agent.Session, token string) string {
			known := w.news()
			require.NoError(w, task.Suspend(w.Context()))
			known()
			return token
		},
		"of a task that was cut": func(w *world, task *agent.Session, token string) string {
			w.revoke(lineage.SelectTask, task.TaskID().String())
			return token
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, stateless)
			task := w.task("triage", all...)
			token := w.token(task, "cases:read")
			require.Equal(t, http.StatusOK, w.post(token, calls("read")).status, "control")
			token = spoil(w, task, token)
			a := w.post(token, calls("read"))
			require.Equal(t, http.StatusUnauthorized, a.status, a.text)
			require.Contains(t, a.challenge, "resource_metadata=")
			if token == "" {
				require.NotContains(t, a.challenge, "error=")
				require.Contains(t, a.challenge, `scope="`, "it says what to ask for")
			} else {
				require.Contains(t, a.challenge, `error="invalid_token"`)
				require.Contains(t, a.failed, "invalid_token: ")
				require.NotContains(t, a.text, token)
			}
			require.Len(t, w.reached(), 1)
		})
	}
}

func (w *world) tokenOf(s *agent.Session) string {
	t, err := s.Token(w.Context(), agent.Call{Resource: w.endpoint, Scopes: []string{"cases:read"}})
	require.NoError(w, err)
	return t.AccessToken
}

func TestAResumedTaskGoesOn(t *testing.T) {
	w := newWorld(t)
	s, task := w.connect(), w.task("triage", all...)
	w.works(s, task, "read")
	known := w.news()
	require.NoError(t, task.Suspend(t.Context()))
	known()
	require.ErrorIs(t, w.denied(s, task, "read", "suspended"), agent.ErrSuspended)
	known = w.news()
	require.NoError(t, task.Resume(t.Context()))
	known()
	w.works(s, task, "read")
}

// The token of one request is not enough to use the MCP session of somebody else.
func TestASessionBelongsToItsSubject(t *testing.T) {
	w := newWorld(t)
	own := w.connect()
	mallory := w.taskOf("mallory", "triage", func(*agent.Config) {}, "mcp", "cases:read")
	for _, who := range []struct {
		task   *agent.Session
		status int
	}{{mallory, http.StatusForbidden}, {w.task("another task of alice", all...), http.StatusOK}} {
		h := with(w.token(who.task, "cases:read"))
		h.Set("Mcp-Session-Id", own.ID())
		h.Set("Mcp-Protocol-Version", own.InitializeResult().ProtocolVersion)
		a := w.send(http.MethodPost, calls("read"), h)
		require.Equal(t, who.status, a.status, a.text)
	}
	require.Len(t, w.reached(), 1)
}

func TestARevocationEndsTheCallThatRuns(t *testing.T) {
	w := newWorld(t)
	s, task, other := w.connect(), w.task("triage", all...), w.task("report", all...)
	results := map[*agent.Session]chan error{task: make(chan error, 1), other: make(chan error, 1)}
	for t, result := range results {
		go func() {
			_, err := use(w, s, t, "wait")
			result <- err
		}()
		<-w.begun
	}
	w.revoke(lineage.SelectTask, task.TaskID().String())
	require.ErrorContains(t, <-results[task], "not acceptable any more", "what the tool returned is withheld")
	require.Len(t, w.reached(), 1)
	require.ErrorContains(t, w.reached()[0].ended, "not acceptable any more")
	close(w.finish)
	require.NoError(t, <-results[other])
	require.NoError(t, w.reached()[1].ended)
}

// A call that has begun may outlast its token: what it was let through for is decided.
func TestACallThatRunsMayOutlastItsToken(t *testing.T) {
	w := newWorld(t)
	s, task := w.connect(), w.task("triage", all...)
	long, short := make(chan error, 1), make(chan error, 1)
	go func() { _, err := use(w, s, task, "wait"); long <- err }()
	<-w.begun
	w.pass(7 * time.Minute)
	other := w.task("report", all...)
	go func() { _, err := use(w, s, other, "wait"); short <- err }()
	<-w.begun
	w.revoke(lineage.SelectTask, other.TaskID().String())
	require.ErrorContains(t, <-short, "not acceptable any more", "control")
	close(w.finish)
	require.NoError(t, <-long)
}

// quiet opens an MCP session with one token, and does not listen.
func (w *world) quiet(token string) *mcp.ClientSession {
	client := &http.Client{Transport: new(bearer).set(token)}
	s, err := mcp.NewClient(&mcp.Implementation{Name: "bot", Version: "1"}, nil).Connect(w.Context(),
		&mcp.StreamableClientTransport{Endpoint: w.endpoint, HTTPClient: client, DisableStandaloneSSE: true}, nil)
	require.NoError(w, err)
	return s
}

// listens opens a stream of an MCP session by hand and returns what waits for its end.
func (w *world) listens(s *mcp.ClientSession, token string) (ended chan error) {
	ctx, stop := context.WithCancel(w.Context())
	w.Cleanup(stop)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.endpoint, nil)
	require.NoError(w, err)
	r.Header = with(token)
	r.Header.Set("Mcp-Session-Id", s.ID())
	r.Header.Set("Mcp-Protocol-Version", s.InitializeResult().ProtocolVersion)
	resp, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(w, err)
	require.Equal(w, http.StatusOK, resp.StatusCode)
	ended = make(chan error, 1)
	go func() {
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() { //nolint:revive // what it says does not matter
		}
		ended <- lines.Err()
	}()
	return ended
}

func TestAnOpenStreamEndsWithItsToken(t *testing.T) {
	for name, end := range map[string]func(w *world, task *agent.Session){
		"revoked": func(w *world, task *agent.Session) { w.revoke(lineage.SelectTask, task.TaskID().String()) },
		"expired": func(w *world, _ *agent.Session) { w.clock.Add(5*time.Minute + time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			listener := w.task("listen", "mcp")
			token := w.token(listener, "mcp")
			ended := w.listens(w.quiet(token), token)
			end(w, listener)
			require.NoError(t, <-ended)
		})
	}
}

// A feed that always has something new is not a reason to look all the time, and none to miss what concerns the token.
func TestAnOpenStreamOutlivesWhatDoesNotConcernIt(t *testing.T) {
	w := newWorld(t)
	listener := w.task("listen", "mcp")
	token := w.token(listener, "mcp")
	ended := w.listens(w.quiet(token), token)
	w.revoke(lineage.SelectTask, w.task("unrelated", "mcp").TaskID().String())
	w.clock.Add(time.Second)
	select {
	case <-ended:
		t.Fatal("the revocation of another task has ended it")
	default:
	}
	w.revoke(lineage.SelectTask, listener.TaskID().String())
	for left := 100; ; left-- { // seconds: the token has minutes
		select {
		case err := <-ended:
			require.NoError(t, err)
			return
		default:
			require.Positive(t, left, "it was not ended")
			w.clock.Add(time.Second)
		}
	}
}
