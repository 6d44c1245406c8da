package tokenboundary_test

import (
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// verbChecks are about what the other verbs are given.
func verbChecks() []check {
	only := func(why string, names ...string) exempt { return exempt{why, but(everywhere, names...)} }
	invalid := func(why string) reply { return fails(tb.ErrInvalid, why) }
	later := func(x *try) { x.after = 1 << 62 }
	return []check{
		{"task_state", []cell{{on: taskMoves, wrong: func(x *try) { x.to = tb.TaskExpired },
			want: invalid("task state")}}, []exempt{only("it changes no task", taskMoves...)}},
		{"task_open", []cell{
			{on: on("suspend", "resume"), wrong: func(x *try) { x.turn(tb.TaskCompleted) },
				want: fails(tb.ErrConflict, "the task is completed")},
		}, []exempt{only("ending what has ended changes nothing", "suspend", "resume")}},
		{"task_held", []cell{
			{on: on("resume"), wrong: func(x *try) { x.turn(tb.TaskSuspended) }, want: fails(tb.ErrForbidden, "")},
		}, []exempt{only("only an operator's suspension holds", "resume")}},
		{"task_above", []cell{
			{on: on("resume"), given: (*try).inner, wrong: func(x *try) { x.turn(tb.TaskSuspended) },
				want: fails(tb.ErrConflict, "the task above it is not active")},
		}, []exempt{only("it brings nothing back to life", "resume")}},
		{"revocation_form", []cell{
			{on: on("revoke"), wrong: func(x *try) { x.cut.Selector.Kind = "colour" }, want: invalid("revocation")},
		}, []exempt{only("it takes no revocation", "revoke")}},
		{"revocation_action", []cell{
			{on: on("revoke"), wrong: func(x *try) {
				x.cut.Selector = lineage.Selector{Kind: lineage.SelectTask, Value: x.task.TaskID.String()}
				x.cut.Action = lineage.Suspend
			}, want: invalid("revocation")},
		}, []exempt{only("it takes no revocation", "revoke")}},
		{"reason_size", []cell{
			{on: on("revoke"), wrong: func(x *try) { x.cut.Reason = strings.Repeat("r", 513) }, want: invalid("revocation")},
		}, []exempt{only("it takes no reason", "revoke")}},
		{"signal_form", []cell{
			{on: signals, wrong: func(x *try) { x.signal.Env, x.signal.Reloaded = map[string]any{"x": 1}, true },
				want: invalid("signal: it must be about one thing")},
		}, []exempt{only("it takes no signal", signals...)}},
		{"signal_level", []cell{
			{on: on("signal"), wrong: func(x *try) { x.signal.Risk = "extreme" },
				want: invalid("signal: an unknown level of risk")},
		}, []exempt{only("it says nothing of a risk", "signal")}},
		{"signal_size", []cell{
			{on: on("signal_env"), wrong: func(x *try) { x.signal.Env = map[string]any{"x": strings.Repeat("x", 33<<10)} },
				want: invalid("signal: not plain data, or too much")},
		}, []exempt{only("it says nothing that is kept, or little", "signal_env")}},
		{"usage_form", []cell{
			{on: on("report"), wrong: func(x *try) { x.uses = slices.Repeat(x.uses, 1001) }, want: invalid("usage")},
		}, []exempt{only("it takes no report", "report")}},
		{"usage_count", []cell{
			{on: on("report"), wrong: func(x *try) { x.uses[0].Count = 1<<32 + 1 }, want: invalid("usage")},
		}, []exempt{only("it counts nothing", "report")}},
		{"usage_token", []cell{
			{on: on("report"), wrong: func(x *try) { x.uses[0].Token = x.task.TaskID }, want: shown("unknown")},
		}, []exempt{only("it takes no report", "report")}},
		{"usage_time", []cell{
			{on: on("report"), wrong: func(x *try) { x.uses[0].At = x.clock.Now().Add(6 * time.Second) }, want: shown("time")},
		}, []exempt{only("it takes no report", "report")}},
		{"usage_early", []cell{
			{on: on("report"), wrong: func(x *try) { x.uses[0].At = x.clock.Now().Add(-6 * time.Second) }, want: shown("time")},
		}, []exempt{only("it takes no report", "report")}},
		{"usage_life", []cell{
			{on: on("report"), given: func(x *try) { x.passes(5*time.Minute + 5*time.Second) },
				wrong: func(x *try) {
					x.passes(time.Second)
					x.uses[0].At = x.clock.Now()
				}, want: shown("time")},
		}, []exempt{only("it takes no report", "report")}},
		{"usage_scope", []cell{
			{on: on("report"), wrong: func(x *try) { x.uses[0].Scopes = []string{"root"} }, want: shown("scope")},
		}, []exempt{only("it takes no report", "report")}},
		{"selector_form", []cell{
			{on: on("closure"), wrong: func(x *try) { x.sel.Kind = "colour" }, want: invalid("selector")},
		}, []exempt{only("it takes no selector by itself: see revocation_form, signal_form", "closure")}},
		{"feed_position", []cell{
			{on: on("feed"), wrong: later, want: fails(tb.ErrGone, "")},
		}, []exempt{only("it takes no position", "feed")}},
		{"feed_confidential", []cell{
			{on: on("feed"), given: func(x *try) { x.cred = bySecret("ops") }, wrong: func(x *try) { x.cred = bySecret("crm") },
				want: shown("entry"), shows: "entry with its author"},
		}, []exempt{only("it is for the client itself, or for operators", "feed")}},
	}
}

// inner starts a task below the researcher's token, suspended, which is to be resumed.
func (x *try) inner() {
	_, err := x.SetTask(x.ctx, x.clients["orchestrator"], x.task.TaskID, tb.TaskActive)
	require.NoError(x, err)
	req := x.asking(tb.Exchange, bearer(x.derived))
	req.Task = &tb.TaskSpec{Purpose: "part of it"}
	x.id = x.issued(req).TaskID
	x.cred = bySecret("tool")
	_, err = x.SetTask(x.ctx, x.clients["tool"], x.id, tb.TaskSuspended)
	require.NoError(x, err)
}
