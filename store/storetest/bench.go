package storetest

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// Measured says what Bench measures. The zero value is the least there is to know.
type Measured struct {
	// Recorded are numbers of records among which one is looked for; none: 10,000.
	Recorded []int
	// Size returns how many bytes a store takes up on its disk. Nil: it has none.
	Size func(b *testing.B, s store.Store) int64
}

// Bench measures a store as a boundary uses it: the commits of derived tokens from one caller and from 64, through
// store.Coalesce, with the times within which half of them and 99 of 100 were answered; and, with 10,000 tokens in use among many
// records, a check (one Get of a token) and a trace (a Get of the token, one of all that it came from, and the verification of the
// chain). What a record takes up is its bytes on the disk, and those on the heap that are there once it was recorded.
func Bench(b *testing.B, newStore func(b *testing.B) store.Store, m Measured) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprint("Commit/callers=", callers), func(b *testing.B) { benchCommit(b, store.Coalesce(newStore(b)), callers) })
	}
	if len(m.Recorded) == 0 {
		m.Recorded = []int{10_000}
	}
	for _, n := range m.Recorded {
		b.Run(fmt.Sprint("Among/recorded=", n), func(b *testing.B) { benchAmong(b, newStore(b), n, m.Size) })
	}
}

// derivedPer is how many tokens are derived from the token of one task.
const derivedPer = 8

// lineOf is a task, its token, and what is derived from that, of the person with the number.
func lineOf(b *testing.B, person int) store.Tx {
	b.Helper()
	who, when := fmt.Sprint("person-", person), at(0).Add(time.Duration(person*(derivedPer+2))*time.Millisecond)
	named := func(kind, value string) lineage.Selector { return lineage.Selector{Kind: kind, Value: value} }
	tx := store.Tx{Issuer: issuer, Time: when, Leeway: time.Hour}
	env := lineage.Envelope{Issuer: issuer, ExpiresAt: at(86_400), Kind: lineage.KindTask, Policy: "v1"}
	body := lineage.Body{
		Client: "agent", Subject: lineage.Party{ID: who, Issuer: "https://idp.example", Kind: "human"}, GrantType: "token_exchange",
		Actors:  []lineage.Party{{ID: "agent", Issuer: issuer, Kind: "agent"}},
		Granted: lineage.Authority{Access: []lineage.Access{{Resource: "https://crm.example.com/", Scopes: []string{"read"}}}, NotAfter: at(86_400)},
		Reasons: []lineage.Reason{{Resource: "https://crm.example.com/", Scope: "read", Granted: true, Rule: "/agents/crm#reads", Delegates: []string{"tool"}}},
		Selectors: lineage.Union(lineage.PathSelectors("/agents/crm"), []lineage.Selector{
			named(lineage.SelectSubject, who), named(lineage.SelectSession, "s-"+who), named(lineage.SelectClient, "agent"),
			named(lineage.SelectActor, "agent"), named(lineage.SelectConnection, "crm-prod"), named(lineage.SelectKey, "k1"),
		}),
	}
	for i := range derivedPer + 2 {
		env.IssuedAt = when.Add(time.Duration(i) * time.Millisecond)
		env.Since = env.IssuedAt
		if body.Task = nil; i == 0 {
			body.Task = &lineage.Task{Purpose: "triage", Deadline: env.ExpiresAt, Budget: 100, Authority: &body.Granted}
		}
		r, err := lineage.Seal(env, body)
		if err != nil {
			b.Fatal(err)
		}
		tx.Records = append(tx.Records, r)
		if i < 2 { // what comes next is derived from it
			env.Kind, env.Grant, env.Parents = lineage.KindToken, tx.Records[0].ID(), []lineage.ID{r.ID()}
			env.Ancestors = append(slices.Clone(env.Ancestors), r.ID())
			body.Selectors = lineage.Union(body.Selectors, r.Selectors())
		}
	}
	tx.Swaps = []store.Swap{{Key: "task:" + tx.Records[0].ID().String(), State: "active"}}
	return tx
}

// benchCommit commits derived tokens, each with conditions on all that it carries and a single-use id.
func benchCommit(b *testing.B, s store.Store, callers int) {
	txs := make([]store.Tx, 0, b.N+derivedPer)
	for person := 0; len(txs) < b.N; person++ {
		line := lineOf(b, person)
		above := line
		above.Records = line.Records[:2]
		if err := s.Commit(b.Context(), []store.Tx{above})[0]; err != nil {
			b.Fatal(err)
		}
		for _, r := range line.Records[2:] {
			txs = append(txs, store.Tx{
				Issuer: issuer, Time: line.Time, Leeway: 1e6 * time.Hour, Records: []lineage.Record{r},
				Swaps:     []store.Swap{{Key: "once:" + r.ID().String(), State: "spent", Expires: at(1e6)}},
				Adds:      []store.Add{{Key: "budget:" + line.Records[0].ID().String(), N: 1, Max: 100}},
				Requires:  []store.Require{{Key: line.Swaps[0].Key, State: "active", AnyVersion: true}},
				Unrevoked: []store.Unrevoked{{Selectors: r.Selectors(), Since: r.Since}},
			})
		}
	}
	took, next := make([]time.Duration, b.N), atomic.Int64{}
	var wait sync.WaitGroup
	b.ResetTimer()
	for range callers {
		wait.Go(func() {
			for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
				begun := b.Elapsed()
				if err := s.Commit(b.Context(), txs[i:i+1])[0]; err != nil {
					b.Error(err)
				}
				took[i] = b.Elapsed() - begun
			}
		})
	}
	wait.Wait()
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
	b.ReportMetric(took[b.N/2].Seconds()*1e3, "p50-ms")
	b.ReportMetric(took[b.N*99/100].Seconds()*1e3, "p99-ms")
}

// heap is what is in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func benchAmong(b *testing.B, s store.Store, n int, size func(*testing.B, store.Store) int64) {
	const sample = 10_000 // more than a store remembers
	var leaves []lineage.ID
	before, persons := heap(), max(1, n/(derivedPer+2))
	var txs []store.Tx
	for person := range persons {
		txs = append(txs, lineOf(b, person))
		if person%max(1, persons*derivedPer/sample) == 0 {
			for _, r := range txs[len(txs)-1].Records[2:] {
				leaves = append(leaves, r.ID())
			}
		}
		if len(txs) < min(persons, 50) && person+1 < persons {
			continue
		}
		for _, err := range s.Commit(b.Context(), txs) {
			if err != nil {
				b.Fatal(err)
			}
		}
		txs = nil
	}
	used := float64(heap()-before) / float64(n)
	rnd := rand.New(rand.NewPCG(uint64(n), 1)) //nolint:gosec // which are looked at
	report := func(b *testing.B) {
		b.ReportMetric(used, "heap-B/record")
		if size != nil {
			b.ReportMetric(float64(size(b, s))/float64(n), "disk-B/record")
		}
	}
	for _, leaf := range leaves { // what is in use is in memory
		get(b, s, get(b, s, leaf)[0].Record.Ancestors...)
	}
	b.Run("check", func(b *testing.B) {
		for b.Loop() {
			get(b, s, leaves[rnd.IntN(len(leaves))])
		}
		report(b)
	})
	b.Run("trace", func(b *testing.B) {
		for b.Loop() {
			leaf := get(b, s, leaves[rnd.IntN(len(leaves))])[0].Record
			var chain []lineage.Record
			for _, e := range get(b, s, leaf.Ancestors...) {
				chain = append(chain, e.Record)
			}
			if err := lineage.VerifyChain(leaf.ID(), append(chain, leaf)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func get(b *testing.B, s store.Store, ids ...lineage.ID) []store.Entry {
	got, err := s.Get(b.Context(), issuer, ids)
	if err != nil || slices.ContainsFunc(got, func(e store.Entry) bool { return e.Record.ID().IsZero() }) {
		b.Fatal("a record was not found: ", err)
	}
	return got
}
