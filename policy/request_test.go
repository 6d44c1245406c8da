package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/policy"
)

var monday = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// asked reads a request of support-bot at sf with more keys.
func asked(t *testing.T, more string) tokenboundary.Facts {
	t.Helper()
	f, err := policy.ParseRequest([]byte("client: support-bot\nconnection: sf\n" + more))
	require.NoError(t, err, more)
	return f
}

func TestParseRequestReadsEveryFact(t *testing.T) {
	f, err := policy.ParseRequest([]byte(`
client: {id: support-bot, kind: agent, groups: [eu, tier-1]}
connection: sf
grant: token_exchange
resource: [HTTPS://CRM.example.com/, https://billing.example.com/]
scopes: [cases:write, cases:read]
lifetime: 5m
subject: {id: alice, issuer: https://idp.example.com, kind: human}
chain: [support-bot, {id: planner, issuer: https://tb.example.com}]
task: {id: t1, purpose: triage, context: {ticket: T-1, count: 3, open: true, none: null}, deadline: 2026-03-02T13:30:00+01:00}
parent: {id: p1, client: planner, paths: [/crm], scopes: [cases:read], purpose: other, expires_in: 2m, depth: 3}
session: {kind: human, id: s1, auth_age: 2m, acr: aal2, amr: [pwd, otp]}
risk: low
env: {tenant_frozen: false, limit: 5, regions: [eu, us], since: 2026-03-01, gone: null}
attributes: {subject: {team: eu}, actor: {posture: ok}, client: {tier: 1.5}, session: {managed: true}}
details: [{type: payment, amount: 12}]
ceiling: [{resource: https://crm.example.com/, scopes: [cases:read, cases:read:all]}]
now: 2026-03-02T12:00:01Z
`))
	require.NoError(t, err)
	now := monday.Add(time.Second)
	require.Equal(t, tokenboundary.Facts{
		Grant:   tokenboundary.Exchange,
		Client:  tokenboundary.ClientFacts{ID: "support-bot", Kind: "agent", Groups: []string{"eu", "tier-1"}},
		Subject: lineage.Party{ID: "alice", Issuer: "https://idp.example.com", Kind: "human"},
		Actor:   lineage.Party{ID: "support-bot", Kind: "agent"},
		Chain: []lineage.Party{
			{ID: "support-bot", Kind: "agent"}, {ID: "planner", Issuer: "https://tb.example.com", Kind: "agent"},
		},
		Connection: "sf", Resources: []string{"https://billing.example.com/", "https://crm.example.com/"},
		Scopes: []string{"cases:read", "cases:write"}, Lifetime: 5 * time.Minute, Details: []byte(`[{"amount":12,"type":"payment"}]`),
		Ceiling: &lineage.Authority{Access: []lineage.Access{
			{Resource: "https://crm.example.com/", Scopes: []string{"cases:read", "cases:read:all"}},
		}},
		Task: &tokenboundary.TaskFacts{
			ID: "t1", Purpose: "triage", Context: []byte(`{"count":3,"none":null,"open":true,"ticket":"T-1"}`), Deadline: monday.Add(30 * time.Minute),
		},
		Parent: &tokenboundary.ParentFacts{
			ID: "p1", Client: "planner", Paths: []string{"/crm"}, Scopes: []string{"cases:read"}, Purpose: "other",
			Expires: now.Add(2 * time.Minute), Depth: 3,
		},
		Session: lineage.Session{Kind: "human", ID: "s1", AuthTime: now.Add(-2 * time.Minute), ACR: "aal2", AMR: []string{"pwd", "otp"}},
		Risk:    "low",
		Attributes: tokenboundary.Attributes{
			Subject: map[string]any{"team": "eu"}, Actor: map[string]any{"posture": "ok"},
			Client: map[string]any{"tier": 1.5}, Session: map[string]any{"managed": true},
		},
		Env: map[string]any{"tenant_frozen": false, "limit": 5.0, "regions": []any{"eu", "us"}, "since": "2026-03-01"},
		Now: now,
	}, f)
}

// TestParseRequestFillsInWhatAGovernorWouldFind holds for every default that it is one, and not what is always there.
func TestParseRequestFillsInWhatAGovernorWouldFind(t *testing.T) {
	bot := lineage.Party{ID: "support-bot", Kind: "agent"}
	f := asked(t, "grant: client_credentials")
	require.Equal(t, tokenboundary.Facts{
		Grant: tokenboundary.ClientCredentials, Client: tokenboundary.ClientFacts{ID: "support-bot", Kind: "agent"},
		Subject: bot, Actor: bot, Connection: "sf", Session: lineage.Session{Kind: "agent"}, Risk: "unknown", Now: monday,
	}, f, "a client that acts for itself")

	f, err := policy.ParseRequest([]byte("client: {id: ci, kind: workload}\nconnection: sf\ngrant: client_credentials"))
	require.NoError(t, err)
	require.Equal(t, "workload", f.Subject.Kind+f.Actor.Kind[8:])
	require.Equal(t, "workload", f.Session.Kind)

	f = asked(t, "grant: token_exchange\nsession: {kind: human}")
	require.Equal(t, lineage.Party{ID: "somebody", Kind: "human"}, f.Subject)
	require.Equal(t, []lineage.Party{bot}, f.Chain)
	require.Equal(t, bot, f.Actor)
	require.True(t, f.Session.AuthTime.IsZero(), "nobody said when")

	f = asked(t, "grant: refresh_token\nsubject: alice")
	require.Equal(t, lineage.Party{ID: "alice", Kind: "human"}, f.Subject)
	require.Equal(t, "human", f.Session.Kind)
	f = asked(t, "grant: token_exchange\nsubject: job\nsession: {kind: workload}")
	require.Equal(t, lineage.Party{ID: "job", Kind: "workload"}, f.Subject)
	f = asked(t, "grant: token_exchange\nsubject: support-bot")
	require.Equal(t, bot, f.Subject)
	require.Empty(t, f.Chain, "nobody acts for the client but itself")

	f = asked(t, "grant: token_exchange\nsubject: alice\nactor: {id: spiffe://td/bot, kind: workload}")
	require.Equal(t, []lineage.Party{{ID: "spiffe://td/bot", Kind: "workload"}}, f.Chain)
	require.Equal(t, f.Chain[0], f.Actor)
	f = asked(t, "grant: token_exchange\nsubject: alice\nactor: alice")
	require.Empty(t, f.Chain)
	require.Equal(t, f.Subject, f.Actor)
	f = asked(t, "grant: token_exchange\nsubject: alice\nchain: []")
	require.Empty(t, f.Chain)

	f = asked(t, "grant: token_exchange\nsubject: alice\ntask: {id: t1, purpose: triage}\nresource: https://crm.example.com/\nparent: {client: planner, scopes: [a, b]}")
	require.Equal(t, []lineage.Party{bot, {ID: "planner", Kind: "agent"}}, f.Chain, "after the parent's client")
	require.Equal(t, monday.Add(time.Hour), f.Task.Deadline)
	require.Equal(t, tokenboundary.ParentFacts{
		ID: "parent", Client: "planner", Scopes: []string{"a", "b"}, Purpose: "triage", Expires: monday.Add(5 * time.Minute), Depth: 1,
	}, *f.Parent)
	require.Equal(t, &lineage.Authority{Access: []lineage.Access{{Resource: "https://crm.example.com/", Scopes: []string{"a", "b"}}}}, f.Ceiling)

	f = asked(t, "grant: token_exchange\nparent: {}\nceiling: [{resource: 'https://x.example/', scopes: [b]}, {resource: 'https://y.example/', scopes: [b, a]}]")
	require.Equal(t, "support-bot", f.Parent.Client)
	require.Equal(t, []string{"a", "b"}, f.Parent.Scopes)
	require.Empty(t, f.Parent.Purpose)

	f = asked(t, "grant: client_credentials\nceiling: []")
	require.NotNil(t, f.Ceiling, "a ceiling of nothing is one")
	require.Nil(t, asked(t, "grant: client_credentials\nceiling: null").Ceiling)
}

func TestParseRequestTakesJSON(t *testing.T) {
	f, err := policy.ParseRequest([]byte(`{"client":"support-bot","connection":"sf","grant":"token_exchange","session":{"kind":"human"},
 "env":{"big":12345678901,"rate":1.5e3,"text":"true","nested":{"a":[1,null]}},"task":{"purpose":"a","context":{"n":null}},"risk":null}`))
	require.NoError(t, err)
	require.Equal(t, map[string]any{
		"big": 12345678901.0, "rate": 1500.0, "text": "true", "nested": map[string]any{"a": []any{1.0, nil}},
	}, f.Env)
	require.JSONEq(t, `{"n":null}`, string(f.Task.Context))
	require.Equal(t, "unknown", f.Risk)
}

func TestParseRequestRefuses(t *testing.T) {
	const head = "client: support-bot\nconnection: sf\ngrant: token_exchange\n" // three lines
	for text, want := range map[string]string{
		"":                                      "the document is empty",
		"- a":                                   "line 1: must be a mapping",
		"client: a\nconnection: b":              "line 1: grant is required",
		"client: a\ngrant: deferred":            "line 2: grant: must be one of client_credentials, token_exchange, refresh_token",
		"connection: sf\ngrant: token_exchange": "client is required",
		"client: {kind: agent}\nconnection: sf\ngrant: token_exchange": "client is required",
		"client: a\ngrant: token_exchange":                             "connection is required",

		head + "scope: a":                                  `line 4: scope: unknown key; known are actor, attributes, ceiling`,
		head + "task: {purpose: a, due: 1h}":               "line 4: task.due: unknown key; known are context, deadline, expires_in, id, purpose",
		head + "client: b":                                 `line 4: key "client" twice, first in line 1`,
		head + "env: &x {a: 1}\nattributes: {session: *x}": "anchors and aliases are not allowed",
		head + "env: !!map {a: 1}":                         "tags are not allowed",
		head + "scopes: ['a b']":                           "line 4: scopes: scope has a forbidden character",
		head + "scopes: [a, a]":                            "line 4: scopes[1]: stands twice",
		head + "resource: crm":                             "line 4: resource: not a usable resource indicator",
		head + "lifetime: -5m":                             "line 4: lifetime: must be a duration such as 90s or 5m",
		head + "lifetime: 300":                             "line 4: lifetime: must be a duration",
		head + "risk: none":                                "line 4: risk: must be one of unknown, low, medium, high",
		head + "session: {kind: person}":                   "line 4: session.kind: must be one of human, agent, workload",
		head + "session: {auth_age: 1m, auth_time: 2026-03-02T12:00:00Z}": "says a second time when that is",
		head + "now: noon":                                          "line 4: now: must be a time such as 2026-03-02T12:00:00Z",
		head + "now: 2026-03-02":                                    "line 4: now: must be a time",
		head + "task: {context: {}}":                                "line 4: task: purpose is required",
		head + "task: {purpose: a, context: [1]}":                   "line 4: task.context: must be a mapping",
		head + "task: {purpose: a, expires_in: 0}":                  "task.expires_in: must be a duration",
		head + "task: {purpose: a, deadline: 2026-03-02T12:00:00Z}": "task: has ended",
		head + "parent: {expires: 2026-03-02T11:00:00Z}":            "parent: has expired",
		head + "parent: {depth: 17}":                                "line 4: parent.depth: must be a whole number between 0 and 16",
		head + "parent: {scopes: [a]}":                              "resource is required beside parent.scopes",
		head + "subject: {kind: human}":                             "line 4: subject: id is required",
		head + "subject: support-bot\nsession: {kind: human}":       "session.kind: the session of a client that acts for itself is its own: agent",
		head + "actor: a\nchain: [a]":                               "actor: is the first of chain",
		head + "chain: {a: b}":                                      "line 4: chain: must be a list",
		head + "env: [1]":                                           "line 4: env: must be a mapping",
		head + "env: {on: yes, x: 0x10}":                            "line 4: env.x: is no number of JSON",
		head + "env: {x: .inf}":                                     "line 4: env.x: is no number of JSON",
		head + "env: {x: 1_000}":                                    "line 4: env.x: is no number of JSON",
		head + "details: {a: 1}":                                    "line 4: details: must be a list",
		head + "ceiling: [{resource: 'https://x.example/'}]":        "line 4: ceiling[0]: resource and scopes are required",
		head + "ceiling: [{resource: 'https://x.example/', scopes: [a]}, {resource: 'https://x.example/', scopes: [b]}]": "a second entry",
		head + "chain: [" + strings.Repeat("a, ", 16) + "a]":                                                             "line 4: chain: more than 16 entries",
		head + "env: {x: " + strings.Repeat("long ", 8000) + "}":                                                         "line 4: env: more than 32768 bytes",
		head + "env: " + strings.Repeat("{a: ", 40) + strings.Repeat("}", 40):                                            "nested too deeply",
		"client: a\nconnection: b\ngrant: client_credentials\nsubject: alice":                                            "line 1: with the grant client_credentials a client acts for itself",
		"client: a\nconnection: b\ngrant: client_credentials\nsession: {kind: workload}":                                 "session.kind: the session of a client that acts for itself is its own: agent, by client.kind",
		"client: a\nconnection: b\ngrant: client_credentials\nparent: {}":                                                "acts for itself",
	} {
		f, err := policy.ParseRequest([]byte(text))
		require.ErrorContains(t, err, want, text)
		require.ErrorContains(t, err, "policy: request: ", text)
		require.Zero(t, f, text)
	}
	asked(t, "grant: token_exchange") // the positive control
}
