package mcp_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/agent"
	governed "github.com/tokenboundary/tokenboundary/hosts/mcp"
)

// A server that asks for more gets no more, whatever it says; and it costs an agent one call, and at most one more token.
func TestNoChallengeWidensWhatIsAskedFor(t *testing.T) {
	for name, lie := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"401, another scope": func(rw http.ResponseWriter, _ *http.Request) bool {
			return unauthorized(rw, `Bearer error="invalid_token", scope="admin cases:read cases:write cases:close mcp"`)
		},
		"401, another boundary": func(rw http.ResponseWriter, _ *http.Request) bool {
			return unauthorized(rw, `Bearer resource_metadata="https://evil.example/.well-known/oauth-protected-resource"`)
		},
		"403, another scope": func(rw http.ResponseWriter, _ *http.Request) bool {
			rw.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope", scope="admin cases:read cases:write"`)
			rw.WriteHeader(http.StatusForbidden)
			return true
		},
		"403, with the token in it": func(rw http.ResponseWriter, r *http.Request) bool {
			rw.Header().Set("WWW-Authenticate", `Bearer error_description="`+bearerOf(r)+`"`)
			http.Error(rw, `{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"`+bearerOf(r)+`"}}`, http.StatusForbidden)
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s, task, other := w.connect(), w.task("triage", all...), w.task("report", all...)
			var lying atomic.Bool
			lying.Store(true)
			w.answers(func(rw http.ResponseWriter, r *http.Request, m message) bool {
				return lying.Load() && isCall(m) && lie(rw, r)
			})
			before := len(w.asked())
			err := w.denied(s, task, "read", "status "+name[:3])
			require.ErrorIs(t, err, tb.ErrDenied)
			require.NotContains(t, err.Error(), "admin")
			require.NotContains(t, err.Error(), "evil")
			asked := w.asked()[before:]
			require.LessOrEqual(t, len(asked), 2)
			for _, form := range asked {
				q, err := url.ParseQuery(form)
				require.NoError(t, err)
				require.Equal(t, []string{"cases:read"}, q["scope"])
				require.Equal(t, []string{w.endpoint}, q["resource"])
			}
			lying.Store(false)
			w.works(s, task, "read")
			w.works(s, other, "write")
		})
	}
}

// Control: what the client makes an error of would have ended the connection of any other one.
func TestARefusalOfAnotherServerEndsAPlainConnection(t *testing.T) {
	w := newWorld(t)
	task := w.task("triage", "mcp", "cases:read")
	token := w.token(task, "mcp", "cases:read")
	s := w.open(&http.Client{Transport: new(bearer).set(token)})
	w.works(s, nil, "read")
	w.denied(s, nil, "write", "insufficient_scope") // ours says it in a way that fails the call only
	w.works(s, nil, "read")
	w.answers(func(rw http.ResponseWriter, _ *http.Request, m message) bool {
		return isCall(m) && unauthorized(rw, "Bearer")
	})
	w.denied(s, nil, "read", "Unauthorized")
	w.answers(nil)
	w.denied(s, nil, "read", "Unauthorized")
}

func TestAServerThatAsksForAnotherLoginIsUnderstood(t *testing.T) {
	w := newWorld(t)
	s, task := w.connect(), w.task("triage", all...)
	w.answers(func(rw http.ResponseWriter, _ *http.Request, m message) bool {
		return isCall(m) && unauthorized(rw, `Bearer error="insufficient_user_authentication", acr_values="gold", max_age="60"`)
	})
	var step *agent.StepUpError
	require.ErrorAs(t, w.denied(s, task, "read", "another authentication"), &step)
	require.Equal(t, agent.StepUpError{ACR: []string{"gold"}, MaxAge: time.Minute}, *step)
	w.answers(nil)
	w.works(s, task, "read")
}

func TestARedirectGetsNoToken(t *testing.T) {
	var visited atomic.Int32
	stranger := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visited.Add(1) }))
	t.Cleanup(stranger.Close)
	w := newWorld(t)
	s, task := w.connect(), w.task("triage", all...)
	var to atomic.Pointer[string]
	w.answers(func(rw http.ResponseWriter, r *http.Request, m message) bool {
		if isCall(m) && to.Load() != nil {
			http.Redirect(rw, r, *to.Load(), http.StatusTemporaryRedirect)
			return true
		}
		return false
	})
	for name, url := range map[string]string{
		"another host":                  stranger.URL + "/mcp",
		"the same by another name":      strings.Replace(w.endpoint, "127.0.0.1", "localhost", 1),
		"another place of the same one": w.server.URL + "/elsewhere",
	} {
		to.Store(&url)
		before := len(w.tokens("read"))
		require.ErrorIs(t, w.denied(s, task, "read", "not a place to send tokens to"), tb.ErrDenied, name)
		require.LessOrEqual(t, len(w.tokens("read")), before+1, "only the first place had it: %s", name)
	}
	require.Zero(t, visited.Load())
	to.Store(nil)
	w.works(s, task, "read")
}

// An endpoint is one place: who has configured another one gets tokens for it, which are good nowhere else.
func TestATokenIsForTheEndpointOnly(t *testing.T) {
	w := newWorld(t)
	var got []string
	evil := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		got = append(got, bearerOf(r))
		http.Error(rw, "no", http.StatusForbidden)
	}))
	t.Cleanup(evil.Close)
	config := w.clientConfig()
	config.Endpoint, config.Resource = evil.URL, elsewhere
	config.Connection = w.task("connect", "mcp")
	config.Scopes = []string{"cases:read"}
	client, err := governed.HTTPClient(config)
	require.NoError(t, err)
	_, err = client.Post(evil.URL, "application/json", strings.NewReader(calls("read")))
	require.ErrorIs(t, err, tb.ErrDenied)
	require.Len(t, got, 1)
	require.Contains(t, w.post(got[0], calls("read")).challenge, "invalid_token", "passed on, it is of no use")
	_, err = client.Post(w.endpoint, "application/json", strings.NewReader(calls("read")))
	require.ErrorContains(t, err, "not a place to send tokens to")
}
