package mcp_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/agent"
	"github.com/tokenboundary/tokenboundary/endpoint"
	"github.com/tokenboundary/tokenboundary/exchange"
	governed "github.com/tokenboundary/tokenboundary/hosts/mcp"
	"github.com/tokenboundary/tokenboundary/identity"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/store/memory"
	"github.com/tokenboundary/tokenboundary/verify"
)

const elsewhere = "https://elsewhere.example/"

var ops = tb.Client{ID: "ops", Kind: tb.KindOperator}

func secret(client string) string { return "the long secret of " + client }

// world is a boundary and an MCP server, each behind a listener, on a clock that only the test moves.
type world struct {
	*testing.T
	clock    *clock.Mock
	g        *tb.Governor
	issuer   string
	policy   atomic.Pointer[func(tb.Facts) tb.Verdict]
	verifier *verify.Verifier
	guard    *governed.Guard
	mcp      *mcp.Server
	server   *httptest.Server
	endpoint string

	mu     sync.Mutex
	forms  []string // of token requests
	heard  []string // of the MCP server: method, or tool, and the bearer token
	calls  []call
	answer func(http.ResponseWriter, *http.Request, message) bool // in place of the MCP server; true: it has answered

	begun, finish chan struct{} // of the tool that takes its time
	nudged        chan struct{} // closed once time has passed
}

// call is one that has reached a tool.
type call struct {
	tool    string
	claims  tb.Claims
	header  http.Header
	session string
	ended   error // the cause of its context, where the tool has waited for that
}

type message struct {
	Method string `json:"method"`
	Params struct {
		Name string `json:"name"`
	} `json:"params"`
}

func newWorld(t *testing.T, change ...func(*mcp.StreamableHTTPOptions)) *world {
	w := &world{T: t, clock: clock.NewMock(), begun: make(chan struct{}, 8), finish: make(chan struct{})}
	w.clock.Set(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	w.decide(grants)
	server := httptest.NewUnstartedServer(nil)
	w.server, w.endpoint = server, "http://"+server.Listener.Addr().String()+"/mcp"
	w.boundary()
	w.protect()
	opts := &mcp.StreamableHTTPOptions{}
	for _, c := range change {
		c(opts)
	}
	mux := http.NewServeMux()
	mux.Handle("/mcp", w.guard.Handler(w.mcp, opts))
	mux.Handle("/.well-known/oauth-protected-resource/mcp", w.verifier.Metadata())
	server.Config.Handler = w.listened(mux)
	server.Start()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return w
}

func (w *world) boundary() {
	server := httptest.NewUnstartedServer(nil)
	w.issuer = "http://" + server.Listener.Addr().String()
	state := memory.New()
	m, err := mint.Open(w.Context(), mint.Config{Issuer: w.issuer, Store: state, Dir: w.TempDir(), Clock: w.clock})
	require.NoError(w, err)
	byClient, err := identity.Clients(identity.ClientsConfig{Issuer: w.issuer, Clock: w.clock, Clients: []identity.ClientAuth{
		{ID: "bot", Secret: secret("bot")}, {ID: "crm", Secret: secret("crm")},
	}})
	require.NoError(w, err)
	keys, err := identity.DPoP(identity.DPoPConfig{Clock: w.clock})
	require.NoError(w, err)
	sources, err := identity.Sources(byClient, keys)
	require.NoError(w, err)
	w.g, err = tb.New(tb.Config{
		Issuer: w.issuer, Store: state, Minter: m, Clock: w.clock, Identities: append(sources, people{w.clock}),
		Clients: tb.ClientMap{
			"bot": {
				ID: "bot", Kind: tb.KindAgent, Connections: []string{"prod"}, Binding: tb.BindingOptional,
				Grants: []tb.Grant{tb.ClientCredentials, tb.Exchange},
			},
			"crm": {ID: "crm", Kind: tb.KindResource, Resource: w.endpoint}, "ops": ops,
		},
		Policy: tb.PolicyFunc(func(_ context.Context, f tb.Facts) (tb.Verdict, error) { return (*w.policy.Load())(f), nil }),
	})
	require.NoError(w, err)
	h, err := endpoint.New(w.g, endpoint.Config{JWKS: m.JWKS}) // it waits by the machine's clock
	require.NoError(w, err)
	server.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			w.mu.Lock()
			w.forms = append(w.forms, string(body))
			w.mu.Unlock()
		}
		h.ServeHTTP(rw, r)
	})
	server.Start()
	w.Cleanup(server.Close)
}

// people stands for a single sign-on: the name is the token.
type people struct{ clock clock.Clock }

func (p people) Identify(_ context.Context, c tb.Credential) (tb.Principal, error) {
	if c.Type != tb.TypeJWT {
		return tb.Principal{}, tb.ErrNotMine
	}
	now := p.clock.Now()
	return tb.Principal{
		Party:   lineage.Party{ID: c.Value, Issuer: "https://sso.example", Kind: "human"},
		Session: lineage.Session{Kind: "human", ID: "session of " + c.Value}, Identity: true, Issued: now, Expires: now.Add(8 * time.Hour),
	}, nil
}

// protect makes the MCP server and its guard. The tool "loose" has no rule.
func (w *world) protect() {
	remote, err := verify.NewRemote(verify.RemoteConfig{URL: w.issuer, Credential: verify.Secret("crm", secret("crm")), Clock: w.clock})
	require.NoError(w, err)
	keys, err := identity.DPoP(identity.DPoPConfig{Clock: w.clock, Resource: true})
	require.NoError(w, err)
	w.verifier, err = verify.New(verify.Config{
		Issuer: w.issuer, Resource: w.endpoint, JWKSURI: w.issuer + "/jwks.json", Boundary: remote, MaxStale: 10 * time.Minute,
		Clock: w.clock, Scopes: []string{"mcp", "cases:read", "cases:write", "cases:close"}, Proofs: keys, ProofAlgs: []string{"ES256"},
	})
	require.NoError(w, err)
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- w.verifier.Run(ctx) }()
	w.Cleanup(func() { stop(); <-stopped })
	require.NoError(w, w.verifier.Await(w.Context(), 0))
	w.guard, err = governed.New(governed.Config{
		Verifier: w.verifier, Session: verify.Route{Scopes: []string{"mcp"}}, Clock: w.clock,
		Tools: map[string]verify.Route{
			"read": {Scopes: []string{"cases:read"}}, "write": {Scopes: []string{"cases:write"}},
			"close": {Scopes: []string{"cases:write", "cases:close"}}, "wait": {Scopes: []string{"cases:read"}},
		},
		Methods: map[string]verify.Route{"prompts/get": {Scopes: []string{"cases:read"}}},
	})
	require.NoError(w, err)
	w.mcp = mcp.NewServer(&mcp.Implementation{Name: "crm", Version: "1"}, nil)
	for _, name := range []string{"read", "write", "close", "loose", "wait"} {
		mcp.AddTool(w.mcp, &mcp.Tool{Name: name}, w.tool(name))
	}
	w.mcp.AddPrompt(&mcp.Prompt{Name: "sum up"}, func(context.Context, *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		return &mcp.GetPromptResult{Description: "summed up"}, nil
	})
}

type none struct{}

func (w *world) tool(name string) mcp.ToolHandlerFor[none, any] {
	return func(ctx context.Context, req *mcp.CallToolRequest, _ none) (*mcp.CallToolResult, any, error) {
		c := call{tool: name, header: req.Extra.Header, session: req.Session.ID()}
		c.claims, _ = verify.ClaimsFrom(ctx)
		if name == "wait" {
			w.begun <- struct{}{}
			select {
			case <-ctx.Done():
				c.ended = context.Cause(ctx)
			case <-w.finish:
			}
		}
		w.mu.Lock()
		w.calls = append(w.calls, c)
		w.mu.Unlock()
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: name + " for " + c.claims.Subject}}}, nil, nil
	}
}

// listened notes what comes to the MCP server, and lets the test answer in its place.
func (w *world) listened(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		m := message{Method: r.Method}
		_ = json.Unmarshal(body, &m)
		what := m.Method
		if m.Params.Name != "" {
			what = m.Params.Name
		}
		w.mu.Lock()
		w.heard = append(w.heard, what+" "+r.Header.Get("Authorization"))
		answer := w.answer
		w.mu.Unlock()
		if answer != nil && answer(rw, r, m) {
			return
		}
		next.ServeHTTP(rw, r)
	})
}

func (w *world) answers(f func(http.ResponseWriter, *http.Request, message) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = f
}

// tokens returns the tokens that came with a method or a tool, each once.
func (w *world) tokens(what string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, h := range w.heard {
		if token, ok := strings.CutPrefix(h, what+" "); ok && !slices.Contains(out, token) {
			out = append(out, token)
		}
	}
	return out
}

// reached returns the calls that have reached a tool.
func (w *world) reached() []call {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.calls)
}

func (w *world) asked() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.forms)
}

func (w *world) decide(p func(tb.Facts) tb.Verdict) { w.policy.Store(&p) }

// grants grants what is asked for within the ceiling, for five minutes, except scopes that begin with admin.
func grants(f tb.Facts) tb.Verdict {
	v := tb.Verdict{
		Effect: tb.Allow, Path: "/bot", Version: "v1", Resources: f.Resources, Lifetime: 5 * time.Minute, Depth: 3, Derivations: 1000,
	}
	for _, r := range f.Resources {
		a := lineage.Access{Resource: r}
		for _, sc := range f.Scopes {
			if strings.HasPrefix(sc, "admin") || f.Ceiling != nil && !slices.Contains(f.Ceiling.Scopes(r), sc) {
				continue
			}
			a.Scopes = append(a.Scopes, sc)
			v.Reasons = append(v.Reasons, lineage.Reason{Resource: r, Scope: sc, Granted: true, Rule: "/bot#all"})
		}
		if len(a.Scopes) == 0 {
			return tb.Verdict{Code: tb.CodeInvalidScope, Path: "/bot", Version: "v1"}
		}
		v.Access = append(v.Access, a)
	}
	return v
}

// task starts a task at the MCP server, for alice.
func (w *world) task(purpose string, scopes ...string) *agent.Session {
	return w.taskOf("alice", purpose, func(*agent.Config) {}, scopes...)
}

func (w *world) taskOf(name, purpose string, change func(*agent.Config), scopes ...string) *agent.Session {
	w.Helper()
	cfg := agent.Config{
		Boundary: agent.Remote{Issuer: w.issuer, Auth: exchange.Basic("bot", secret("bot"))}, Clock: w.clock,
		Task: tb.TaskSpec{Purpose: purpose, ExpiresIn: time.Hour, Authority: []lineage.Access{
			{Resource: w.endpoint, Scopes: scopes}, {Resource: elsewhere, Scopes: []string{"cases:read"}},
		}},
		Subject: func(context.Context) (tb.Credential, error) { return tb.Credential{Type: tb.TypeJWT, Value: name}, nil },
	}
	change(&cfg)
	s, err := agent.Start(context.WithoutCancel(w.Context()), cfg)
	require.NoError(w, err)
	return s
}

// all are the scopes that the tools take.
var all = slices.Clip([]string{"cases:read", "cases:write", "cases:close"})

func (w *world) clientConfig() governed.ClientConfig {
	return governed.ClientConfig{
		Endpoint: w.endpoint, Connection: w.task("connect", "mcp"), Scopes: []string{"mcp"},
		Tools: map[string][]string{
			"read": {"cases:read"}, "write": {"cases:write"}, "close": {"cases:write", "cases:close"}, "loose": {"cases:read"}, "wait": {"cases:read"},
		},
		Methods: map[string][]string{"prompts/get": {"cases:read"}},
	}
}

// connect opens an MCP session whose calls have tokens of tasks.
func (w *world) connect(change ...func(*governed.ClientConfig)) *mcp.ClientSession {
	w.Helper()
	cfg := w.clientConfig()
	for _, c := range change {
		c(&cfg)
	}
	client, err := governed.HTTPClient(cfg)
	require.NoError(w, err)
	return w.open(client)
}

func (w *world) open(client *http.Client) *mcp.ClientSession {
	w.Helper()
	s, err := mcp.NewClient(&mcp.Implementation{Name: "bot", Version: "1"}, nil).
		Connect(w.Context(), &mcp.StreamableClientTransport{Endpoint: w.endpoint, HTTPClient: client}, nil)
	require.NoError(w, err)
	w.Cleanup(func() { s.Close() })
	return s
}

// use calls a tool in a task; nil: in none.
func use(w *world, s *mcp.ClientSession, task *agent.Session, tool string) (string, error) {
	ctx := w.Context()
	if task != nil {
		ctx = governed.WithTask(ctx, task)
	}
	res, err := s.CallTool(ctx, &mcp.CallToolParams{Name: tool})
	if err != nil {
		return "", err
	}
	require.False(w, res.IsError)
	return res.Content[0].(*mcp.TextContent).Text, nil
}

func (w *world) works(s *mcp.ClientSession, task *agent.Session, tool string) {
	w.Helper()
	text, err := use(w, s, task, tool)
	require.NoError(w, err)
	require.Contains(w, text, tool+" for ")
}

// denied asserts that a call is refused with a text, and that no tool was reached and no token is told.
func (w *world) denied(s *mcp.ClientSession, task *agent.Session, tool, text string) error {
	w.Helper()
	before := len(w.reached())
	_, err := use(w, s, task, tool)
	require.ErrorContains(w, err, text)
	require.Len(w, w.reached(), before)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.heard {
		if _, token, _ := strings.Cut(h, " Bearer "); token != "" {
			require.NotContains(w, err.Error(), token)
		}
	}
	return err
}

// token is a token of a task, as any client could send it.
func (w *world) token(task *agent.Session, scopes ...string) string {
	w.Helper()
	t, err := task.Token(w.Context(), agent.Call{Tool: "by hand", Resource: w.endpoint, Scopes: scopes})
	require.NoError(w, err)
	return t.AccessToken
}

// revoke cuts, and waits until the MCP server knows.
func (w *world) revoke(kind, value string) {
	w.Helper()
	r, err := w.g.Revoke(w.Context(), ops, lineage.Revocation{Selector: lineage.Selector{Kind: kind, Value: value}, Reason: "test"})
	require.NoError(w, err)
	known := make(chan error, 1)
	go func() { known <- w.verifier.Await(w.Context(), r.Seq) }()
	for ticks := 0; ; ticks++ {
		select {
		case err := <-known:
			require.NoError(w, err)
			return
		case <-w.nudged: // where time has passed, the question for news has timed out, and the next one waits by the clock
			require.Less(w, ticks, 10_000)
			w.clock.Add(100 * time.Millisecond)
		}
	}
}

// pass lets time pass for everybody.
func (w *world) pass(d time.Duration) {
	w.clock.Add(d)
	if w.nudged == nil {
		w.nudged = make(chan struct{})
		close(w.nudged)
	}
}

// news returns what waits until the MCP server knows of one more entry than now.
func (w *world) news() func() {
	at := w.verifier.State().Position
	return func() { require.NoError(w, w.verifier.Await(w.Context(), at+1)) }
}

// bearer is a client that any program could be: one token for everything, which the test may change.
type bearer struct{ token atomic.Pointer[string] }

func (b *bearer) set(token string) *bearer { b.token.Store(&token); return b }

func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+*b.token.Load())
	return http.DefaultTransport.RoundTrip(r)
}
