package tokenboundary_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// try is one use of an entry point, in a world of its own: what it stands on is there, and it has not been used.
//
// Above it stands a chain: alice logs in and the orchestrator starts a task for her; from the task token the researcher
// derives a token, and from that one the tool asks for its own. So there is a parent, an ancestor and a task to be dead.
type try struct {
	*world
	*wire
	home   *tb.Governor // which says whether a token lives
	entry  entry
	serial int

	budget uint64 // of the task
	depth  int    // that policy lets a chain have
	proof  string // the key that the researcher's token is bound to

	task, derived tb.Token   // the orchestrator's and the researcher's
	own           tb.Token   // the tool's, with a refresh token
	above         lineage.ID // the record that the entry point is about, or that what it releases is made from
	accompanying  tb.Token   // the tool's, as an actor
	asked         tb.Decision
	pending       tb.Decision

	cred   tb.Credential // whoever calls a verb
	by     *tb.Client    // in place of cred: what an embedder passes
	req    tb.Request
	raw    string
	id     lineage.ID
	sel    lineage.Selector
	cut    lineage.Revocation
	signal tb.Signal
	uses   []tb.Use
	to     tb.TaskState
	handle string

	lease       tb.LeaseRequest
	leaseTo     tb.LeaseState
	keepFor     string
	value       tb.Kept
	leaseHandle []byte
	after       uint64
	log         bytes.Buffer
}

func newTry(t *testing.T, f *wire, e entry, c cell) *try {
	x := &try{wire: f, entry: e, budget: 100, depth: 3, handle: "h"}
	x.world = newWorld(t, func(w *world) {
		f.minting(w)
		x.clientsOf(w)
		w.cfg.Identities = f.sources(w)
		w.cfg.Details = map[string]tb.DetailType{"payment": payment{}}
		w.policy = x.rules
		w.cfg.Logger = slog.New(slog.NewTextHandler(&x.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	x.home = x.Governor
	if c.before != nil {
		c.before(x)
	}
	e.prepare(x)
	if c.given != nil {
		c.given(x)
	}
	return x
}

func (x *try) clientsOf(w *world) {
	tool := w.clients["tool"]
	tool.Grants = append(slices.Clone(tool.Grants), tb.Refresh)
	tool.Connections = []string{"prod", "side"}
	w.clients["tool"] = tool
	legacy := w.clients["crm"]
	legacy.Connections = []string{"prod"}
	w.clients["crm"] = legacy
	w.clients["mail"] = tb.Client{ID: "mail", Kind: tb.KindResource, Resource: mail}
	w.clients[lead.ID] = lead
}

// rules grants what is asked for, but "root", unless the client is frozen; "pay" only if the leads agree.
func (x *try) rules(f tb.Facts) tb.Verdict {
	v := grantAll(f)
	if f.Env["frozen"] == f.Client.ID {
		return tb.Verdict{Path: v.Path, Version: v.Version}
	}
	v.Depth = x.depth
	for i := range v.Access {
		v.Access[i].Scopes = slices.DeleteFunc(v.Access[i].Scopes, func(s string) bool { return s == "root" })
	}
	v.Access = slices.DeleteFunc(v.Access, func(a lineage.Access) bool { return len(a.Scopes) == 0 })
	v.Reasons = slices.DeleteFunc(v.Reasons, func(r lineage.Reason) bool { return r.Scope == "root" })
	for i := range v.Reasons {
		v.Reasons[i].Refresh = true
	}
	if len(f.Details) > 0 {
		require.NoError(x, json.Unmarshal(f.Details, &v.Details))
	}
	if f.Client.ID == "tool" {
		v.Obligations = []lineage.Obligation{approvalBy("leads", "pay")}
	}
	return v
}

// answers changes what the policy answers a client from now on.
func (x *try) answers(client string, change func(tb.Facts, *tb.Verdict)) {
	was := x.policy
	x.policy = func(f tb.Facts) tb.Verdict {
		v := was(f)
		if f.Client.ID == client {
			change(f, &v)
		}
		return v
	}
}

// rebuild replaces the boundary by one on the same store, with another configuration.
func (x *try) rebuild(change func(*tb.Config)) {
	cfg := x.cfg
	cfg.Store, cfg.Policy = x.store, tb.PolicyFunc(func(_ context.Context, f tb.Facts) (tb.Verdict, error) { return x.policy(f), nil })
	change(&cfg)
	g, err := tb.New(cfg)
	require.NoError(x, err)
	x.Governor = g
}

func (x *try) registered(id string, change func(*tb.Client)) {
	c := x.clients[id]
	change(&c)
	x.clients[id] = c
}

// caller is the credential of whoever uses the entry point.
func (x *try) caller() *tb.Credential {
	if x.req.Grant != "" {
		return &x.req.Client
	}
	return &x.cred
}

// who is the client that uses the entry point.
func (x *try) who() string { return x.entry.client }

// authenticated is whoever calls a verb.
func (x *try) authenticated() (tb.Client, error) {
	if x.by != nil {
		return *x.by, nil
	}
	return x.Authenticate(x.ctx, x.cred)
}

// kills cuts everything that carries the selector.
func (x *try) kills(sel string) {
	x.revokes(sel, lineage.Cut)
}

func (x *try) revokes(sel string, action lineage.Action) {
	s, err := lineage.ParseSelector(sel)
	require.NoError(x, err)
	_, err = x.Revoke(x.ctx, ops, lineage.Revocation{Selector: s, Action: action})
	require.NoError(x, err)
}

// auditor is an operator that no check is about.
var auditor = tb.Client{ID: "auditor", Kind: tb.KindOperator}

// shows is what introspection says of a token.
func (x *try) shows(raw string) string {
	s, err := x.home.Introspect(x.ctx, auditor, raw)
	require.NoError(x, err)
	if s.Active {
		return "active"
	}
	return "dead"
}

// use uses the entry point. What panics was not refused.
func (x *try) use() (out result) {
	defer func() {
		if r := recover(); r != nil {
			out = result{err: fmt.Errorf("panic: %v", r)}
		}
	}()
	return x.entry.use(x)
}

// spends uses a client's single-use credential up.
func (x *try) spends(c tb.Credential) {
	by, err := x.Authenticate(x.ctx, c)
	require.NoError(x, err)
	if err := x.Retire(x.ctx, by, "no token of ours"); by.Kind != tb.KindResource {
		require.NoError(x, err)
	} else {
		require.ErrorIs(x, err, tb.ErrForbidden) // it is told no, which is an answer too
	}
}

// record is a record of the boundary of this try.
func (x *try) record(id lineage.ID) lineage.Record {
	found, err := x.store.Get(x.ctx, x.cfg.Issuer, []lineage.ID{id})
	require.NoError(x, err)
	require.Equal(x, id, found[0].Record.ID())
	return found[0].Record
}
