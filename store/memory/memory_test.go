package memory_test

import (
	"fmt"
	"testing"

	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/memory"
	"github.com/tokenboundary/tokenboundary/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return memory.New() })
}

func TestStoreCoalesced(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return store.Coalesce(memory.New()) })
}

func BenchmarkRevokeTask(b *testing.B) {
	for _, n := range []int{10, 100_000} {
		b.Run(fmt.Sprint("derived=", n), func(b *testing.B) { storetest.BenchmarkRevokeTask(b, memory.New(), n) })
	}
}
