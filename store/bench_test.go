//go:build unix

package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/bolt"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

// cpuTime returns the processor time that the process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// perOp reports the processor time of each of b.N rounds of f.
func perOp(b *testing.B, f func()) {
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime()
	f()
	b.StopTimer()
	b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

func eachStore(b *testing.B, f func(b *testing.B, open func(b *testing.B) store.Store)) {
	b.Run("memory", func(b *testing.B) { f(b, func(*testing.B) store.Store { return memory.New() }) })
	b.Run("bolt", func(b *testing.B) {
		f(b, func(b *testing.B) store.Store {
			s, err := bolt.Open(filepath.Join(b.TempDir(), "store"))
			require.NoError(b, err)
			b.Cleanup(func() { s.Close() })
			return s
		})
	})
}

// session is what one person has let agents begin: a task, and the token that stands for it.
type session struct{ task, token lineage.Record }

func key(kind, value string) lineage.Selector { return lineage.Selector{Kind: kind, Value: value} }

// sealed returns a record as production makes them, of the person numbered n and below the ancestors.
func sealed(b testing.TB, kind lineage.Kind, n int, at time.Time, above ...lineage.Record) lineage.Record {
	b.Helper()
	who, crm := fmt.Sprint("user-", n), "https://crm.example.com/"
	env := lineage.Envelope{Kind: kind, Issuer: issuer, IssuedAt: at, Since: at, ExpiresAt: noon.Add(8 * time.Hour), Policy: "v1"}
	granted := lineage.Authority{Access: []lineage.Access{{Resource: crm, Scopes: []string{"cases:read", "contacts:read"}}}, NotAfter: env.ExpiresAt}
	body := lineage.Body{
		Client: "crm-tool", ClientKind: "workload", Subject: lineage.Party{ID: who, Issuer: "https://idp.example", Kind: "human"},
		Actors:  []lineage.Party{{ID: "crm-tool", Issuer: issuer, Kind: "workload"}, {ID: "support-bot", Issuer: issuer, Kind: "agent"}},
		Session: lineage.Session{Kind: "human", ID: who + "-session", AuthTime: at, AMR: []string{"pwd", "otp"}}, GrantType: "token_exchange",
		Connection: "salesforce-prod", Paths: []string{"/agents/support-bot"}, Granted: granted,
		Requested: lineage.Requested{Resources: []string{crm}, Scopes: []string{"cases:read", "contacts:read", "refunds:write"}},
		Audience:  []string{crm}, Facts: map[string]uint64{"fact:env": 3}, Key: "k1",
		Reasons: []lineage.Reason{
			{Resource: crm, Scope: "cases:read", Granted: true, Rule: "/agents/support-bot#triage-reads", Delegates: []string{"crm-tool"}},
			{Resource: crm, Scope: "contacts:read", Granted: true, Rule: "/agents/support-bot#triage-reads"},
			{Resource: crm, Scope: "refunds:write", Why: "no rule grants it"},
		},
		Selectors: lineage.Union(lineage.PathSelectors("/agents/support-bot"), []lineage.Selector{
			key(lineage.SelectSubject, who), key(lineage.SelectSession, who+"-session"), key(lineage.SelectKey, "k1"),
			key(lineage.SelectActor, "crm-tool"), key(lineage.SelectActor, "support-bot"), key(lineage.SelectActor, "planner"),
			key(lineage.SelectClient, "crm-tool"), key(lineage.SelectClient, "support-bot"), key(lineage.SelectConnection, "salesforce-prod"),
		}),
	}
	for _, a := range above {
		env.Ancestors = append(env.Ancestors, a.ID())
		body.Selectors = lineage.Union(body.Selectors, a.Selectors())
		env.Grant, env.Parents = above[0].ID(), []lineage.ID{a.ID()}
		if a.Kind == lineage.KindTask {
			body.Task = &lineage.Task{ID: a.ID(), Purpose: "triage", Deadline: env.ExpiresAt}
		}
	}
	if kind == lineage.KindTask {
		body.Task = &lineage.Task{Purpose: "triage", Deadline: env.ExpiresAt, Budget: 1000, Authority: &granted}
	}
	r, err := lineage.Seal(env, body)
	require.NoError(b, err)
	return r
}

func facts(who int) []string {
	return []string{"fact:env", fmt.Sprint("session:user-", who, "-session"), fmt.Sprint("subject:user-", who), "actor:support-bot", "client:crm-tool"}
}

// begin commits the sessions of n persons.
func begin(b testing.TB, s store.Store, n int) []session {
	b.Helper()
	out := make([]session, n)
	for i := range out {
		task := sealed(b, lineage.KindTask, i, noon)
		out[i] = session{task, sealed(b, lineage.KindToken, i, noon, task)}
		tx := store.Tx{
			Issuer: issuer, Time: noon, Records: []lineage.Record{task, out[i].token},
			Swaps: []store.Swap{{Key: key(lineage.SelectTask, task.ID().String()).String(), State: "active"}},
		}
		require.NoError(b, s.Commit(b.Context(), []store.Tx{tx})[0])
	}
	return out
}

// exchange is the transaction of the i-th token that is derived from what a session holds.
func (s session) exchange(b testing.TB, who, i int) store.Tx {
	b.Helper()
	at := noon.Add(time.Duration(i) * 100 * time.Microsecond)
	r := sealed(b, lineage.KindToken, who, at, s.task, s.token)
	task := key(lineage.SelectTask, s.task.ID().String()).String()
	tx := store.Tx{
		Issuer: issuer, Time: at, Leeway: 5 * time.Second, Records: []lineage.Record{r},
		Swaps:    []store.Swap{{Key: fmt.Sprint("assertion:crm-tool:", i), State: "spent", Expires: at.Add(time.Minute)}},
		Adds:     []store.Add{{Key: "budget:" + s.task.ID().String(), N: 1, Max: 1 << 40}},
		Requires: []store.Require{{Key: task, State: "active", AnyVersion: true}},
		Unrevoked: []store.Unrevoked{
			{Selectors: []lineage.Selector{key(lineage.SelectClient, "crm-tool")}, Since: at},
			{Selectors: r.Selectors(), Since: r.Since}, {Selectors: s.token.Selectors(), Since: s.token.Since},
		},
	}
	for _, f := range facts(who) {
		tx.Requires = append(tx.Requires, store.Require{Key: f})
	}
	return tx
}

// BenchmarkCommit measures one exchange's transaction: a record with 23 selectors, one single-use id, a budget, six
// required heads.
func BenchmarkCommit(b *testing.B) {
	eachStore(b, func(b *testing.B, open func(b *testing.B) store.Store) {
		for _, callers := range []int{1, 4, 16, 64, 256} {
			b.Run(fmt.Sprint(callers), func(b *testing.B) {
				under := &counting{Store: open(b)}
				s := store.Coalesce(under)
				const persons = 256
				sessions := begin(b, s, persons)
				txs := make([]store.Tx, b.N)
				for i := range txs {
					txs[i] = sessions[i%persons].exchange(b, i%persons, i)
				}
				under.n.Store(0)
				perOp(b, func() { drain(b, s, callers, txs) })
				b.ReportMetric(float64(b.N)/float64(under.n.Load()), "txs/commit")
			})
		}
	})
}

// counting counts Commits.
type counting struct {
	store.Store
	n atomic.Int64
}

func (c *counting) Commit(ctx context.Context, txs []store.Tx) []error {
	c.n.Add(1)
	return c.Store.Commit(ctx, txs)
}

func (c *counting) Linger() time.Duration {
	if l, ok := c.Store.(store.Lingerer); ok {
		return l.Linger()
	}
	return 0
}

// drain commits txs, each by itself, from so many callers.
func drain(b *testing.B, s store.Store, callers int, txs []store.Tx) {
	var next atomic.Int64
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(txs)); i = next.Add(1) - 1 {
				if err := s.Commit(b.Context(), txs[i:i+1])[0]; err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// BenchmarkRead measures what an exchange reads before it decides.
func BenchmarkRead(b *testing.B) {
	eachStore(b, func(b *testing.B, open func(b *testing.B) store.Store) {
		s := store.Coalesce(open(b))
		const persons = 256
		sessions := begin(b, s, persons)
		b.Run("Get", func(b *testing.B) {
			perOp(b, func() {
				for i := range b.N {
					got, err := s.Get(b.Context(), issuer, []lineage.ID{sessions[i%persons].token.ID()})
					if err != nil || got[0].Record.ID().IsZero() {
						b.Fatal(got, err)
					}
				}
			})
		})
		b.Run("Revoked", func(b *testing.B) {
			sels := sessions[0].token.Selectors()
			perOp(b, func() {
				for range b.N {
					if _, err := s.Revoked(b.Context(), issuer, sels); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
		b.Run("Heads", func(b *testing.B) {
			keys := facts(0)
			perOp(b, func() {
				for range b.N {
					if _, err := s.Heads(b.Context(), issuer, keys); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	})
}

// BenchmarkAppendSync is what durability costs at least: to append 1 KiB to a file and sync it.
func BenchmarkAppendSync(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "log"))
	require.NoError(b, err)
	defer f.Close()
	block := make([]byte, 1024)
	perOp(b, func() {
		for range b.N {
			if _, err := f.Write(block); err != nil {
				b.Fatal(err)
			}
			if err := f.Sync(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
