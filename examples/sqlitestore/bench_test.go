package sqlitestore_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// BenchmarkCommit adds records, by one caller and by 64 that share commits.
func BenchmarkCommit(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprint(callers, "-callers"), func(b *testing.B) {
			s := store.Coalesce(open(b, filepath.Join(b.TempDir(), "boundary.db")))
			txs := make(chan store.Tx, b.N)
			for range b.N {
				txs <- adding(b)
			}
			close(txs)
			b.ResetTimer()
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					for tx := range txs {
						if err := s.Commit(b.Context(), []store.Tx{tx})[0]; err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

// BenchmarkGet reads what answers whether a token is alive, of one with fifteen selectors.
func BenchmarkGet(b *testing.B) {
	var sels []lineage.Selector
	for i := range 12 {
		sels = append(sels, lineage.Selector{Kind: lineage.SelectActor, Value: fmt.Sprint(i)})
	}
	s, tx := open(b, filepath.Join(b.TempDir(), "boundary.db")), adding(b, sels...)
	require.Len(b, tx.Records[0].Selectors(), 15)
	require.NoError(b, s.Commit(b.Context(), []store.Tx{tx})[0])
	for b.Loop() {
		entries, err := s.Get(b.Context(), issuer, []lineage.ID{tx.Records[0].ID()})
		if err != nil || entries[0].Record.ID().IsZero() {
			b.Fatal(err)
		}
	}
}
