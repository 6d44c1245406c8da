package tokenboundary_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// wary grants "write" only where the risk is known and not high.
func wary(f tb.Facts) tb.Verdict {
	v := grantAll(f)
	if contains(f.Scopes, "write") && f.Risk != "low" && f.Risk != "medium" {
		return tb.Verdict{Path: v.Path, Version: v.Version, Code: tb.CodeInvalidScope}
	}
	return v
}

func (w *world) signal(s tb.Signal) tb.Outcome {
	w.Helper()
	out, err := w.Signal(w.ctx, ops, s)
	require.NoError(w, err)
	require.True(w, out.Complete)
	return out
}

func selector(w *world, text string) lineage.Selector {
	w.Helper()
	s, err := lineage.ParseSelector(text)
	require.NoError(w, err)
	return s
}

func TestTheHighestLevelOfRiskCounts(t *testing.T) {
	w := newWorld(t)
	var seen string
	w.policy = func(f tb.Facts) tb.Verdict { seen = f.Risk; return grantAll(f) }
	one := w.granted(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	risk := func() string {
		w.clock.Add(time.Millisecond)
		w.granted(w.exchange("researcher", host(one), crm, "read"))
		return seen
	}
	require.Equal(t, "unknown", risk())
	w.risk("client:tool", "high") // of somebody else
	w.risk("subject:bob", "high")
	w.risk("session:s-bob", "high")
	w.risk("subject:orchestrator", "high") // who is no subject here
	require.Equal(t, "unknown", risk())
	for _, c := range []struct{ sel, level, want string }{
		{"subject:alice", "low", "low"},
		{"session:s-alice", "medium", "medium"},
		{"subject:alice", "unknown", "medium"},
		{"actor:orchestrator", "high", "high"}, // deep in the chain
		{"client:researcher", "low", "high"},
		{"actor:orchestrator", "unknown", "medium"},
		{"session:s-alice", "unknown", "low"},
		{"actor:researcher", "medium", "medium"},
		{"client:researcher", "unknown", "medium"},
		{"actor:researcher", "unknown", "unknown"},
	} {
		w.risk(c.sel, c.level)
		require.Equal(t, c.want, risk(), "%s is %s", c.sel, c.level)
		w.restart()
	}
}

// TestASignalRevokesExactlyWhatWouldNotBeIssuedNow: what carries the selector is decided anew, on the present facts; what
// is kept stays what it is, byte for byte, and nothing else is looked at.
func TestASignalRevokesExactlyWhatWouldNotBeIssuedNow(t *testing.T) {
	for name, c := range map[string]struct {
		sel  string
		kept int
	}{
		"session": {"session:s-alice", 2}, "subject": {"subject:alice", 2}, "actor": {"actor:orchestrator", 2},
		"client": {"client:orchestrator", 1}, // the derived token is another client's, whatever it comes from
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, minting)
			writing := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "write"))
			reading := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "read"))
			below := w.issued(w.exchange("researcher", bearer(reading), crm, "read"))
			other := w.issued(w.exchange("tool", w.human("bob"), crm, "write"))
			before := map[lineage.ID]lineage.Record{}
			for _, tok := range []tb.Token{writing, reading, below, other} {
				before[tok.ID] = w.record(tok.ID)
			}
			w.policy = wary
			require.Equal(t, tb.Outcome{Examined: c.kept + 1, Kept: c.kept, Revoked: 1, Complete: true}, w.risk(c.sel, "high"))

			for id, r := range before {
				require.True(t, r.Equal(w.record(id)))
				want := lineage.Active
				if id == writing.ID {
					want = lineage.Revoked
				}
				require.Equal(t, want, w.state(id))
			}
			for _, tok := range []tb.Token{writing, reading} {
				s, err := w.Introspect(w.ctx, w.client("crm"), tok.Value())
				require.NoError(t, err)
				require.Equal(t, tok.ID != writing.ID, s.Active)
			}
			entries := w.feed(ops)
			require.Len(t, entries, 1)
			require.Equal(t, lineage.Selector{Kind: "token", Value: writing.ID.String()}, entries[0].Selector)
			require.Equal(t, "ops", entries[0].By)
			require.Contains(t, entries[0].Reason, "the context of the "+name+" has changed: no rule allows")
			require.Empty(t, w.feed(w.client("crm"))[0].Reason)

			var found []lineage.Record
			for n, err := range w.Descendants(w.ctx, ops, writing.ID) {
				require.NoError(t, err)
				require.Equal(t, lineage.Denied, n.State)
				found = append(found, n.Record)
			}
			require.Len(t, found, 1, "the refusal stands in the token's lineage")
			require.Equal(t, []lineage.ID{writing.ID}, found[0].Parents)
			require.Equal(t, string(tb.CodeInvalidScope), found[0].Body.Code)
			require.Contains(t, found[0].Body.Reasons[len(found[0].Body.Reasons)-1].Why, entries[0].Reason)
			require.EqualValues(t, 1, found[0].Body.Facts[c.sel], "on the facts that it says")

			_, err := w.Issue(w.ctx, w.exchange("orchestrator", w.human("alice"), crm, "write"))
			w.denies(err, tb.CodeInvalidScope, "no rule allows")
			w.issued(w.exchange("orchestrator", w.human("alice"), crm, "read"))
		})
	}
}

// wariness is wary, with refresh.
func wariness(f tb.Facts) tb.Verdict {
	v := wary(f)
	for i := range v.Reasons {
		v.Reasons[i].Refresh = true
	}
	return v
}

func TestASignalReachesTasks(t *testing.T) {
	w := newWorld(t, refreshing)
	req := w.exchange("orchestrator", w.human("alice"), crm, "read", "write")
	req.Task = &tb.TaskSpec{Purpose: "triage"}
	task := w.issued(req)
	derived := w.issued(w.exchange("researcher", bearer(task), crm, "read"))
	reading := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	w.policy = wariness
	out := w.risk("subject:alice", "high") // three tokens and a task
	require.Equal(t, 4, out.Examined)
	got, err := w.Task(w.ctx, ops, task.TaskID)
	require.NoError(t, err)
	require.Equal(t, tb.TaskRevoked, got.State)
	for _, tok := range []tb.Token{task, derived} {
		require.Equal(t, lineage.Revoked, w.state(tok.ID))
		w.unissued(w.again(tok.Client, tok.RefreshValue()), tb.CodeInvalidGrant, "the refresh family is revoked")
	}
	_, err = w.SetTask(w.ctx, ops, task.TaskID, tb.TaskActive)
	require.ErrorIs(t, err, tb.ErrConflict)
	require.Equal(t, lineage.Active, w.state(reading.ID))
	w.issued(w.again("orchestrator", reading.RefreshValue()))
	ended := false
	for _, r := range w.feed(ops) {
		ended = ended || r.Selector.Kind == "task" && strings.Contains(r.Reason, "the context of the subject has changed")
	}
	require.True(t, ended)
}

// TestASignalThatIsTakenBackCostsTheTokensAndNotTheGrant: a refresh family is decided at every refresh.
func TestASignalThatIsTakenBackCostsTheTokensAndNotTheGrant(t *testing.T) {
	w := newWorld(t, refreshing)
	w.policy = wariness
	w.risk("subject:alice", "low")
	tok := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "write"))
	require.Equal(t, tb.Outcome{Examined: 1, Revoked: 1, Complete: true}, w.risk("subject:alice", "high"))
	require.Equal(t, lineage.Revoked, w.state(tok.ID))
	w.unissued(w.again("orchestrator", tok.RefreshValue()), tb.CodeInvalidScope, "no rule allows")
	w.risk("subject:alice", "low")
	next := w.issued(w.again("orchestrator", tok.RefreshValue()))
	require.Equal(t, []string{"write"}, next.Scopes)
}

// TestWhatIsSuspendedIsDecidedAnewWhenItIsResumed: a signal passes it by, so that nothing is lost while the work rests, and
// nothing comes back that would not be issued then.
func TestWhatIsSuspendedIsDecidedAnewWhenItIsResumed(t *testing.T) {
	w := newWorld(t, refreshing)
	grant := w.policy
	req := w.exchange("orchestrator", w.human("alice"), crm, "read", "write")
	req.Task = &tb.TaskSpec{Purpose: "triage"}
	task := w.issued(req)
	derived := w.issued(w.exchange("researcher", bearer(task), crm, "read"))
	w.setTask(task.TaskID, tb.TaskSuspended)
	w.policy = wariness
	require.Equal(t, tb.Outcome{Complete: true}, w.risk("subject:alice", "high"))
	_, err := w.SetTask(w.ctx, ops, task.TaskID, tb.TaskActive)
	w.denies(err, tb.CodeInvalidScope, "no rule allows")
	require.Equal(t, lineage.Suspended, w.state(task.ID), "it would come back if it were allowed again")
	require.Equal(t, tb.Outcome{Complete: true}, w.risk("subject:alice", "low"))

	w.risk("actor:researcher", "high") // concerns what was derived alone
	w.policy = func(f tb.Facts) tb.Verdict {
		if f.Client.ID == "researcher" && f.Risk == "high" {
			return tb.Verdict{}
		}
		return grant(f)
	}
	w.setTask(task.TaskID, tb.TaskActive)
	require.Equal(t, lineage.Active, w.state(task.ID))
	require.Equal(t, lineage.Revoked, w.state(derived.ID))
	w.issued(w.exchange("tool", bearer(task), crm, "read"))
}

func TestAttributesReachTheFactsOfWhomTheyAreAbout(t *testing.T) {
	w := newWorld(t)
	var seen tb.Attributes
	w.policy = func(f tb.Facts) tb.Verdict { seen = f.Attributes; return grantAll(f) }
	one := w.granted(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	attribute := func(sel string, set map[string]any) {
		w.signal(tb.Signal{Selector: selector(w, sel), Attributes: set})
	}
	attribute("subject:alice", map[string]any{"team": "support", "level": 3})
	attribute("actor:researcher", map[string]any{"model": "v2"})
	attribute("client:researcher", map[string]any{"patched": true})
	attribute("session:s-alice", map[string]any{"device": map[string]any{"managed": false}})
	attribute("actor:orchestrator", map[string]any{"model": "v1"}) // does not act now
	attribute("subject:bob", map[string]any{"team": "sales"})
	w.granted(w.exchange("researcher", host(one), crm, "read"))
	require.Equal(t, tb.Attributes{
		Subject: map[string]any{"team": "support", "level": 3.0}, Actor: map[string]any{"model": "v2"},
		Client: map[string]any{"patched": true}, Session: map[string]any{"device": map[string]any{"managed": false}},
	}, seen)

	w.risk("subject:alice", "low") // leaves the rest
	attribute("subject:alice", map[string]any{"level": nil, "city": "Ulm"})
	w.granted(w.exchange("orchestrator", host(one), crm, "read"))
	require.Equal(t, map[string]any{"team": "support", "city": "Ulm"}, seen.Subject)
	require.Equal(t, map[string]any{"model": "v1"}, seen.Actor)
	require.Nil(t, seen.Client)
	w.granted(w.exchange("tool", w.human("carol"), crm, "read"))
	require.Equal(t, tb.Attributes{}, seen)
	plain, err := json.Marshal(tb.Facts{})
	require.NoError(t, err)
	require.NotContains(t, string(plain), "attributes")
}

func TestEnvIsChangedByName(t *testing.T) {
	w := newWorld(t, minting, func(w *world) { w.cfg.Env = map[string]any{"frozen": false, "region": "eu"} })
	var seen map[string]any
	w.policy = func(f tb.Facts) tb.Verdict {
		seen = f.Env
		if f.Env["frozen"] != false {
			return tb.Verdict{Path: "/x"}
		}
		return grantAll(f)
	}
	// In a store that nothing was decided in yet, a signal joins the first values.
	require.Equal(t, tb.Outcome{Complete: true}, w.signal(tb.Signal{Env: map[string]any{"mode": "night"}}))
	one, two := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "read")), w.issued(w.exchange("tool", w.human("bob"), mail, "read"))
	require.Equal(t, map[string]any{"frozen": false, "region": "eu", "mode": "night"}, seen)
	require.Equal(t, tb.Outcome{Examined: 2, Kept: 2, Complete: true}, w.signal(tb.Signal{Env: map[string]any{"region": nil, "x": []any{1.5}}}))
	require.Equal(t, map[string]any{"frozen": false, "mode": "night", "x": []any{1.5}}, seen)
	require.Equal(t, tb.Outcome{Examined: 2, Revoked: 2, Complete: true}, w.signal(tb.Signal{Env: map[string]any{"frozen": true}}))
	require.Equal(t, lineage.Revoked, w.state(one.ID))
	require.Equal(t, lineage.Revoked, w.state(two.ID))
	w.signal(tb.Signal{Env: map[string]any{"frozen": nil}})
	_, err := w.Issue(w.ctx, w.exchange("orchestrator", w.human("alice"), crm, "read"))
	w.denies(err, tb.CodeInvalidTarget, "the policy denies the target") // an unknown fact does not permit
	w.restart()
	w.signal(tb.Signal{Env: map[string]any{"frozen": false}})
	w.issued(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	require.NotContains(t, seen, "region", "a restart does not bring the configured value back")
}
