package agent_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/agent"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// api is a resource that keeps what it was sent, and asks the boundary whether a token is good.
type api struct {
	*httptest.Server
	mu     sync.Mutex
	got    []*http.Request
	bodies []string
	answer func(http.ResponseWriter, *http.Request) bool // true: it has answered
}

func (w *world) api(t *testing.T, answer func(http.ResponseWriter, *http.Request) bool) *api {
	a := &api{answer: answer}
	by := w.ops(t)
	a.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		a.mu.Lock()
		a.got, a.bodies = append(a.got, r), append(a.bodies, string(body))
		a.mu.Unlock()
		if a.answer != nil && a.answer(rw, r) {
			return
		}
		_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if st, err := w.g.Introspect(context.Background(), by, token); err != nil || !st.Active {
			rw.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(rw, "served")
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *api) requests() []*http.Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]*http.Request(nil), a.got...)
}

// at starts a session that may use the apis as resources.
func (w *world) at(t *testing.T, b agent.Boundary, apis ...*api) *agent.Session {
	cfg := w.config(b)
	cfg.Task.Authority = nil
	for _, a := range apis {
		cfg.Task.Authority = append(cfg.Task.Authority, lineage.Access{Resource: a.URL + "/", Scopes: []string{"cases:read", "cases:write"}})
	}
	return w.start(t, cfg)
}

func client(t *testing.T, s *agent.Session, rules agent.Rules) *http.Client {
	t.Helper()
	tr, err := s.Transport(nil, rules)
	require.NoError(t, err)
	return &http.Client{Transport: tr}
}

func do(t *testing.T, c *http.Client, ctx context.Context, method, url string, body io.Reader, header ...string) (*http.Response, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, url, body)
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(r)
	if err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		require.NoError(t, resp.Body.Close())
	}
	if len(header) > 0 {
		require.Equal(t, header[1], r.Header.Get(header[0]), "the caller's request is left alone")
	}
	return resp, err
}

func reads(a *api) agent.Rule {
	return agent.Rule{URL: a.URL + "/", Scopes: []string{"cases:read"}}
}

func TestTransportSendsTheTokenOfTheCall(t *testing.T) {
	both(t, func(t *testing.T, w *world, b agent.Boundary) {
		one, two := w.api(t, nil), w.api(t, nil)
		s := w.at(t, b, one, two)
		c := client(t, s, agent.Rules{Allow: []agent.Rule{reads(one), reads(two)}})
		ctx := agent.WithCall(t.Context(), agent.Call{Tool: "edit", Scopes: []string{"cases:write"}})
		for _, r := range []struct {
			ctx   context.Context
			to    *api
			scope string
		}{{t.Context(), one, "cases:read"}, {t.Context(), two, "cases:read"}, {ctx, one, "cases:write"}} {
			resp, err := do(t, c, r.ctx, "GET", r.to.URL+"/cases", nil, "Authorization", "Bearer mine")
			require.NoError(t, err)
			require.Equal(t, 200, resp.StatusCode)
			all := r.to.requests()
			scheme, token, _ := strings.Cut(all[len(all)-1].Header.Get("Authorization"), " ")
			require.Equal(t, "Bearer", scheme)
			claims := w.state(t, token).Claims
			require.Equal(t, r.scope, claims.Scope)
			require.Equal(t, tokenboundary.Audience{r.to.URL + "/"}, claims.Audience)
		}
	})
}

func TestATokenNeverGoesAnywhereElse(t *testing.T) {
	w := newWorld(t)
	other := w.api(t, func(rw http.ResponseWriter, _ *http.Request) bool { return true })
	home := w.api(t, func(rw http.ResponseWriter, r *http.Request) bool {
		switch r.URL.Path {
		case "/away":
			http.Redirect(rw, r, other.URL+"/steal", http.StatusTemporaryRedirect)
		case "/there":
			http.Redirect(rw, r, "/here", http.StatusFound)
		default:
			return false
		}
		return true
	})
	s := w.at(t, w.remote(), home, other)
	for name, rules := range map[string]agent.Rules{
		"refused": {Allow: []agent.Rule{reads(home)}},
		"passed":  {Allow: []agent.Rule{reads(home)}, PassOthers: true},
		"allowed": {Allow: []agent.Rule{reads(home), reads(other)}},
	} {
		t.Run(name, func(t *testing.T) {
			c, before := client(t, s, rules), len(other.requests())
			resp, err := do(t, c, t.Context(), "POST", home.URL+"/away", strings.NewReader("x"))
			if !rules.PassOthers {
				require.ErrorIs(t, err, tokenboundary.ErrDenied)
				require.ErrorContains(t, err, "is not a place to send tokens to")
				require.Len(t, other.requests(), before)
			} else {
				require.NoError(t, err)
				require.Equal(t, 200, resp.StatusCode)
				require.Len(t, other.requests(), before+1)
			}
			resp, err = do(t, c, t.Context(), "GET", home.URL+"/there", nil)
			require.NoError(t, err)
			require.Equal(t, 200, resp.StatusCode, "a redirect on the same host is followed, with a token")
		})
	}
	c := client(t, s, agent.Rules{Allow: []agent.Rule{reads(home)}, PassOthers: true})
	_, err := do(t, c, t.Context(), "GET", other.URL+"/", nil, "Authorization", "Bearer mine", "DPoP", "proof")
	require.NoError(t, err)
	for _, r := range other.requests() {
		require.Empty(t, r.Header.Get("Authorization"))
		require.Empty(t, r.Header.Get("DPoP"))
	}
	require.NotEmpty(t, home.requests()[0].Header.Get("Authorization"))

	tr, err := s.Transport(nil, agent.Rules{})
	require.NoError(t, err)
	_, err = do(t, &http.Client{Transport: tr}, t.Context(), "GET", home.URL, nil)
	require.ErrorIs(t, err, tokenboundary.ErrDenied, "no rules, no requests")
}

func TestRulesAreExact(t *testing.T) {
	w := newWorld(t)
	home := w.api(t, nil)
	s := w.at(t, w.local(), home)
	base := roundTripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: http.NoBody, Header: http.Header{"Sent": r.Header["Authorization"]}}, nil
	})
	in := func(place string) *agent.Transport {
		tr, err := s.Transport(base, agent.Rules{Allow: []agent.Rule{{URL: place, Resource: home.URL + "/", Scopes: []string{"cases:read"}}}})
		require.NoError(t, err)
		return tr
	}
	at := func(tr *agent.Transport, url, host string) error {
		r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
		require.NoError(t, err)
		if host != "" {
			r.Host = host
		}
		resp, err := tr.RoundTrip(r)
		if err == nil {
			require.NotEmpty(t, resp.Header.Get("Sent"))
			require.NoError(t, resp.Body.Close())
		}
		return err
	}
	for _, good := range [][2]string{
		{"https://api.example", "https://api.example/x?y=/../z"}, {"https://api.example/", "https://API.example:443/a/../b"},
		{"https://api.example/v1", "https://api.example/v1"}, {"https://api.example/v1/", "https://api.example/v1/cases/"},
		{"http://127.0.0.1:80", "http://127.0.0.1/"}, {"https://api.example/v1", "https://api.example/v1/a..b"},
	} {
		require.NoError(t, at(in(good[0]), good[1], ""), good)
	}
	for _, bad := range [][3]string{
		{"https://api.example", "http://api.example/", ""}, {"https://api.example", "https://api.example:444/", ""},
		{"https://api.example", "https://api.example.evil.example/", ""}, {"https://api.example", "https://x.api.example/", ""},
		{"https://api.example", "https://user@api.example/", ""}, {"https://api.example", "https://api.example/", "evil.example"},
		{"https://api.example/v1", "https://api.example/v10", ""}, {"https://api.example/v1", "https://api.example/", ""},
		{"https://api.example/v1", "https://api.example/v1/../admin", ""}, {"https://api.example/v1", "https://api.example/v1/%2e%2e/admin", ""},
		{"https://api.example/v1", "https://api.example/v1/..;/admin", ""}, {"https://api.example/v1", "https://api.example/v1%2fx", ""},
		{"https://api.example/v1", "https://api.example/v1/a//b", ""}, {"https://api.example/v1", "https://api.example/v1/a%5c..", ""},
	} {
		require.ErrorIs(t, at(in(bad[0]), bad[1], bad[2]), tokenboundary.ErrDenied, bad)
	}
	for _, no := range []string{
		"", "api.example", "http://api.example", "https://", "https://u:p@api.example", "https://api.example?x", "https://api.example#",
		"https://api.example/a/../b", "ftp://api.example", "https://api.example/%2e%2e/", "::",
	} {
		_, err := s.Transport(base, agent.Rules{Allow: []agent.Rule{{URL: no}}})
		require.ErrorIs(t, err, tokenboundary.ErrInvalid, no)
	}
	tr, err := s.Transport(base, agent.Rules{Allow: []agent.Rule{
		{URL: "https://api.example/", Resource: home.URL + "/", Scopes: []string{"cases:delete"}},
		{URL: "https://api.example/read", Resource: home.URL + "/", Scopes: []string{"cases:read"}},
	}})
	require.NoError(t, err)
	require.NoError(t, at(tr, "https://api.example/read/x", ""), "the longest path decides")
	require.ErrorIs(t, at(tr, "https://api.example/x", ""), tokenboundary.ErrDenied)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestACallForAnotherResourceIsRefused(t *testing.T) {
	w := newWorld(t)
	one, two := w.api(t, nil), w.api(t, nil)
	s := w.at(t, w.local(), one, two)
	c := client(t, s, agent.Rules{Allow: []agent.Rule{reads(one), reads(two)}})
	call := agent.Call{Resource: two.URL + "/", Scopes: []string{"cases:read"}}
	ctx := agent.WithCall(t.Context(), call)
	kept, found := agent.CallFrom(ctx)
	require.True(t, found)
	require.Equal(t, call, kept)
	_, err := do(t, c, ctx, "GET", one.URL, nil)
	require.ErrorIs(t, err, tokenboundary.ErrInvalid)
	require.Empty(t, one.requests())
	resp, err := do(t, c, ctx, "GET", two.URL, nil)
	require.NoError(t, err)
	require.Equal(t, 200, resp.StatusCode)
}

func TestATokenThatIsNotAcceptedIsReplacedOnce(t *testing.T) {
	both(t, func(t *testing.T, w *world, b agent.Boundary) {
		home := w.api(t, nil)
		s := w.at(t, b, home)
		c := client(t, s, agent.Rules{Allow: []agent.Rule{reads(home)}})
		resp, err := do(t, c, t.Context(), "POST", home.URL, strings.NewReader("first"))
		require.NoError(t, err)
		require.Equal(t, 200, resp.StatusCode)
		last := func() string {
			all := home.requests()
			return strings.TrimPrefix(all[len(all)-1].Header.Get("Authorization"), "Bearer ")
		}
		w.revoke(t, lineage.SelectToken, w.state(t, last()).Claims.ID)
		resp, err = do(t, c, t.Context(), "POST", home.URL, strings.NewReader("second"))
		require.NoError(t, err)
		require.Equal(t, 200, resp.StatusCode, "exchanged anew, within the request")
		require.Equal(t, []string{"first", "second", "second"}, home.bodies)

		w.revoke(t, lineage.SelectToken, w.state(t, last()).Claims.ID)
		resp, err = do(t, c, t.Context(), "POST", home.URL, io.MultiReader(strings.NewReader("once")))
		require.NoError(t, err)
		require.Equal(t, 401, resp.StatusCode, "a body that is gone cannot be sent again")
		resp, err = do(t, c, t.Context(), "GET", home.URL, nil)
		require.NoError(t, err)
		require.Equal(t, 200, resp.StatusCode, "but the token is")

		w.revoke(t, lineage.SelectTask, s.TaskID().String())
		_, err = do(t, c, t.Context(), "GET", home.URL, nil)
		require.ErrorIs(t, err, tokenboundary.ErrDenied, "nothing can be had any more")
	})
}

// TestAResourceThatAcceptsNothingSpendsNoBudget: what it refuses is replaced once, and then not before a minute has passed.
// The derivations are those of the whole task.
func TestAResourceThatAcceptsNothingSpendsNoBudget(t *testing.T) {
	w := newWorld(t)
	refuses := true
	home := w.api(t, func(rw http.ResponseWriter, _ *http.Request) bool {
		if refuses {
			rw.WriteHeader(401)
		}
		return refuses
	})
	s := w.at(t, w.remote(), home)
	c := client(t, s, agent.Rules{Allow: []agent.Rule{reads(home)}})
	get := func(status int) {
		t.Helper()
		resp, err := do(t, c, t.Context(), "GET", home.URL, nil)
		require.NoError(t, err)
		require.Equal(t, status, resp.StatusCode)
	}
	start := w.count("token-exchange")
	get(401)
	require.Len(t, home.requests(), 2)
	require.NotEqual(t, home.requests()[0].Header, home.requests()[1].Header)
	for range 10 {
		get(401)
	}
	require.Len(t, home.requests(), 12, "one for each")
	require.Equal(t, start+2, w.count("token-exchange"))
	refuses = false
	get(200)
	require.Equal(t, start+2, w.count("token-exchange"), "the token may have been good")
	refuses = true
	w.clock.Add(time.Minute)
	get(401)
	require.Equal(t, start+3, w.count("token-exchange"))
}

func TestAStepUpIsTyped(t *testing.T) {
	w := newWorld(t)
	home := w.api(t, func(rw http.ResponseWriter, _ *http.Request) bool {
		rw.Header().Set("WWW-Authenticate", `Bearer error="insufficient_user_authentication", error_description="x", acr_values="aal3 aal2", max_age="120"`)
		rw.WriteHeader(401)
		return true
	})
	s := w.at(t, w.local(), home)
	c := client(t, s, agent.Rules{Allow: []agent.Rule{reads(home)}})
	_, err := do(t, c, t.Context(), "GET", home.URL, nil)
	var e *agent.StepUpError
	require.ErrorAs(t, err, &e)
	require.Equal(t, &agent.StepUpError{ACR: []string{"aal3", "aal2"}, MaxAge: 2 * time.Minute}, e)
	require.ErrorIs(t, err, tokenboundary.ErrDenied)
	require.Len(t, home.requests(), 1)
}

// body tells whether it was closed.
type body struct {
	io.Reader
	closed bool
}

func (b *body) Close() error { b.closed = true; return nil }

func TestTheBodyIsClosedWhateverHappens(t *testing.T) {
	w := newWorld(t)
	home := w.api(t, nil)
	s := w.at(t, w.local(), home)
	away := roundTripper(func(r *http.Request) (*http.Response, error) { _ = r.Body.Close(); return nil, errors.New("away") })
	tr, err := s.Transport(away, agent.Rules{Allow: []agent.Rule{reads(home), {URL: home.URL + "/none", Resource: home.URL + "/"}}})
	require.NoError(t, err)
	for _, url := range []string{"https://elsewhere.example/", home.URL + "/none", home.URL + "/sent"} {
		b := &body{Reader: bytes.NewReader(nil)}
		r, err := http.NewRequestWithContext(t.Context(), "POST", url, b)
		require.NoError(t, err)
		_, err = tr.RoundTrip(r) //nolint:bodyclose // there is none
		require.Error(t, err)
		require.True(t, b.closed, url)
	}
	require.NoError(t, s.Complete(t.Context()))
	b := &body{Reader: bytes.NewReader(nil)}
	r, err := http.NewRequestWithContext(t.Context(), "POST", home.URL+"/sent", b)
	require.NoError(t, err)
	_, err = tr.RoundTrip(r) //nolint:bodyclose // there is none
	require.ErrorIs(t, err, agent.ErrEnded)
	require.True(t, b.closed)
}
