package storetest

import (
	"testing"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// BenchmarkRevokeTask measures the commit of one revocation of a task from which n records were derived. It is one
// write, so the figure must not depend on n.
func BenchmarkRevokeTask(b *testing.B, s store.Store, n int) {
	task, err := seal(lineage.Envelope{Kind: lineage.KindTask, Issuer: issuer}, at(1), []lineage.Selector{subject("alice")})
	if err != nil {
		b.Fatal(err)
	}
	commit := func(txs ...store.Tx) {
		for _, err := range s.Commit(b.Context(), txs) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	commit(adding(1, task))
	const batch = 200
	var txs []store.Tx
	for i := range n {
		r, err := derive(task, at(2).Add(time.Duration(i)*time.Millisecond), nil)
		if err != nil {
			b.Fatal(err)
		}
		if txs = append(txs, adding(2, r)); len(txs) == batch || i == n-1 {
			commit(txs...)
			txs = txs[:0]
		}
	}
	revoke := revoking(3, lineage.Cut, lineage.Selector{Kind: lineage.SelectTask, Value: task.ID().String()})
	for b.Loop() {
		commit(revoke)
	}
}
