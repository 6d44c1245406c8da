package verify_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/verify"
)

// TestEverySelectorReachesTheMiddleware: what is cut by any kind of selector is refused with the challenge of RFC 6750, and
// what stands beside it goes on.
func TestEverySelectorReachesTheMiddleware(t *testing.T) {
	for name, c := range map[string]struct {
		kind   string
		value  func(root, child tokenboundary.Token, claims tokenboundary.Claims) string
		dated  bool // it can be blocked, and what is issued later lives
		asked  bool // no token says that it falls under it
		beside []func(*tokenboundary.Request)
	}{
		"token":  {kind: lineage.SelectToken, value: func(_, child tokenboundary.Token, _ tokenboundary.Claims) string { return child.ID.String() }},
		"parent": {kind: lineage.SelectToken, value: func(root, _ tokenboundary.Token, _ tokenboundary.Claims) string { return root.ID.String() }},
		"task": {kind: lineage.SelectTask, value: func(_, _ tokenboundary.Token, c tokenboundary.Claims) string {
			return c.Task.ID
		}},
		"grant":   {kind: lineage.SelectGrant, value: func(_, _ tokenboundary.Token, c tokenboundary.Claims) string { return c.Grant }},
		"session": {kind: lineage.SelectSession, value: func(_, _ tokenboundary.Token, c tokenboundary.Claims) string { return c.SessionID }},
		"subject": {kind: lineage.SelectSubject, dated: true, value: func(_, _ tokenboundary.Token, c tokenboundary.Claims) string { return c.Subject }},
		"actor":   {kind: lineage.SelectActor, dated: true, value: func(_, _ tokenboundary.Token, c tokenboundary.Claims) string { return c.Act.Subject }},
		"inner actor": {kind: lineage.SelectActor, dated: true, value: func(_, _ tokenboundary.Token, c tokenboundary.Claims) string {
			return c.Act.Act.Subject
		}},
		"client": {kind: lineage.SelectClient, dated: true, value: func(_, _ tokenboundary.Token, c tokenboundary.Claims) string { return c.ClientID }},
		"client above": {kind: lineage.SelectClient, dated: true, asked: true,
			value: func(_, _ tokenboundary.Token, _ tokenboundary.Claims) string { return "bot" }},
		"connection": {kind: lineage.SelectConnection, dated: true, asked: true,
			value: func(_, _ tokenboundary.Token, _ tokenboundary.Claims) string { return "prod" }},
		"path": {kind: lineage.SelectPath, dated: true, asked: true,
			value: func(_, _ tokenboundary.Token, _ tokenboundary.Claims) string { return "/agents/bot" }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			g := w.guard()
			root := w.issued(w.person("alice"), inTask)
			child := w.issued(from(root, "tool"))
			beside := w.issued(w.person("bob"), by("other"), over("staging"), inTask)
			get := g.api(verify.Route{Scopes: []string{"cases:read"}})
			a := get(bearer(child))
			require.Equal(t, 200, a.status)
			require.Equal(t, "alice", a.claims.Subject)
			require.Equal(t, "tool", a.claims.Act.Subject)
			require.Equal(t, "triage", a.claims.Task.Purpose)
			require.Equal(t, 200, get(bearer(beside)).status)

			action := lineage.Cut
			if c.dated {
				action = lineage.Block
			}
			value := c.value(root, child, *a.claims)
			g.sees(w.revoke(c.kind, value, action))
			a = get(bearer(child))
			require.Equal(t, 401, a.status)
			require.Equal(t, []string{`Bearer error="invalid_token", error_description="The access token is not acceptable", ` +
				`resource_metadata="` + metadataURL + `"`}, a.challenge)
			require.Equal(t, "invalid_token", a.body["error"])
			_, err := g.Verify(t.Context(), child.Value())
			require.ErrorIs(t, err, verify.ErrInactive)
			require.Equal(t, 200, get(bearer(beside)).status, "what stands beside it goes on")
			if !c.asked {
				require.ErrorContains(t, err, "revoked: "+c.kind)
			}
			if !c.dated {
				return
			}
			g.sees(w.revoke(c.kind, value, lineage.Lift))
			w.clock.Add(time.Minute)
			require.Equal(t, 401, get(bearer(child)).status, "what was dead stays dead")
			again := w.issued(from(w.issued(w.person("alice"), inTask), "tool"))
			require.Equal(t, 200, get(bearer(again)).status, "after the lift")
		})
	}
}

// TestAKeyThatIsRevokedVerifiesNothing: the key itself, and what descends from what it signed.
func TestAKeyThatIsRevokedVerifiesNothing(t *testing.T) {
	w := newWorld(t)
	g := w.guard()
	tok := w.issued()
	kid := g.good(tok).Key
	require.NotEmpty(t, kid)
	g.sees(w.revoke(lineage.SelectKey, kid, lineage.Cut))
	g.refused(tok, verify.ErrInactive, "revoked: key")
}

// TestATaskThatIsSuspended is inactive with all that was made under it, until it is resumed; another task is not.
func TestATaskThatIsSuspended(t *testing.T) {
	w := newWorld(t)
	g := w.guard()
	task := w.issued(w.person("alice"), inTask)
	child, beside := w.issued(from(task, "tool")), w.issued(w.person("alice"), inTask)
	g.good(child)
	set := func(to tokenboundary.TaskState) {
		before := g.State().Position
		_, err := w.g.SetTask(t.Context(), ops, task.TaskID, to)
		require.NoError(t, err)
		require.NoError(t, g.Until(t.Context(), func() bool { return g.State().Position > before }))
	}
	set(tokenboundary.TaskSuspended)
	g.refused(child, verify.ErrInactive, "suspended")
	g.refused(task, verify.ErrInactive, "suspended")
	g.good(beside)
	set(tokenboundary.TaskActive)
	g.good(child)
	g.good(task)
	set(tokenboundary.TaskCompleted)
	g.refused(child, verify.ErrInactive, "revoked: task")
	g.good(beside)
}

// TestATokenIsAskedAboutOnce: an entry that no token shows costs one question per token that is older, however often it is
// used, and none for what was issued later.
func TestATokenIsAskedAboutOnce(t *testing.T) {
	w := newWorld(t)
	g := w.guard()
	old := w.issued(over("staging"))
	for range 3 {
		g.good(old)
	}
	require.Zero(t, w.times("/introspect"), "offline")
	g.sees(w.revoke(lineage.SelectConnection, "prod", lineage.Cut))
	for range 3 {
		g.good(old)
	}
	require.Equal(t, 1, w.times("/introspect"))
	g.sees(w.revoke(lineage.SelectPath, "/elsewhere", lineage.Cut))
	g.good(old)
	require.Equal(t, 2, w.times("/introspect"), "once per entry")
	w.clock.Add(time.Minute)
	g.good(w.issued(over("staging")))
	require.Equal(t, 2, w.times("/introspect"), "what is younger than the entry is known to be good")

	g.sees(w.revoke(lineage.SelectClient, "nobody", lineage.Cut))
	g.good(old)
	require.Equal(t, 2, w.times("/introspect"), "nothing stands behind this token")
}

// TestManyWaitForOneAnswer about a token.
func TestManyWaitForOneAnswer(t *testing.T) {
	w := newWorld(t)
	g := w.guard()
	tok := w.issued(over("staging"))
	g.sees(w.revoke(lineage.SelectConnection, "prod", lineage.Cut))
	arrived, release := make(chan struct{}), make(chan struct{})
	pass := w.proxy()
	w.on("/introspect", func(out http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-release
		pass(out, r)
	})
	results := make(chan error)
	for range 20 {
		go func() {
			_, err := g.Verify(context.Background(), tok.Value())
			results <- err
		}()
	}
	<-arrived
	close(release)
	for range 20 {
		require.NoError(t, <-results)
	}
	require.Equal(t, 1, w.times("/introspect"))
}

// TestWhereTheBoundaryCannotBeAsked a token that may be dead is refused, under both policies, and others are not.
func TestWhereTheBoundaryCannotBeAsked(t *testing.T) {
	for _, lost := range []verify.FeedLost{verify.FailClosed, verify.UntilExpiry} {
		w := newWorld(t)
		g := w.guard(func(c *verify.Config) { c.FeedLost = lost })
		old := w.issued(over("staging"))
		g.sees(w.revoke(lineage.SelectConnection, "prod", lineage.Cut))
		w.on("/introspect", func(out http.ResponseWriter, _ *http.Request) { out.WriteHeader(http.StatusBadGateway) })
		g.refused(old, tokenboundary.ErrUnavailable, "cannot be asked")
		g.refused(old, tokenboundary.ErrUnavailable, "a moment ago")
		require.Equal(t, 1, w.times("/introspect"), "it is not asked again and again")
		a := g.api(verify.Route{AnyScope: true})(bearer(old))
		require.Equal(t, 503, a.status)
		require.Equal(t, "1", a.header.Get("Retry-After"))
		require.Empty(t, a.challenge)
		w.clock.Add(10 * time.Second)
		g.good(w.issued(over("staging")))
		w.on("/introspect", nil)
		g.good(old, "once it answers")
	}
}

// TestRecheck: a token that says for how long it may be relied on is asked about after that, once per such interval.
func TestRecheck(t *testing.T) {
	w := newWorld(t)
	w.policy = func(v *tokenboundary.Verdict) { v.Recheck = time.Minute }
	g := w.guard()
	tok := w.issued()
	require.EqualValues(t, 60, g.good(tok).Recheck)
	w.clock.Add(59 * time.Second)
	g.good(tok)
	require.Zero(t, w.times("/introspect"))
	w.clock.Add(time.Second)
	g.good(tok)
	g.good(tok)
	require.Equal(t, 1, w.times("/introspect"))
	w.clock.Add(time.Minute)
	w.policy = func(v *tokenboundary.Verdict) { *v = tokenboundary.Verdict{} }
	g.refused(tok, verify.ErrInactive, "the boundary says so")
	g.refused(tok, verify.ErrInactive, "the boundary says so")
	require.Equal(t, 2, w.times("/introspect"), "a refusal is not asked for again at once")
	w.on("/introspect", func(out http.ResponseWriter, _ *http.Request) { out.WriteHeader(http.StatusServiceUnavailable) })
	w.clock.Add(2 * time.Second)
	g.refused(tok, tokenboundary.ErrUnavailable, "cannot be asked")
}
