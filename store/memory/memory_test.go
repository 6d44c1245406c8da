package memory_test

import (
	"testing"

	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/memory"
	"github.com/tokenboundary/tokenboundary/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return memory.New() }, storetest.Options{Forgets: true})
}

func TestStoreCoalesced(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return store.Coalesce(memory.New()) }, storetest.Options{Forgets: true})
}
