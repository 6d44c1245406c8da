package bolt_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/bolt"
)

// What was revoked before a restart is revoked after it.
func Example() {
	dir, err := os.MkdirTemp("", "bolt")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "boundary.db")
	ctx, issuer := context.Background(), "https://boundary.example"
	mallory := lineage.Selector{Kind: lineage.SelectActor, Value: "mallory"}

	file, err := bolt.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	s := store.Coalesce(file) // concurrent callers share one sync
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	errs := s.Commit(ctx, []store.Tx{{
		Issuer: issuer, Time: noon, Leeway: 5 * time.Second,
		Revocations: []lineage.Revocation{{Selector: mallory, Action: lineage.Block, At: noon}},
	}})
	fmt.Println("committed:", errs[0] == nil)
	if err := file.Close(); err != nil {
		log.Fatal(err)
	}

	if file, err = bolt.Open(path); err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	marks, err := file.Revoked(ctx, issuer, []lineage.Selector{mallory})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(marks[0].Selector, "blocked:", marks[0].Blocked)
	// Output:
	// committed: true
	// actor:mallory blocked: true
}
