package postgres_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/postgres"
)

// A call costs the round trips that are promised, however much it names: counted on the wire, by the messages after which the
// store waits for an answer (Sync and Query, of the protocol's version 3).
func TestRoundTrips(t *testing.T) {
	const other = "https://other.example"
	for name, pooled := range map[string]bool{"prepared": false, "pooled": true} {
		t.Run(name, func(t *testing.T) {
			opts := postgres.Options{Schema: schema(t), Pooled: pooled, Silent: true, MaxConns: 1}
			require.NoError(t, postgres.Migrate(t.Context(), database(t), opts))
			w, dsn := newWire(t, database(t))
			s, err := postgres.Open(t.Context(), dsn, opts)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, s.Close()) })
			var trips atomic.Int64
			count := func(sent string) (before, after bool) {
				trips.Add(int64(strings.Count(sent, "S\x00\x00\x00\x04")))
				if strings.HasPrefix(sent, "Q") {
					trips.Add(1)
				}
				return false, false
			}
			w.cut.Store(&count)
			var ids []lineage.ID
			slice := func() (txs []store.Tx) {
				ids = nil
				for i := range 40 {
					tx := recordTx(t, march, "c")
					ids = append(ids, tx.Records[0].ID())
					tx.Swaps = []store.Swap{{Key: tx.Records[0].ID().String()}}
					tx.Adds = []store.Add{{Key: "n", N: 1, Max: 1000}}
					tx.Unrevoked = []store.Unrevoked{{Selectors: tx.Records[0].Selectors(), Since: march}}
					tx.Revocations = []lineage.Revocation{{Selector: lineage.Selector{Kind: lineage.SelectSubject, Value: "bob"}, At: march}}
					txs = append(txs, tx)
					if i%2 == 0 {
						txs = append(txs, store.Tx{Issuer: other, Time: march})
					}
				}
				return txs
			}
			for round := range 3 { // what is prepared, and what issuers there are, is known after the first
				for _, call := range []struct {
					name  string
					trips int64
					do    func() error
				}{
					{"Commit", 2, func() (err error) {
						for _, err = range s.Commit(t.Context(), slice()) { //nolint:revive // the last one counts
						}
						return err
					}},
					{"Get", 1, func() error { _, err := s.Get(t.Context(), issuer, ids); return err }},
					{"Heads", 1, func() error { _, err := s.Heads(t.Context(), issuer, []string{"n", "m"}); return err }},
					{"Revoked", 1, func() error {
						_, err := s.Revoked(t.Context(), issuer, []lineage.Selector{{Kind: "subject", Value: "bob"}})
						return err
					}},
					{"Look", 1, func() error {
						_, _, err := s.Look(t.Context(), issuer, ids, []lineage.Selector{{Kind: "subject", Value: "bob"}})
						return err
					}},
					{"Forget", 2, func() error { return s.Forget(t.Context(), store.Removal{Issuer: issuer, Bodies: ids}) }},
				} {
					trips.Store(0)
					require.NoError(t, call.do(), call.name)
					if round > 0 {
						require.Equal(t, call.trips, trips.Load(), call.name)
					}
				}
			}
		})
	}
}
