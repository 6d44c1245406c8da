package lineagecli

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/bolt"
)

// work is a task of an agent for a person with its token and those derived from it, n records in all, a millisecond apart.
func work(b *testing.B, i, n int, at time.Time) store.Tx {
	b.Helper()
	agent, person := fmt.Sprint("agent-", i%50), fmt.Sprint("person-", i%5000)
	granted := lineage.Authority{Access: []lineage.Access{{Resource: crm, Scopes: []string{"read", "write"}}}, NotAfter: at.Add(time.Hour)}
	tx := store.Tx{Issuer: issuer, Time: at.Add(time.Duration(n) * time.Millisecond)}
	for k := range n {
		env := lineage.Envelope{Kind: lineage.KindToken, Issuer: issuer, IssuedAt: at.Add(time.Duration(k) * time.Millisecond), Since: at, ExpiresAt: at.Add(time.Hour), Policy: "v1"}
		body := lineage.Body{
			Client: agent, Subject: lineage.Party{ID: person}, Actors: []lineage.Party{{ID: agent}}, Session: lineage.Session{Kind: "human", ID: "s-" + person},
			GrantType: "token-exchange", Connection: "salesforce-prod", Paths: []string{"/agents/support-bot/crm"}, Granted: granted, Key: "key-1",
			Reasons: []lineage.Reason{{Resource: crm, Scope: "read", Granted: true, Rule: "/agents/support-bot/crm#reads"}},
		}
		var up []lineage.Selector
		if k == 0 {
			env.Kind, body.Task = lineage.KindTask, &lineage.Task{Purpose: "triage", Deadline: env.ExpiresAt, Authority: &granted}
		} else {
			parent := tx.Records[min(k-1, 1+k%3)%len(tx.Records)]
			env.Parents, env.Grant = []lineage.ID{parent.ID()}, parent.Root()
			env.Ancestors = append(append([]lineage.ID{}, parent.Ancestors...), parent.ID())
			body.Task = &lineage.Task{ID: tx.Records[0].ID(), Purpose: "triage", Deadline: env.ExpiresAt}
			up = parent.Selectors()
		}
		body.Selectors = lineage.Union(up, lineage.PathSelectors(body.Paths[0]), []lineage.Selector{
			{Kind: lineage.SelectActor, Value: agent}, {Kind: lineage.SelectClient, Value: agent}, {Kind: lineage.SelectConnection, Value: body.Connection},
			{Kind: lineage.SelectKey, Value: body.Key}, {Kind: lineage.SelectSession, Value: "s-" + person}, {Kind: lineage.SelectSubject, Value: person},
		})
		r, err := lineage.Seal(env, body)
		require.NoError(b, err)
		tx.Records = append(tx.Records, r)
	}
	tx.Swaps = []store.Swap{{Key: "task:" + tx.Records[0].ID().String(), State: "active", Value: []byte(`{"budget":500}`)}}
	return tx
}

// BenchmarkVerify verifies a bolt store of TOKENBOUNDARY_VERIFY_RECORDS records, or 20,000. It reports how many records a
// second, and how much memory the process has taken at most from the system.
func BenchmarkVerify(b *testing.B) {
	n := 20_000
	if text := os.Getenv("TOKENBOUNDARY_VERIFY_RECORDS"); text != "" {
		var err error
		n, err = strconv.Atoi(text)
		require.NoError(b, err)
	}
	file := filepath.Join(b.TempDir(), "store")
	s, err := bolt.Open(file)
	require.NoError(b, err)
	const each, together = 10, 100
	for i := 0; i < n/each; i += together {
		txs := make([]store.Tx, 0, together)
		for k := range together {
			txs = append(txs, work(b, i+k, each, noon.Add(time.Duration((i+k)*each)*time.Millisecond)))
		}
		for _, err := range s.Commit(b.Context(), txs) {
			require.NoError(b, err)
		}
	}
	require.NoError(b, s.Close())
	w := &world{TB: b, clock: onlyClock()}
	runtime.GC()
	b.ResetTimer()
	for range b.N {
		findings, sum, stderr, code := w.verified("--store", file, "--issuer", issuer)
		require.Zero(b, code, "%v %s", findings, stderr)
		require.Equal(b, uint64(n), sum.Records)
	}
	b.StopTimer()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(m.HeapSys)/(1<<20), "MiB")
}
