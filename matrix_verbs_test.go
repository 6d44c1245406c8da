package tokenboundary_test

import (
	"github.com/stretchr/testify/require"
	"time"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// called is an entry point that takes an authenticated client: whoever calls is authenticated first.
func called(verb, name, client, shows string, prepare func(*try), use func(*try, tb.Client) (string, error)) entry {
	return entry{
		name: name, verbs: []string{verb}, shows: shows, client: client,
		prepare: func(x *try) {
			x.cred = bySecret(client)
			x.climb()
			prepare(x)
		},
		use: func(x *try) result {
			by, err := x.authenticated()
			var shown string
			if x.by != nil || err == nil {
				shown, err = use(x, by)
			}
			o := x.done(err, shown)
			return o
		},
	}
}

// verbEntries are the verbs that release no token: those that change something, and those that read.
func verbEntries() []entry {
	return []entry{
		called("Retire", "retire", "researcher", "dead", func(x *try) { x.raw = x.derived.Value() }, retiring((*try).derivedState)),
		called("Retire", "retire_refresh", "tool", "dead", func(x *try) {
			x.own = x.issued(x.proved(x.asking(tb.Exchange, bearer(x.derived))))
			x.raw = x.own.RefreshValue()
		}, retiring(func(x *try) string { return x.shows(x.own.Value()) })),
		called("Retire", "retire_task", "orchestrator", "dead", func(x *try) { x.raw = x.task.Value() }, retiring((*try).derivedState)),
		called("SetTask", "suspend", "orchestrator", "suspended", moving(tb.TaskSuspended), (*try).move),
		called("SetTask", "resume", "orchestrator", "active", func(x *try) {
			moving(tb.TaskActive)(x)
			_, err := x.SetTask(x.ctx, x.clients["orchestrator"], x.id, tb.TaskSuspended)
			require.NoError(x, err)
		}, (*try).move),
		called("SetTask", "complete", "orchestrator", "completed", moving(tb.TaskCompleted), (*try).move),
		called("Revoke", "revoke", "ops", "dead", func(x *try) {
			x.cut = lineage.Revocation{Selector: lineage.Selector{Kind: lineage.SelectToken, Value: x.derived.ID.String()}}
		}, (*try).revoke),
		called("RenewFeed", "renew_feed", "ops", "renewed", func(*try) {}, (*try).renew),
		called("Prune", "prune", "ops", "pruned", func(*try) {}, (*try).prunes),
		called("Erase", "erase", "ops", "erased", func(x *try) {
			x.sel = lineage.Selector{Kind: lineage.SelectSubject, Value: "alice"}
		}, (*try).erases),
		called("Approve", "approve", lead.ID, "agreed", func(x *try) { x.id = x.postponed().ID }, (*try).agree),
		signalled("signal", tb.Signal{Selector: lineage.Selector{Kind: lineage.SelectSubject, Value: "alice"}, Risk: "high"}),
		signalled("signal_env", tb.Signal{Env: map[string]any{"season": "winter"}}),
		signalled("signal_reload", tb.Signal{Reloaded: true}),
		signalled("signal_end", tb.Signal{Selector: lineage.Selector{Kind: lineage.SelectSession, Value: "s-alice"}, Ended: true}),
		called("ReportUsage", "report", "crm", "counted", func(x *try) {
			x.uses = []tb.Use{{Token: x.derived.ID, At: x.clock.Now(), Scopes: []string{"read"}}}
		}, (*try).report),

		called("Attach", "attach", "crm", "leased", func(x *try) { x.lease = x.leasing() }, (*try).attach),
		called("SetLease", "set_lease", "crm", "held", (*try).holds, (*try).setLease),
		called("Lease", "read_lease", "crm", "active", (*try).holds, (*try).readLease),
		called("Leases", "leases", "crm", "active", (*try).holds, (*try).listLeases),
		called("Keep", "keep", "crm", "kept", keeping, (*try).keep),
		called("Kept", "kept", "crm", "kept", func(x *try) { keeping(x); x.keeps() }, (*try).readKept),

		called("Introspect", "introspect", "crm", "active", func(x *try) { x.raw = x.derived.Value() }, (*try).introspect),
		called("Active", "active", "crm", "active", func(x *try) { x.id = x.derived.ID }, (*try).active),
		called("Task", "read_task", "orchestrator", "active", moving(""), (*try).readTask),
		called("Lineage", "lineage", "ops", "active", func(x *try) { x.id = x.derived.ID }, (*try).trace),
		called("Descendants", "descendants", "ops", "active", func(x *try) { x.id = x.task.TaskID }, (*try).descend),
		called("Closure", "closure", "ops", "counted", func(x *try) {
			x.sel = lineage.Selector{Kind: lineage.SelectToken, Value: x.derived.ID.String()}
			x.kills(x.sel.String())
		}, (*try).count),
		called("Revocations", "feed", "crm", "entry", func(x *try) { x.kills("token:" + x.derived.ID.String()) }, (*try).readFeed),
		called("Approvals", "approvals", lead.ID, "listed", func(x *try) { x.id = x.postponed().ID }, (*try).list),
	}
}

func retiring(state func(*try) string) func(*try, tb.Client) (string, error) {
	return func(x *try, by tb.Client) (string, error) {
		err := x.Retire(x.ctx, by, x.raw)
		if err != nil {
			return "", err
		}
		return state(x), nil
	}
}

func (x *try) derivedState() string { return x.shows(x.derived.Value()) }

func moving(to tb.TaskState) func(*try) {
	return func(x *try) { x.id, x.above, x.to = x.task.TaskID, x.task.TaskID, to }
}

func (x *try) move(by tb.Client) (string, error) {
	t, err := x.SetTask(x.ctx, by, x.id, x.to)
	return string(t.State), err
}

func (x *try) revoke(by tb.Client) (string, error) {
	_, err := x.Revoke(x.ctx, by, x.cut)
	return x.derivedState(), err
}

func (x *try) renew(by tb.Client) (string, error) { return "renewed", x.RenewFeed(x.ctx, by) }

func (x *try) prunes(by tb.Client) (string, error) {
	out, err := x.Prune(x.ctx, by, tb.Retention{Keep: time.Hour})
	return showing(out.Complete, "pruned"), err
}

func (x *try) erases(by tb.Client) (string, error) {
	out, err := x.Erase(x.ctx, by, x.sel)
	return showing(out.Complete, "erased"), err
}

func (x *try) agree(by tb.Client) (string, error) {
	_, err := x.Approve(x.ctx, by, x.id, true)
	return "agreed", err
}

func signalled(name string, s tb.Signal) entry {
	use := func(x *try, by tb.Client) (string, error) {
		_, err := x.Signal(x.ctx, by, x.signal)
		return "signalled", err
	}
	return called("Signal", name, "ops", "signalled", func(x *try) { x.signal = s }, use)
}

func (x *try) report(by tb.Client) (string, error) {
	r, err := x.ReportUsage(x.ctx, by, x.uses)
	switch {
	case len(r.Refused) > 0:
		return string(r.Refused[0].Why), err
	case r.Accepted > 0:
		return "counted", err
	}
	return "", err
}

func (x *try) introspect(by tb.Client) (string, error) {
	s, err := x.Introspect(x.ctx, by, x.raw)
	return showing(s.Active, "active"), err
}

func (x *try) active(by tb.Client) (string, error) {
	s, err := x.Active(x.ctx, by, x.id)
	return showing(s.Active, "active"), err
}

func (x *try) readTask(by tb.Client) (string, error) {
	t, err := x.Task(x.ctx, by, x.id)
	return string(t.State), err
}

// trace shows the state of the record that is asked for.
func (x *try) trace(by tb.Client) (string, error) {
	nodes, err := x.Lineage(x.ctx, by, x.id)
	if len(nodes) == 0 {
		return "", err
	}
	return string(nodes[len(nodes)-1].State), err
}

func (x *try) count(by tb.Client) (string, error) {
	c, err := x.Closure(x.ctx, by, x.sel, lineage.ID{})
	return showing(c.Tokens > 0, "counted"), err
}

func (x *try) list(by tb.Client) (string, error) {
	all, err := x.Approvals(x.ctx, by)
	return showing(len(all) > 0, "listed"), err
}

func showing(is bool, what string) string {
	if is {
		return what
	}
	return ""
}

// descend shows the state of the researcher's token among what came from the task.
func (x *try) descend(by tb.Client) (string, error) {
	for n, err := range x.Descendants(x.ctx, by, x.id) {
		if err != nil {
			return "", err
		}
		if n.Record.ID() == x.derived.ID {
			return string(n.State), nil
		}
	}
	return "", nil
}

func (x *try) readFeed(by tb.Client) (string, error) {
	out := ""
	for r, err := range x.Revocations(x.ctx, by, x.after) {
		if err != nil {
			return "", err
		}
		out = "entry"
		if r.By+r.Reason != "" {
			out = "entry with its author"
		}
	}
	return out, nil
}
