package replay_test

import (
	"fmt"
	"io/fs"
	"testing"
	"testing/fstest"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/policy"
	"github.com/tokenboundary/tokenboundary/policy/replay"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

const (
	issuer = "https://boundary.example"
	crm    = "https://crm.example.com/"
	mail   = "https://mail.example.com/"
)

// agentPolicy reads everything that a policy can look at and that changes: facts, attributes, risk, session, task, parent,
// groups and time.
const agentPolicy = `
bind: {client: [bot, helper], connection: prod, resource: ` + crm + `}
default_scopes: [cases:read]
allow:
  - rule: reads
    when: grant != "client_credentials" || client.attributes.trusted == true
    scopes: [cases:read]
    refresh: true
    delegates: [helper]
  - rule: writes
    when: risk.level in ["low", "unknown"] && session.kind == "human" && "support" in client.groups
    scopes: [cases:write]
    lifetime: 2m
    delegates: [helper]
  - rule: triage
    when: task.purpose == "triage" && task.context.case > 10.0
    scopes: [cases:close]
  - rule: strong
    when: session.acr == "aal3"
    scopes: [cases:export]
  - rule: derived
    when: parent.present && "cases:write" in parent.scopes && parent.depth > 0
    scopes: [cases:copy]
  - rule: at-noon
    when: now.getHours("UTC") == 12
    scopes: [lunch]
  - rule: refunds
    when: "true"
    scopes: [refunds]
    require: {approval: {by: leads}}
  - rule: sudo
    when: "true"
    scopes: [sudo]
    require: {step_up: {acr: aal3, max_age: 10m}}
deny:
  - rule: frozen
    when: env.frozen == true
limits: {lifetime: 5m, depth: 3, derivations: 100}
`

const mailPolicy = `
bind: {client: bot, connection: prod, resource: ` + mail + `}
allow:
  - {rule: sends, when: 'subject.attributes.mails == true', scopes: [send, "cases:read"]}
limits: {lifetime: 5m, depth: 3, derivations: 100}
`

const guardrail = `
deny:
  - rule: night
    when: has(env.night) && env.night == true && client.id == "helper"
limits: {lifetime: 10m, depth: 3, derivations: 100}
`

func files(agent, mailing, guard string) fs.FS {
	return fstest.MapFS{
		"boundary.yaml":    {Data: []byte(guard)},
		"agents/crm.yaml":  {Data: []byte(agent)},
		"agents/mail.yaml": {Data: []byte(mailing)},
	}
}

func set(t testing.TB, fsys fs.FS) *policy.Set {
	s, err := policy.Load(fsys)
	require.NoError(t, err)
	return s
}

// world is a boundary whose host mints.
type world struct {
	testing.TB
	clock  *clock.Mock
	store  store.Store
	policy tb.Policy
	*tb.Governor
	ops tb.Client
}

func newWorld(t testing.TB, p tb.Policy, s store.Store) *world {
	w := &world{TB: t, clock: clock.NewMock(), store: s, policy: p, ops: tb.Client{ID: "ops", Kind: tb.KindOperator}}
	if s == nil {
		w.store = memory.New()
	}
	w.clock.Set(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	clients := tb.ClientMap{"ops": w.ops}
	for id, groups := range map[string][]string{"bot": {"support", "agents"}, "helper": {"tools"}} {
		clients[id] = tb.Client{
			ID: id, Kind: tb.KindAgent, Connections: []string{"prod"}, Groups: groups,
			Grants: []tb.Grant{tb.ClientCredentials, tb.Exchange, tb.Refresh},
		}
	}
	g, err := tb.New(tb.Config{
		Issuer: issuer, Store: w.store, Policy: p, Clients: clients, Clock: w.clock, Env: map[string]any{"frozen": false},
		DenialRate: 100000,
	})
	require.NoError(t, err)
	w.Governor = g
	return w
}

func (w *world) as(client string) tb.Credential {
	return tb.Credential{Type: "host", ID: client, Verified: &tb.Principal{Party: lineage.Party{ID: client, Issuer: issuer}, Identity: true}}
}

func (w *world) human(name string) tb.Credential {
	at := w.clock.Now().Add(-time.Minute)
	return tb.Credential{Type: tb.TypeIDToken, Verified: &tb.Principal{
		Party:   lineage.Party{ID: name, Issuer: "https://idp.example", Kind: "human"},
		Session: lineage.Session{Kind: "human", ID: "s-" + name, AuthTime: at, ACR: "aal2"},
		Issued:  at, Expires: w.clock.Now().Add(10 * time.Minute), Identity: true,
	}}
}

func token(d tb.Decision) tb.Credential {
	return tb.Credential{Type: tb.TypeAccessToken, Verified: &tb.Principal{Party: d.Subject, Lineage: d.ID}}
}

// decide decides and, where it is allowed, records.
func (w *world) decide(req tb.Request) tb.Decision {
	w.Helper()
	req.Enforce = tb.CapScopes | tb.CapResources | tb.CapLifetime | tb.CapRecord
	d, err := w.Decide(w.Context(), req)
	require.NoError(w, err)
	if d.Effect == tb.Allow {
		require.NoError(w, w.Record(w.Context(), d, tb.HostToken{Handle: d.ID.String()}))
	}
	return d
}

func (w *world) signal(s tb.Signal) {
	w.Helper()
	_, err := w.Signal(w.Context(), w.ops, s)
	require.NoError(w, err)
}

func (w *world) recall() tb.Recall { return tb.Recall{Store: w.store, Issuer: issuer} }

func (w *world) replay(candidate tb.Policy, o replay.Options) replay.Report {
	w.Helper()
	r, err := replay.Run(w.Context(), w.recall().All(w.Context(), tb.RecallFilter{}), candidate, o)
	require.NoError(w, err)
	return r
}

// login asks for scopes for a person.
func (w *world) login(person string, scopes ...string) tb.Request {
	return tb.Request{Grant: tb.Exchange, Client: w.as("bot"), Subject: w.human(person), Resource: []string{crm}, Scopes: scopes}
}

// work lets many people work for a while: logins, derivations by the helper, and refusals.
func (w *world) work(n int) {
	for i := range n {
		person := fmt.Sprint("person-", i%97)
		switch i % 4 {
		case 0, 1:
			d := w.decide(w.login(person, "cases:read", "cases:write"))
			w.decide(tb.Request{Grant: tb.Exchange, Client: w.as("helper"), Subject: token(d), Resource: []string{crm}, Scopes: []string{"cases:read"}})
		case 2:
			w.decide(w.login(person, "cases:read", "refunds"))
		case 3:
			w.decide(w.login(person, fmt.Sprint("nothing-", i)))
		}
		w.clock.Add(time.Second)
	}
}
