package mcp_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	governed "github.com/tokenboundary/tokenboundary/hosts/mcp"
	"github.com/tokenboundary/tokenboundary/verify"
)

// answer is what the MCP server said to one request.
type answer struct {
	status    int
	header    http.Header
	challenge string
	text      string
	failed    string // the message of a JSON-RPC error
	id        string
}

func (w *world) send(method, body string, header http.Header) answer {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), method, w.endpoint, strings.NewReader(body))
	require.NoError(w, err)
	r.Header = header
	resp, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(w, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(w, err)
	a := answer{status: resp.StatusCode, header: resp.Header, challenge: resp.Header.Get("WWW-Authenticate"), text: string(raw)}
	var rpc struct {
		ID    json.RawMessage `json:"id"`
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	_, data, _ := strings.Cut(a.text, "data: ")
	if json.Unmarshal(raw, &rpc) == nil || json.Unmarshal([]byte(data), &rpc) == nil {
		a.failed, a.id = rpc.Error.Message, string(rpc.ID)
	}
	return a
}

// with are the headers of a message with a token.
func with(token string) http.Header {
	h := http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}}
	if token != "" {
		h.Set("Authorization", "Bearer "+token)
	}
	return h
}

func calls(tool string) string {
	return `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"` + tool + `","arguments":{}}}`
}

func (w *world) post(token, body string) answer {
	w.Helper()
	return w.send(http.MethodPost, body, with(token))
}

func stateless(o *mcp.StreamableHTTPOptions) { o.Stateless = true }

func TestACallTakesTheScopesOfItsTool(t *testing.T) {
	w := newWorld(t, stateless)
	task := w.task("triage", append(all, "mcp")...)
	for _, c := range []struct {
		tool   string
		scopes []string
		needs  string // what the challenge says; empty: let through
	}{
		{"read", []string{"cases:read"}, ""},
		{"read", []string{"cases:write"}, "cases:read"},
		{"close", []string{"cases:write", "cases:close"}, ""},
		{"close", []string{"cases:write"}, "cases:write cases:close"},
		{"read", []string{"mcp"}, "cases:read"},
		{"loose", append(all, "mcp"), "none"},
		{"unknown", append(all, "mcp"), "none"},
	} {
		before := len(w.reached())
		a := w.post(w.token(task, c.scopes...), calls(c.tool))
		if c.needs == "" {
			require.Equal(t, http.StatusOK, a.status, a.text)
			require.Contains(t, a.text, c.tool+" for alice")
			require.Len(t, w.reached(), before+1)
			continue
		}
		require.Equal(t, http.StatusForbidden, a.status, c.tool)
		require.Contains(t, a.challenge, `Bearer error="insufficient_scope"`)
		require.Equal(t, c.needs != "none", strings.Contains(a.challenge, `scope="`+c.needs+`"`), a.challenge)
		require.Contains(t, a.challenge, `resource_metadata="`+w.server.URL+`/.well-known/oauth-protected-resource/mcp"`)
		require.Contains(t, a.failed, "insufficient_scope: ")
		require.Equal(t, "7", a.id)
		require.Len(t, w.reached(), before, "no tool is reached")
	}
}

func TestASessionTakesItsScopes(t *testing.T) {
	w := newWorld(t, stateless)
	open, narrow := w.token(w.task("connect", "mcp"), "mcp"), w.token(w.task("triage", all...), "cases:read")
	const list = `{"jsonrpc":"2.0","id":"a","method":"tools/list","params":{}}`
	a := w.post(open, list)
	require.Equal(t, http.StatusOK, a.status, a.text)
	require.Contains(t, a.text, `"name":"read"`)
	require.NotContains(t, a.text, "loose", "a tool without a rule is not listed")
	for _, body := range []string{list, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}`, `{"jsonrpc":"2.0","id":1,"result":{}}`} {
		a = w.post(narrow, body)
		require.Equal(t, http.StatusForbidden, a.status, body)
		require.Contains(t, a.challenge, `scope="mcp"`)
		require.Less(t, w.post(open, body).status, 300, body)
	}
	require.Equal(t, http.StatusForbidden, w.send(http.MethodGet, "", with(narrow)).status)
	require.Equal(t, http.StatusMethodNotAllowed, w.send(http.MethodGet, "", with(open)).status, "control: it is stateless")
}

func TestAMethodWithoutARuleIsRefused(t *testing.T) {
	w := newWorld(t, stateless)
	read, open := w.token(w.task("triage", all...), "cases:read"), w.token(w.task("connect", "mcp"), "mcp")
	const prompt = `{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"sum up"}}`
	require.Contains(t, w.post(read, prompt).text, "summed up")
	require.Contains(t, w.post(open, prompt).challenge, `scope="cases:read"`)
	for _, token := range []string{read, open} {
		a := w.post(token, `{"jsonrpc":"2.0","id":1,"method":"prompts/list","params":{}}`)
		require.Equal(t, http.StatusForbidden, a.status)
		require.NotContains(t, a.text, "sum up")
	}
}

// What the guard has read is not what the SDK reads: names in another case, twice, or several messages at once.
func TestWhatIsNotAdmittedAsWhatItIsIsRefused(t *testing.T) {
	w := newWorld(t, stateless)
	read := w.token(w.task("triage", all...), "cases:read")
	open := w.token(w.task("connect", "mcp"), "mcp")
	for name, c := range map[string]struct{ token, body string }{
		"the name in another case":   {read, `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"write","Name":"read","arguments":{}}}`},
		"the method in another case": {open, `{"jsonrpc":"2.0","id":7,"method":"tools/call","Method":"tools/list","params":{"name":"write","arguments":{}}}`},
		"params in another case":     {read, `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"write","arguments":{}},"Params":{"name":"read"}}`},
		"a batch":                    {open, `[` + calls("write") + `]`},
	} {
		a := w.post(c.token, c.body)
		require.Equal(t, http.StatusOK, a.status, "%s: it has passed the door: %s", name, a.text)
		require.Contains(t, a.text, "not admitted as what it is", name)
	}
	require.Empty(t, w.reached())
	require.Contains(t, w.post(read, calls("read")).text, "read for alice", "control")
}

func TestAToolDoesNotSeeTheToken(t *testing.T) {
	w := newWorld(t, stateless)
	task := w.task("triage", all...)
	h := with(w.token(task, "cases:read"))
	h.Set("X-Trace", "kept")
	require.Equal(t, http.StatusOK, w.send(http.MethodPost, calls("read"), h).status)
	got := w.reached()[0]
	require.Equal(t, "alice", got.claims.Subject)
	require.Equal(t, "cases:read", got.claims.Scope)
	require.Equal(t, task.TaskID().String(), got.claims.Task.ID)
	require.Equal(t, "kept", got.header.Get("X-Trace"))
	require.Empty(t, got.header.Values("Authorization"))
	require.Empty(t, got.header.Values("DPoP"))
}

func TestTheMetadataNamesTheBoundary(t *testing.T) {
	w := newWorld(t)
	resp, err := http.Get(w.server.URL + "/.well-known/oauth-protected-resource/mcp")
	require.NoError(t, err)
	defer resp.Body.Close()
	var doc map[string]any
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&doc))
	require.Equal(t, w.endpoint, doc["resource"])
	require.Equal(t, []any{w.issuer}, doc["authorization_servers"])
	require.Equal(t, []any{"mcp", "cases:read", "cases:write", "cases:close"}, doc["scopes_supported"])
}

func TestABodyHasALimit(t *testing.T) {
	w := newWorld(t, stateless, func(o *mcp.StreamableHTTPOptions) { o.MaxRequestBodyBytes = 200 })
	token := w.token(w.task("triage", all...), "cases:read")
	require.Equal(t, http.StatusOK, w.post(token, calls("read")).status)
	long := w.post(token, calls("read")+strings.Repeat(" ", 200))
	require.Equal(t, http.StatusRequestEntityTooLarge, long.status)
	require.Equal(t, "the body cannot be read\n", long.text, "it is not even read to its end")
	require.Equal(t, http.StatusUnauthorized, w.post("", calls("read")+strings.Repeat(" ", 200)).status, "nothing is read for nobody")
}

// A server with the middleware of a guard, but reached by another way, has no tokens to go by.
func TestAServerBehindNoGuardRefuses(t *testing.T) {
	w := newWorld(t)
	near, far := mcp.NewInMemoryTransports()
	_, err := w.mcp.Connect(t.Context(), near, nil)
	require.NoError(t, err)
	_, err = mcp.NewClient(&mcp.Implementation{Name: "x", Version: "1"}, nil).Connect(t.Context(), far, nil)
	require.ErrorContains(t, err, "not admitted as what it is")

	other, err := governed.New(governed.Config{Verifier: w.verifier, Session: verify.Route{Scopes: []string{"mcp"}}})
	require.NoError(t, err)
	other.Handler(w.mcp, nil) // and its middleware knows nothing of what the first one admits
	a := w.post(w.token(w.task("connect", "mcp"), "mcp"), `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}`)
	require.Contains(t, a.text, "not admitted as what it is")
}

func TestAConfigThatLetsNothingThroughIsAMistake(t *testing.T) {
	w := newWorld(t)
	open := verify.Route{AnyScope: true}
	for text, cfg := range map[string]governed.Config{
		"Config.Verifier":               {Session: open},
		"Config.Session":                {Verifier: w.verifier},
		`Config.Tools["a"]`:             {Verifier: w.verifier, Session: open, Tools: map[string]verify.Route{"a": {}}},
		`Config.Tools[""]`:              {Verifier: w.verifier, Session: open, Tools: map[string]verify.Route{"": open}},
		`Config.Methods["tools/call"]`:  {Verifier: w.verifier, Session: open, Methods: map[string]verify.Route{"tools/call": open}},
		`Config.Methods["prompts/get"]`: {Verifier: w.verifier, Session: open, Methods: map[string]verify.Route{"prompts/get": {}}},
	} {
		_, err := governed.New(cfg)
		require.ErrorContains(t, err, text)
	}
	_, err := governed.New(governed.Config{Verifier: w.verifier, Session: open, Tools: map[string]verify.Route{"a": open}})
	require.NoError(t, err)
}

// A verifier that does not know what was revoked lets nothing through, and says that this may pass.
func TestWhatCannotBeToldIsRefusedForNow(t *testing.T) {
	w := newWorld(t, stateless)
	token := w.token(w.task("triage", all...), "cases:read")
	require.Equal(t, http.StatusOK, w.post(token, calls("read")).status, "control")
	remote, err := verify.NewRemote(verify.RemoteConfig{URL: w.issuer, Credential: verify.Secret("crm", secret("crm"))})
	require.NoError(t, err)
	idle, err := verify.New(verify.Config{
		Issuer: w.issuer, Resource: w.endpoint, JWKSURI: w.issuer + "/jwks.json", Boundary: remote, Clock: w.clock,
	})
	require.NoError(t, err)
	guard, err := governed.New(governed.Config{
		Verifier: idle, Session: verify.Route{AnyScope: true}, Tools: map[string]verify.Route{"read": {AnyScope: true}},
	})
	require.NoError(t, err)
	fresh := mcp.NewServer(&mcp.Implementation{Name: "crm", Version: "1"}, nil)
	server := httptest.NewServer(guard.Handler(fresh, &mcp.StreamableHTTPOptions{Stateless: true}))
	t.Cleanup(server.Close)
	w.endpoint = server.URL
	a := w.post(token, calls("read"))
	require.Equal(t, http.StatusServiceUnavailable, a.status)
	require.Equal(t, "1", a.header.Get("Retry-After"))
	require.Contains(t, a.failed, "temporarily_unavailable: ")
}
