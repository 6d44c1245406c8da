package memory_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

// A single-use id is a head that is swapped once. The second of two attempts is a conflict, and nothing of it happens.
func Example() {
	s, ctx := memory.New(), context.Background()
	spend := store.Tx{
		Issuer: "https://boundary.example",
		Time:   time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		Swaps:  []store.Swap{{Key: "assertion:7f3a", State: "spent"}},
		Adds:   []store.Add{{Key: "budget", N: 1, Max: 50}},
	}
	errs := s.Commit(ctx, []store.Tx{spend, spend})
	fmt.Println("first:", errs[0])
	fmt.Println("second:", errs[1], errors.Is(errs[1], store.ErrConflict))

	heads, err := s.Heads(ctx, spend.Issuer, []string{"budget"})
	fmt.Println("counted:", heads[0].Count, err)
	// Output:
	// first: <nil>
	// second: store: conflict: head has changed true
	// counted: 1 <nil>
}
