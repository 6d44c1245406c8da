package bolt_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/bolt"
	"github.com/tokenboundary/tokenboundary/store/storetest"
)

var recorded = flag.Int("recorded", 10_000, "among how many records BenchmarkStore looks for one")

func BenchmarkStore(b *testing.B) {
	paths := map[store.Store]string{}
	storetest.Bench(b, func(b *testing.B) store.Store {
		path := filepath.Join(b.TempDir(), "store")
		s, err := bolt.Open(path)
		require.NoError(b, err)
		b.Cleanup(func() { require.NoError(b, s.Close()) })
		paths[s] = path
		return s
	}, storetest.Measured{Recorded: []int{*recorded}, Size: func(b *testing.B, s store.Store) int64 {
		b.Helper()
		info, err := os.Stat(paths[s])
		require.NoError(b, err)
		return info.Size()
	}})
}
