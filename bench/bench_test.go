// Package bench measures the boundary. Nothing here is timed in a test; see docs/performance.md for the commands.
package bench

import (
	"context"
	"iter"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/bench/suite"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/policy"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/bolt"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

const (
	issuer = "https://boundary.example"
	crm    = "https://crm.example.com/"
)

// leaf is a policy as it is written: it binds every agent, looks at session, task and risk, and lets reads be refreshed.
const leaf = `
bind: {client: "*", connection: prod, resource: https://crm.example.com/}
allow:
  - rule: itself
    when: grant == "client_credentials" && client.kind == "agent"
    scopes: [read]
    lifetime: 5m
  - rule: triage
    when: >-
      grant in ["token_exchange", "refresh_token"] && session.kind == "human" && task.purpose == "triage" &&
      risk.level in ["low", "medium"]
    scopes: [cases:read, contacts:read]
    lifetime: 8h
    refresh: true
  - rule: refunds
    when: session.kind == "human" && risk.level in ["low", "medium"]
    scopes: [refunds:write]
    lifetime: 1m
    require: {approval: {by: leads}}
limits: {lifetime: 8h, depth: 3, derivations: 1000000, recheck: 5m}
controls: [owasp-asi:ASI03]
`

const guardrail = `
deny:
  - {rule: frozen-tenant, when: has(env.tenant_frozen) && env.tenant_frozen == true}
`

var ops = tb.Client{ID: "ops", Kind: tb.KindOperator, Person: "olivia", Groups: []string{"leads"}}

// agents registers every name as an agent.
type agents struct{}

func (agents) Client(_ context.Context, id string) (tb.Client, error) {
	if len(id) < 5 || id[:5] != "agent" {
		return tb.Client{}, tb.ErrNotFound
	}
	return tb.Client{
		ID: id, Kind: tb.KindAgent, Grants: []tb.Grant{tb.ClientCredentials, tb.Exchange, tb.Refresh}, Connections: []string{"prod"},
	}, nil
}

// boundary is a Governor as it runs in production, with the policy engine and ES256, over a store that counts.
type boundary struct {
	*tb.Governor
	store *counting
}

func newBoundary(b *testing.B, s store.Store) boundary {
	set, err := policy.Load(fstest.MapFS{
		"boundary.yaml":   {Data: []byte(guardrail)},
		"agents/crm.yaml": {Data: []byte(leaf)},
	})
	if err != nil {
		b.Fatal(err)
	}
	minter, err := mint.Open(b.Context(), mint.Config{Issuer: issuer, Store: s, Dir: b.TempDir(), Overlap: 24 * time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	counted := &counting{Store: s}
	g, err := tb.New(tb.Config{
		Issuer: issuer, Store: counted, Clients: agents{}, Policy: set, Minter: minter, Deferrals: 1000,
		Lifetimes: tb.Lifetimes{AccessToken: 8 * time.Hour, Task: 8 * time.Hour},
	})
	if err != nil {
		b.Fatal(err)
	}
	return boundary{g, counted}
}

// counting counts what a store is asked.
type counting struct {
	store.Store
	commits, txs, scanned atomic.Int64
}

// Linger passes on how long the store below would have others waited for.
func (c *counting) Linger() time.Duration {
	if l, ok := c.Store.(store.Lingerer); ok {
		return l.Linger()
	}
	return 0
}

func (c *counting) Commit(ctx context.Context, txs []store.Tx) []error {
	c.commits.Add(1)
	c.txs.Add(int64(len(txs)))
	return c.Store.Commit(ctx, txs)
}

func (c *counting) Scan(ctx context.Context, iss string, sel lineage.Selector, from store.Position) iter.Seq2[lineage.Record, error] {
	return func(yield func(lineage.Record, error) bool) {
		for r, err := range c.Store.Scan(ctx, iss, sel, from) {
			c.scanned.Add(1)
			if !yield(r, err) {
				return
			}
		}
	}
}

// stores are the stores to measure with, by name.
var stores = []struct {
	name string
	open func(b *testing.B) store.Store
}{
	{"memory", func(*testing.B) store.Store { return memory.New() }},
	{"bolt", func(b *testing.B) store.Store {
		s, err := bolt.Open(filepath.Join(b.TempDir(), "bench.db"))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { s.Close() })
		return s
	}},
}

// as is the credential of a client that the host has verified.
func as(client string) tb.Credential {
	return tb.Credential{Verified: &tb.Principal{Party: lineage.Party{ID: client}, Identity: true}}
}

// human is an ID token of a person who has just logged in.
func human(name string) tb.Credential {
	now := time.Now()
	return tb.Credential{Type: tb.TypeIDToken, Verified: &tb.Principal{
		Party:   lineage.Party{ID: name, Issuer: "https://idp.example", Kind: "human"},
		Session: lineage.Session{Kind: "human", ID: "session-" + name, AuthTime: now, ACR: "aal2", AMR: []string{"pwd", "otp"}},
		Issued:  now, Expires: now.Add(10 * time.Minute), Identity: true,
	}}
}

func accessToken(t tb.Token) tb.Credential {
	return tb.Credential{Type: tb.TypeAccessToken, Value: t.Value()}
}

// triage asks for reads within a task of triage, or for what is made from subject.
func triage(client string, subject tb.Credential) tb.Request {
	req := tb.Request{
		Grant: tb.Exchange, Client: as(client), Subject: subject, Resource: []string{crm}, Scopes: []string{"cases:read", "contacts:read"},
	}
	if subject.Type == tb.TypeIDToken {
		req.Task = &tb.TaskSpec{Purpose: "triage"}
	}
	return req
}

func (g boundary) issue(b *testing.B, req tb.Request) tb.Token {
	t, err := g.Issue(b.Context(), req)
	if err != nil {
		b.Fatal(err)
	}
	return t
}

// signal sets the risk of a client.
func (g boundary) signal(b *testing.B, client, risk string) tb.Outcome {
	out, err := g.Signal(b.Context(), ops, tb.Signal{
		Selector: lineage.Selector{Kind: lineage.SelectClient, Value: client}, Risk: risk,
	})
	if err != nil || !out.Complete {
		b.Fatal(out, err)
	}
	return out
}

// measure runs the steps again and again, and counts only the last of them: its time, the processor time that it takes,
// its writes, and the records that it reads by an index.
func (g boundary) measure(b *testing.B, steps ...func()) (rounds int, used time.Duration) {
	first, last := steps[:len(steps)-1], steps[len(steps)-1]
	var sum usage
	b.ReportAllocs()
	for b.Loop() {
		if len(first) > 0 { // to stop the clock is slow
			b.StopTimer()
			for _, step := range first {
				step()
			}
			b.StartTimer()
		}
		before := g.usage()
		last()
		sum = sum.plus(g.usage().minus(before))
		rounds++
	}
	per := func(n int64, unit string) { b.ReportMetric(float64(n)/float64(rounds), unit) }
	per(sum.cpu, "cpu-ns/op")
	per(sum.commits, "commits/op")
	per(sum.txs, "txs/op")
	per(sum.scanned, "scanned/op")
	return rounds, time.Duration(sum.cpu)
}

// usage is what was used so far.
type usage struct{ cpu, commits, txs, scanned int64 }

func (g boundary) usage() usage {
	return usage{suite.CPUTime().Nanoseconds(), g.store.commits.Load(), g.store.txs.Load(), g.store.scanned.Load()}
}

func (u usage) plus(v usage) usage {
	return usage{u.cpu + v.cpu, u.commits + v.commits, u.txs + v.txs, u.scanned + v.scanned}
}

func (u usage) minus(v usage) usage { return u.plus(usage{-v.cpu, -v.commits, -v.txs, -v.scanned}) }
