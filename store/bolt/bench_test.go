package bolt_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/bolt"
)

const tenant = "https://boundary.example"

// busy returns a record of an agent that acts for a person, one of n, as production makes them.
func busy(b *testing.B, i, n int) lineage.Record {
	b.Helper()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(i) * 10 * time.Millisecond)
	who, crm := fmt.Sprint("user-", i%n), "https://crm.example.com/"
	r, err := lineage.Seal(
		lineage.Envelope{Kind: lineage.KindToken, Issuer: tenant, IssuedAt: at, Since: at, ExpiresAt: at.Add(5 * time.Minute), Policy: "v1"},
		lineage.Body{
			Client: "crm-tool", ClientKind: "workload", Subject: lineage.Party{ID: who, Issuer: "https://idp.example", Kind: "human"},
			Actors:  []lineage.Party{{ID: "crm-tool", Issuer: tenant, Kind: "workload"}, {ID: "support-bot", Issuer: tenant, Kind: "agent"}},
			Session: lineage.Session{Kind: "human", ID: who + "-session", AuthTime: at, AMR: []string{"pwd", "otp"}}, GrantType: "token_exchange",
			Connection: "salesforce-prod", Paths: []string{"/agents/support-bot"},
			Granted:   lineage.Authority{Access: []lineage.Access{{Resource: crm, Scopes: []string{"cases:read", "contacts:read"}}}, NotAfter: at.Add(5 * time.Minute)},
			Requested: lineage.Requested{Resources: []string{crm}, Scopes: []string{"cases:read", "contacts:read", "refunds:write"}},
			Audience:  []string{crm}, Facts: map[string]uint64{"fact:env": 3}, Key: "k1",
			Reasons: []lineage.Reason{
				{Resource: crm, Scope: "cases:read", Granted: true, Rule: "/agents/support-bot#triage-reads", Delegates: []string{"crm-tool"}},
				{Resource: crm, Scope: "contacts:read", Granted: true, Rule: "/agents/support-bot#triage-reads"},
				{Resource: crm, Scope: "refunds:write", Why: "no rule grants it"},
			},
			Selectors: lineage.Union(lineage.PathSelectors("/agents/support-bot"), []lineage.Selector{
				{Kind: lineage.SelectSubject, Value: who}, {Kind: lineage.SelectSession, Value: who + "-session"}, {Kind: lineage.SelectKey, Value: "k1"},
				{Kind: lineage.SelectActor, Value: "crm-tool"}, {Kind: lineage.SelectActor, Value: "support-bot"},
				{Kind: lineage.SelectClient, Value: "crm-tool"}, {Kind: lineage.SelectConnection, Value: "salesforce-prod"},
			}),
		})
	require.NoError(b, err)
	return r
}

// BenchmarkScan reads and decodes the records of one subject in ten.
func BenchmarkScan(b *testing.B) {
	const total, subjects = 20_000, 10
	s := openNew(b)
	fill(b, s, total, subjects)
	sel := lineage.Selector{Kind: lineage.SelectSubject, Value: "user-3"}
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, err := range s.Scan(b.Context(), tenant, sel, store.Position{}) {
			require.NoError(b, err)
			n++
		}
		require.Equal(b, total/subjects, n)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*total/subjects), "ns/record")
}

func fill(b *testing.B, s *bolt.Store, total, subjects int) {
	b.Helper()
	var txs []store.Tx
	for i := range total {
		r := busy(b, i, subjects)
		txs = append(txs, store.Tx{Issuer: tenant, Time: r.IssuedAt, Records: []lineage.Record{r}})
		if len(txs) == 1000 || i == total-1 {
			for _, err := range s.Commit(b.Context(), txs) {
				require.NoError(b, err)
			}
			txs = nil
		}
	}
}
