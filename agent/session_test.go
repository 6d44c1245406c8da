package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/agent"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/lineage"
)

func TestATokenIsForOneCall(t *testing.T) {
	both(t, func(t *testing.T, w *world, b agent.Boundary) {
		s := w.start(t, w.config(b))
		read, err := s.Token(t.Context(), readCases)
		require.NoError(t, err)
		st := w.state(t, read.AccessToken)
		require.True(t, st.Active)
		require.Equal(t, tokenboundary.Audience{crm}, st.Claims.Audience)
		require.Equal(t, "cases:read", st.Claims.Scope)
		require.Equal(t, "alice", st.Claims.Subject)
		require.Equal(t, s.TaskID().String(), st.Claims.Task.ID)
		require.Equal(t, "Bearer", read.TokenType)
		require.Equal(t, w.clock.Now().Add(5*time.Minute-10*time.Second), read.Expiry, "early")

		ends, known := s.Deadline()
		require.True(t, known)
		require.Equal(t, w.clock.Now().Add(time.Hour), ends)

		again, err := s.Token(t.Context(), readCases)
		require.NoError(t, err)
		require.Equal(t, read.AccessToken, again.AccessToken)
		again.AccessToken = "changed by its holder"
		third, err := s.TokenSource(t.Context(), readCases).Token()
		require.NoError(t, err)
		require.Equal(t, read.AccessToken, third.AccessToken)

		seen := map[string]bool{read.AccessToken: true}
		for _, other := range []agent.Call{
			{Tool: "another", Resource: crm, Scopes: []string{"cases:read"}},
			{Tool: "lookup", Resource: crm, Scopes: []string{"cases:write"}},
			{Tool: "lookup", Resource: crm, Scopes: []string{"cases:write", "cases:read"}},
			{Tool: "lookup", Resource: mail, Scopes: []string{"messages:send"}},
			{Tool: "lookup", Resource: crm, Scopes: []string{"cases:read"}, Connection: "prod"},
		} {
			got, err := s.Token(t.Context(), other)
			require.NoError(t, err)
			require.False(t, seen[got.AccessToken], "%+v", other)
			seen[got.AccessToken] = true
		}
		sorted, err := s.Token(t.Context(), agent.Call{Tool: "lookup", Resource: crm, Scopes: []string{"cases:read", "cases:write", "cases:read"}})
		require.NoError(t, err)
		require.True(t, seen[sorted.AccessToken], "the order of scopes is no other call")

		w.clock.Add(5*time.Minute - 11*time.Second)
		_, err = s.Token(t.Context(), readCases)
		require.NoError(t, err, "the task token is good to its own end")
	})
}

func TestATokenIsRenewedEarly(t *testing.T) {
	both(t, func(t *testing.T, w *world, b agent.Boundary) {
		w.decide(func(f tokenboundary.Facts) tokenboundary.Verdict {
			v := refreshes(f)
			if f.Task.ID != "" && f.Grant == tokenboundary.Exchange {
				v.Lifetime = 20 * time.Second
			}
			return v
		})
		s := w.start(t, w.config(b))
		first, err := s.Token(t.Context(), readCases)
		require.NoError(t, err)
		require.Equal(t, w.clock.Now().Add(15*time.Second), first.Expiry, "of a short life, a quarter")
		w.clock.Add(15*time.Second - 1)
		same, err := s.Token(t.Context(), readCases)
		require.NoError(t, err)
		require.Equal(t, first.AccessToken, same.AccessToken)
		w.clock.Add(1)
		next, err := s.Token(t.Context(), readCases)
		require.NoError(t, err)
		require.NotEqual(t, first.AccessToken, next.AccessToken)
	})
}

func TestNothingOutlivesTheTask(t *testing.T) {
	both(t, func(t *testing.T, w *world, b agent.Boundary) {
		cfg := w.config(b)
		cfg.Task.ExpiresIn = 2 * time.Minute
		s := w.start(t, cfg)
		tok, err := s.Token(t.Context(), readCases)
		require.NoError(t, err)
		ends, _ := s.Deadline()
		require.False(t, tok.Expiry.After(ends))
		w.clock.Add(2 * time.Minute)
		_, err = s.Token(t.Context(), readCases)
		require.ErrorIs(t, err, agent.ErrEnded)
		require.ErrorIs(t, err, tokenboundary.ErrConflict)
	})
}

// generous is a boundary that says that its tokens live for a day, and hands out none that could be read.
type generous struct{ agent.Boundary }

func (b generous) Issue(ctx context.Context, req tokenboundary.Request) (agent.Granted, error) {
	g, err := b.Boundary.Issue(ctx, req)
	g.ExpiresIn = 24 * time.Hour
	if len(req.Scopes) > 0 {
		g.Access.Value = "opaque"
	}
	return g, err
}

func TestNothingIsKeptBeyondTheDeadline(t *testing.T) {
	w := newWorld(t)
	cfg := w.config(generous{w.local()})
	cfg.Task.ExpiresIn = 2 * time.Minute
	s := w.start(t, cfg)
	tok, err := s.Token(t.Context(), readCases)
	require.NoError(t, err)
	require.Equal(t, w.clock.Now().Add(2*time.Minute), tok.Expiry)
}

func TestAThousandCallersMakeOneExchange(t *testing.T) {
	w := newWorld(t)
	s := w.start(t, w.config(w.remote()))
	release := make(chan struct{})
	w.meanwhile(func(http.ResponseWriter, string) bool { <-release; return false }, nil)
	impatient, cancel := context.WithCancel(t.Context())
	first := make(chan error)
	go func() { _, err := s.Token(impatient, readCases); first <- err }()
	require.Eventually(t, func() bool { return w.count("token-exchange") == 2 }, time.Minute, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-first, context.Canceled)

	var started, all sync.WaitGroup
	got := make([]string, 1000)
	for i := range got {
		started.Add(1)
		all.Go(func() {
			started.Done()
			tok, err := s.Token(t.Context(), readCases)
			if err == nil {
				got[i] = tok.AccessToken
			}
		})
	}
	started.Wait()
	close(release)
	all.Wait()
	require.NotEmpty(t, got[0])
	for _, g := range got {
		require.Equal(t, got[0], g)
	}
	require.Equal(t, 2, w.count("token-exchange"), "the task, and one for all callers")
}

func TestACallIsRefusedByItsReason(t *testing.T) {
	both(t, func(t *testing.T, w *world, b agent.Boundary) {
		s := w.start(t, w.config(b))
		for name, c := range map[string]struct {
			call agent.Call
			want error
			code string
		}{
			"nothing":           {agent.Call{}, tokenboundary.ErrInvalid, ""},
			"no scope":          {agent.Call{Resource: crm}, tokenboundary.ErrInvalid, ""},
			"no resource":       {agent.Call{Scopes: []string{"cases:read"}}, tokenboundary.ErrInvalid, ""},
			"no scope token":    {agent.Call{Resource: crm, Scopes: []string{"cases:read cases:write"}}, tokenboundary.ErrInvalid, ""},
			"too many":          {agent.Call{Resource: crm, Scopes: make([]string, 129)}, tokenboundary.ErrInvalid, ""},
			"outside the task":  {agent.Call{Resource: crm, Scopes: []string{"cases:delete"}}, tokenboundary.ErrDenied, "invalid_scope"},
			"another resource":  {agent.Call{Resource: "https://else.example/", Scopes: []string{"cases:read"}}, tokenboundary.ErrDenied, ""},
			"other connection":  {agent.Call{Resource: crm, Scopes: []string{"cases:read"}, Connection: "drift"}, tokenboundary.ErrDenied, "invalid_target"},
			"scope of the next": {agent.Call{Resource: mail, Scopes: []string{"cases:read"}}, tokenboundary.ErrDenied, "invalid_scope"},
		} {
			tok, err := s.Token(t.Context(), c.call)
			require.ErrorIs(t, err, c.want, name)
			require.Nil(t, tok, name)
			if c.code != "" {
				var e *exchange.Error
				require.ErrorAs(t, err, &e, name)
				require.Equal(t, c.code, e.Code, name)
				require.NotContains(t, err.Error(), "/bot")
			}
		}
		_, err := s.Token(t.Context(), readCases)
		require.NoError(t, err)

		narrow := agent.Call{Resource: crm, Scopes: []string{"cases:read", "cases:delete", "cases:write"}}
		_, err = s.Token(t.Context(), narrow)
		var missing *agent.InsufficientScopeError
		require.ErrorAs(t, err, &missing)
		require.ErrorIs(t, err, tokenboundary.ErrDenied)
		require.Equal(t, []string{"cases:delete"}, missing.Missing)
		require.Equal(t, `agent: "cases:delete" was not granted for "https://crm.example/"`, err.Error())
	})
}

func TestStartIsRefusedByItsReason(t *testing.T) {
	both(t, func(t *testing.T, w *world, b agent.Boundary) {
		for name, c := range map[string]struct {
			change func(*agent.Config)
			want   error
			text   string
		}{
			"no boundary":  {func(c *agent.Config) { c.Boundary = nil }, tokenboundary.ErrInvalid, "Boundary"},
			"no purpose":   {func(c *agent.Config) { c.Task.Purpose = "" }, tokenboundary.ErrInvalid, "Purpose"},
			"no authority": {func(c *agent.Config) { c.Task.Authority = nil }, tokenboundary.ErrInvalid, "Authority"},
			"no scopes":    {func(c *agent.Config) { c.Task.Authority = []lineage.Access{{Resource: crm}} }, tokenboundary.ErrInvalid, "Authority"},
			"half seconds": {func(c *agent.Config) { c.Task.ExpiresIn = time.Second / 2 }, tokenboundary.ErrInvalid, "ExpiresIn"},
			"actor alone":  {func(c *agent.Config) { c.Subject, c.Actor = nil, c.Subject }, tokenboundary.ErrInvalid, "Actor"},
			"early":        {func(c *agent.Config) { c.Early = -1 }, tokenboundary.ErrInvalid, "Early"},
			"too much": {func(c *agent.Config) {
				c.Task.Authority = []lineage.Access{{Resource: crm, Scopes: []string{"admin:all"}}}
			}, tokenboundary.ErrDenied, "invalid_scope"},
			"stranger": {func(c *agent.Config) {
				c.Subject = func(context.Context) (tokenboundary.Credential, error) {
					return tokenboundary.Credential{Type: tokenboundary.TypeIDToken, Value: "x.y.z"}, nil
				}
			}, tokenboundary.ErrDenied, "subject_token"},
			"no login": {func(c *agent.Config) {
				c.Subject = func(context.Context) (tokenboundary.Credential, error) {
					return tokenboundary.Credential{}, context.DeadlineExceeded
				}
			}, context.DeadlineExceeded, "Config.Subject"},
		} {
			cfg := w.config(b)
			c.change(&cfg)
			_, err := agent.Start(t.Context(), cfg)
			require.ErrorIs(t, err, c.want, name)
			require.ErrorContains(t, err, c.text, name)
		}
		s := w.start(t, w.config(b))
		require.Equal(t, tokenboundary.TaskActive, w.taskState(t, s))
	})
}

func TestAnAgentCanActForItself(t *testing.T) {
	both(t, func(t *testing.T, w *world, b agent.Boundary) {
		cfg := w.config(b)
		cfg.Subject = nil
		tok, err := w.start(t, cfg).Token(t.Context(), readCases)
		require.NoError(t, err)
		require.Equal(t, "bot", w.state(t, tok.AccessToken).Claims.Subject)
	})
}

func TestRejectDropsThatTokenOnly(t *testing.T) {
	w := newWorld(t)
	s := w.start(t, w.config(w.local()))
	first, err := s.Token(t.Context(), readCases)
	require.NoError(t, err)
	s.Reject(readCases, first)
	second, err := s.Token(t.Context(), readCases)
	require.NoError(t, err)
	require.NotEqual(t, first.AccessToken, second.AccessToken)
	s.Reject(readCases, first) // late
	s.Reject(readCases, nil)
	same, err := s.Token(t.Context(), readCases)
	require.NoError(t, err)
	require.Equal(t, second.AccessToken, same.AccessToken)
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	w := newWorld(t)
	w.decide(func(f tokenboundary.Facts) tokenboundary.Verdict {
		v := grants(f)
		v.Derivations = 5000
		return v
	})
	s := w.start(t, w.config(w.local()))
	for i := range 1500 {
		c := readCases
		c.Tool = fmt.Sprint("tool-", i)
		_, err := s.Token(t.Context(), c)
		require.NoError(t, err)
	}
	require.LessOrEqual(t, s.Kept(), 1024)
	require.Greater(t, s.Kept(), 1000)
	for range 2000 {
		_, err := s.Token(t.Context(), agent.Call{Resource: crm, Scopes: []string{"cases:delete"}})
		require.ErrorIs(t, err, tokenboundary.ErrDenied)
	}
	require.LessOrEqual(t, s.Kept(), 1024, "what was refused is not kept")
}

func TestNothingShowsAToken(t *testing.T) {
	w := newWorld(t)
	w.decide(refreshes)
	var held []string
	b := observed{w.remote(), func(g agent.Granted) { held = append(held, g.Access.Value, g.Refresh.Value) }}
	s := w.start(t, w.config(b))
	_, err := s.Token(t.Context(), readCases)
	require.NoError(t, err)
	g, err := w.remote().Issue(t.Context(), tokenboundary.Request{Grant: tokenboundary.ClientCredentials, Resource: []string{crm}, Scopes: []string{"cases:read"}})
	require.NoError(t, err)
	held = append(held, g.Access.Value, g.Refresh.Value)
	raw, err := json.Marshal([]any{s, g})
	require.NoError(t, err)
	text := string(raw) + w.logs.String() + slog.AnyValue(s).Resolve().String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		text += fmt.Sprintf(verb, s) + fmt.Sprintf(verb, g)
	}
	require.Len(t, held, 6)
	for _, h := range held {
		if h != "" {
			require.NotContains(t, text, h)
		}
	}
	require.Contains(t, text, s.TaskID().String())
}

// observed is a boundary that shows the test what it grants.
type observed struct {
	agent.Boundary
	see func(agent.Granted)
}

func (o observed) Issue(ctx context.Context, req tokenboundary.Request) (agent.Granted, error) {
	g, err := o.Boundary.Issue(ctx, req)
	o.see(g)
	return g, err
}

func TestWrapHandsTheBroadTokenToTheBoundaryOnly(t *testing.T) {
	both(t, func(t *testing.T, w *world, b agent.Boundary) {
		cfg := w.config(b)
		cfg.Subject = nil
		broad := w.login("alice")
		s, err := agent.Wrap(t.Context(), oauth2.StaticTokenSource(&oauth2.Token{AccessToken: broad}), tokenboundary.TypeIDToken, cfg)
		require.NoError(t, err)
		tok, err := s.TokenSource(t.Context(), readCases).Token()
		require.NoError(t, err)
		require.NotEqual(t, broad, tok.AccessToken)
		require.Equal(t, "alice", w.state(t, tok.AccessToken).Claims.Subject)
		require.NotContains(t, w.logs.String(), broad)

		quoting := &oauth2.RetrieveError{Body: []byte("token=" + broad)}
		_, err = agent.Wrap(t.Context(), failing{quoting}, tokenboundary.TypeIDToken, cfg)
		var cause *oauth2.RetrieveError
		require.ErrorAs(t, err, &cause)
		require.NotContains(t, err.Error(), broad)
		_, err = agent.Wrap(t.Context(), oauth2.StaticTokenSource(&oauth2.Token{}), tokenboundary.TypeIDToken, cfg)
		require.ErrorContains(t, err, "no token")
		for _, c := range []struct {
			src  oauth2.TokenSource
			kind string
			cfg  agent.Config
		}{{nil, tokenboundary.TypeJWT, cfg}, {failing{}, "", cfg}, {failing{}, tokenboundary.TypeJWT, w.config(b)}} {
			_, err = agent.Wrap(t.Context(), c.src, c.kind, c.cfg)
			require.ErrorIs(t, err, tokenboundary.ErrInvalid)
		}
	})
}

type failing struct{ err error }

func (f failing) Token() (*oauth2.Token, error) { return nil, errors.Join(f.err) }
