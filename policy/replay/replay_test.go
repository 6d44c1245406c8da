package replay_test

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/policy/replay"
)

func original(t testing.TB) tb.Policy { return set(t, files(agentPolicy, mailPolicy, guardrail)) }

// changed returns the policy set with one text of the agents' leaf replaced.
func changed(t testing.TB, from, to string) tb.Policy {
	require.Contains(t, agentPolicy, from)
	return set(t, files(strings.ReplaceAll(agentPolicy, from, to), mailPolicy, guardrail))
}

// without returns the policy set without one allow rule of the agents' leaf.
func without(t testing.TB, rule string) tb.Policy {
	_, rest, found := strings.Cut(agentPolicy, "  - rule: "+rule+"\n")
	require.True(t, found)
	n := strings.Index(rest, "  - rule: ")
	return changed(t, "  - rule: "+rule+"\n"+rest[:n], "")
}

// eventful lets happen what a policy can look at: facts of everybody, tasks, delegation, refusals of each kind.
func eventful(w *world) {
	bot := func(person string, change func(*tb.Request), scopes ...string) tb.Decision {
		req := w.login(person, scopes...)
		if change != nil {
			change(&req)
		}
		d := w.decide(req)
		w.clock.Add(time.Second)
		return d
	}
	helper := func(d tb.Decision, scopes ...string) tb.Decision {
		w.clock.Add(time.Second)
		return w.decide(tb.Request{Grant: tb.Exchange, Client: w.as("helper"), Subject: token(d), Resource: []string{crm}, Scopes: scopes})
	}
	sel := func(s string) lineage.Selector {
		x, err := lineage.ParseSelector(s)
		require.NoError(w, err)
		return x
	}
	task := func(purpose, context string, listed ...lineage.Access) func(*tb.Request) {
		return func(r *tb.Request) {
			r.Task = &tb.TaskSpec{Purpose: purpose, Context: json.RawMessage(context), Authority: listed}
		}
	}
	waits := func(r *tb.Request) { r.Deferrable = true }
	round := func() {
		read := bot("alice", nil, "cases:read")
		both := bot("alice", nil, "cases:read", "cases:write", "cases:export")
		helper(read, "cases:read")
		helper(both, "cases:read", "cases:copy")
		helper(both, "cases:write")
		bot("bob", nil, "cases:export")
		bot("bob", nil, "cases:read", "cases:export")
		bot("bob", nil, "nothing")
		bot("bob", nil)
		bot("bob", waits, "cases:read", "refunds")
		bot("bob", waits, "sudo")
		bot("bob", nil, "cases:read", "refunds", "lunch")
		t := bot("carol", task("triage", `{"case":11}`), "cases:read", "cases:close")
		helper(t, "cases:read", "cases:close")
		bot("carol", task("triage", `{"case":7}`), "cases:close")
		bot("carol", task("other", `{}`), "cases:read", "cases:close")
		bot("carol", task("triage", `{"case":12}`,
			lineage.Access{Resource: crm, Scopes: []string{"cases:read", "cases:close"}}), "cases:read")
		listed := lineage.Access{Resource: mail, Scopes: []string{"send"}}
		bot("carol", task("triage", `{"case":13}`, lineage.Access{Resource: crm, Scopes: []string{"cases:read"}}, listed))
		w.decide(tb.Request{Grant: tb.ClientCredentials, Client: w.as("bot"), Resource: []string{crm}, Scopes: []string{"cases:read"}})
		w.decide(tb.Request{Grant: tb.ClientCredentials, Client: w.as("bot"), Resource: []string{"https://unbound.example/"}, Scopes: []string{"x"}})
		w.decide(tb.Request{Grant: tb.Exchange, Client: w.as("bot"), Subject: w.human("dan"), Resource: []string{mail}, Scopes: []string{"send"}})
	}
	round()
	for _, s := range []tb.Signal{
		{Selector: sel("subject:alice"), Risk: "high"},
		{Selector: sel("client:bot"), Attributes: map[string]any{"trusted": true}},
		{Selector: sel("subject:carol"), Attributes: map[string]any{"mails": true}},
		{Selector: sel("session:s-bob"), Assurance: &tb.Assurance{ACR: "aal3", AuthTime: w.clock.Now()}},
		{Env: map[string]any{"night": true}},
		{Env: map[string]any{"night": false, "frozen": true}},
		{Env: map[string]any{"frozen": false}},
		{Selector: sel("subject:alice"), Risk: "low"},
		{Selector: sel("client:bot"), Attributes: map[string]any{"trusted": nil}},
	} {
		w.clock.Add(2 * time.Minute)
		w.signal(s)
		round()
	}
	w.clock.Add(2 * time.Hour)
	round() // after the hour that a rule asks for
}

// TestWhatDecidedAHistoryChangesNothingOfIt is the law of a replay, over everything that a policy can look at.
func TestWhatDecidedAHistoryChangesNothingOfIt(t *testing.T) {
	p := original(t)
	w := newWorld(t, p, nil)
	eventful(w)
	r := w.replay(p, replay.Options{})
	require.Empty(t, r.Groups)
	require.Zero(t, r.Changed)
	require.Zero(t, r.Unknown)
	require.Equal(t, r.Examined, r.Unchanged)
	require.Greater(t, r.Examined, 190)
	require.Greater(t, r.Skipped[tb.SkipRepeat], 20)
	require.Greater(t, r.Skipped[tb.SkipWithdrawn], 5)
	r = w.replay(p, replay.Options{Baseline: p})
	require.Empty(t, r.Groups)
}

// TestOneChangedRuleChangesExactlyWhatItSays: beside the law, so that a replay that saw nothing would fail.
func TestOneChangedRuleChangesExactlyWhatItSays(t *testing.T) {
	w := newWorld(t, original(t), nil)
	eventful(w)
	var recorded []tb.Past
	for p, err := range w.recall().All(w.Context(), tb.RecallFilter{}) {
		require.NoError(t, err)
		recorded = append(recorded, p)
	}
	// count returns how many recorded decisions of the kind have the scope granted, by itself or among others.
	count := func(scope string, alone bool) (n int) {
		for _, p := range recorded {
			for _, a := range p.Answer().Access {
				if p.Skip == "" && p.Record.Kind == lineage.KindToken && a.Resource == crm && has(a.Scopes, scope) && (len(a.Scopes) == 1) == alone {
					n++
				}
			}
		}
		return n
	}
	for rule, c := range map[string]struct {
		candidate tb.Policy
		want      map[replay.Change]int
		id, scope string
	}{
		"a rule less": {without(t, "strong"), map[replay.Change]int{
			replay.ScopeLost: count("cases:export", false), replay.Denied: count("cases:export", true),
		}, "/agents/crm#strong", "cases:export"},
		"a shorter lifetime": {changed(t, "scopes: [lunch]", "scopes: [lunch]\n    lifetime: 30s"), map[replay.Change]int{
			replay.LifetimeShorter: count("lunch", false),
		}, "", ""},
		"an approval more": {changed(t, "scopes: [lunch]", "scopes: [lunch]\n    require: {approval: {by: leads}}"), map[replay.Change]int{
			replay.ScopeLost: count("lunch", false), replay.ObligationNew: count("lunch", false),
		}, "/agents/crm#at-noon", "lunch"},
	} {
		t.Run(rule, func(t *testing.T) {
			r := w.replay(c.candidate, replay.Options{Examples: 2})
			got := map[replay.Change]int{}
			for _, g := range r.Groups {
				got[g.Change] += g.Count
				require.Equal(t, "/agents/crm", g.Path)
				require.Equal(t, c.id, g.Rule, "%+v", g)
				require.Len(t, g.Examples, min(2, g.Count))
				require.False(t, g.Examples[0].ID.IsZero())
				require.True(t, strings.HasSuffix(g.Scope, c.scope) || g.Change == replay.Denied)
			}
			for what, n := range c.want {
				require.Positive(t, n, what)
			}
			require.Equal(t, c.want, got)
		})
	}
}

func has(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// TestEveryKindOfChangeIsSeen: each in a history of its own, and with what it is reported as.
func TestEveryKindOfChangeIsSeen(t *testing.T) {
	deferrable := func(w *world) {
		req := w.login("alice", "cases:read", "refunds")
		req.Deferrable = true
		require.Equal(t, tb.CodeAuthorizationPending, w.decide(req).Code)
	}
	asks := func(scopes ...string) func(*world) { return func(w *world) { w.decide(w.login("alice", scopes...)) } }
	free := func(t *testing.T) tb.Policy { return changed(t, "    require: {approval: {by: leads}}\n", "") }
	denies := func(t *testing.T) tb.Policy {
		return changed(t, "when: env.frozen == true", `when: env.frozen == true || subject.id == "alice"`)
	}
	for name, c := range map[string]struct {
		what      func(*world)
		candidate func(*testing.T) tb.Policy
		baseline  bool
		want      []replay.Group
	}{
		"denied by a deny rule": {asks("cases:read"), denies, false, []replay.Group{{Change: replay.Denied, Rule: "/agents/crm#frozen"}}},
		"denied, for no rule is left": {asks("lunch"), func(t *testing.T) tb.Policy { return without(t, "at-noon") }, false,
			[]replay.Group{{Change: replay.Denied, Rule: "/agents/crm#at-noon"}}},
		"allowed": {asks("cases:export"), func(t *testing.T) tb.Policy { return changed(t, `session.acr == "aal3"`, `"true"`) }, false,
			[]replay.Group{{Change: replay.Allowed, Rule: "/agents/crm#strong"}}},
		"allowed at once":     {deferrable, free, false, []replay.Group{{Change: replay.Allowed}}},
		"denied, what waited": {deferrable, denies, false, []replay.Group{{Change: replay.Denied, Rule: "/agents/crm#frozen"}}},
		"deferred": {func(w *world) {
			req := w.login("alice", "lunch")
			req.Deferrable = true
			w.decide(req)
		}, func(t *testing.T) tb.Policy {
			return changed(t, "scopes: [lunch]", "scopes: [lunch]\n    require: {approval: {by: leads}}")
		}, false, []replay.Group{{Change: replay.Deferred}}},
		"gained, and an obligation less": {asks("cases:read", "refunds"), free, false, []replay.Group{
			{Change: replay.ScopeGained, Rule: "/agents/crm#refunds", Scope: "refunds"},
			{Change: replay.ObligationGone, Rule: "/agents/crm#refunds", Scope: "approval refunds"},
		}},
		"a longer lifetime, which a record does not tell": {asks("cases:write"),
			func(t *testing.T) tb.Policy { return changed(t, "lifetime: 2m", "lifetime: 3m") }, false, nil},
		"a longer lifetime, beside a baseline": {asks("cases:write"),
			func(t *testing.T) tb.Policy { return changed(t, "lifetime: 2m", "lifetime: 3m") }, true,
			[]replay.Group{{Change: replay.LifetimeLonger}}},
		"a policy that fails": {asks("cases:write"), func(*testing.T) tb.Policy {
			return tb.PolicyFunc(func(context.Context, tb.Facts) (tb.Verdict, error) { return tb.Verdict{}, errors.New("boom") })
		}, false, []replay.Group{{Change: replay.Undecided}}},
	} {
		t.Run(name, func(t *testing.T) {
			p := original(t)
			w := newWorld(t, p, nil)
			c.what(w)
			var o replay.Options
			if c.baseline {
				o.Baseline = p
			}
			r := w.replay(c.candidate(t), o)
			var got []replay.Group
			for _, g := range r.Groups {
				require.Equal(t, "/agents/crm", g.Path)
				require.Len(t, g.Examples, 1)
				require.Equal(t, "bot", g.Examples[0].Client)
				require.Equal(t, w.clock.Now(), g.Examples[0].At)
				got = append(got, replay.Group{Change: g.Change, Rule: g.Rule, Scope: g.Scope})
				require.Equal(t, 1, g.Count)
			}
			require.Equal(t, c.want, got)
			require.Equal(t, 1, r.Examined)
			require.Equal(t, min(len(c.want), 1), r.Changed)
		})
	}
}

// TestADelegateThatIsLeftOutIsDenied: whether a client may derive is a matter of the rules in force, and is asked again.
func TestADelegateThatIsLeftOutIsDenied(t *testing.T) {
	p := original(t)
	w := newWorld(t, p, nil)
	w.work(8)
	r := w.replay(changed(t, "    delegates: [helper]\n", ""), replay.Options{})
	require.Len(t, r.Groups, 1)
	g := r.Groups[0]
	require.Equal(t, replay.Denied, g.Change)
	require.Equal(t, 4, g.Count)
	require.Equal(t, "helper", g.Examples[0].Client)
	require.Equal(t, "allow", g.Examples[0].Was)
	require.Equal(t, "invalid_request", g.Examples[0].Is)
}

// TestTheReportFollowsFromTheDecisions: how many processors there are makes no difference.
func TestTheReportFollowsFromTheDecisions(t *testing.T) {
	w := newWorld(t, original(t), nil)
	w.work(600)
	candidate := without(t, "reads")
	var reports []replay.Report
	for _, n := range []int{1, 4, 4} {
		was := runtime.GOMAXPROCS(n)
		reports = append(reports, w.replay(candidate, replay.Options{}))
		runtime.GOMAXPROCS(was)
	}
	require.NotEmpty(t, reports[0].Groups)
	require.Equal(t, reports[0], reports[1])
	require.Equal(t, reports[1], reports[2])
	g := reports[0].Groups[0]
	require.Len(t, g.Examples, 3)
	require.True(t, g.Examples[0].At.Before(g.Examples[1].At), "the first of them")
}

// TestAnErrorEndsIt: of the decisions, and of the context.
func TestAnErrorEndsIt(t *testing.T) {
	p := original(t)
	w := newWorld(t, p, nil)
	w.work(400)
	boom := errors.New("boom")
	broken := func(yield func(tb.Past, error) bool) {
		n := 0
		for d := range w.recall().All(t.Context(), tb.RecallFilter{}) {
			if n++; n > 300 || !yield(d, nil) {
				yield(tb.Past{}, boom)
				return
			}
		}
	}
	r, err := replay.Run(t.Context(), iter.Seq2[tb.Past, error](broken), p, replay.Options{})
	require.ErrorIs(t, err, boom)
	require.Less(t, r.Examined, 301)
	ctx, cancel := context.WithCancel(t.Context())
	var asked atomic.Int64
	_, err = replay.Run(ctx, w.recall().All(t.Context(), tb.RecallFilter{}), tb.PolicyFunc(func(ctx context.Context, f tb.Facts) (tb.Verdict, error) {
		if asked.Add(1) == 1 {
			cancel()
		}
		return p.Evaluate(context.WithoutCancel(ctx), f)
	}), replay.Options{})
	require.ErrorIs(t, err, context.Canceled)
	_, err = replay.Run(t.Context(), w.recall().All(t.Context(), tb.RecallFilter{}), p, replay.Options{})
	require.NoError(t, err, "control")
}
