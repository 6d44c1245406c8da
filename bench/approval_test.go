package bench

import (
	"errors"
	"testing"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// BenchmarkApproval measures the three steps of a request that needs an approval: that it is deferred, that it is
// approved, and that it is answered with a token.
func BenchmarkApproval(b *testing.B) {
	for _, s := range stores {
		b.Run(s.name+"/defer", func(b *testing.B) {
			w := newWaiting(b, s.open(b))
			w.ask()
			w.measure(b, func() { w.approve(); w.release() }, w.ask) // the list of what is open does not grow
		})
		b.Run(s.name+"/approve", func(b *testing.B) {
			w := newWaiting(b, s.open(b))
			w.ask()
			w.approve()
			w.measure(b, func() { w.release(); w.ask() }, w.approve)
		})
		b.Run(s.name+"/release", func(b *testing.B) {
			w := newWaiting(b, s.open(b))
			w.measure(b, func() { w.ask(); w.approve() }, w.release)
		})
	}
}

// waiting is a boundary with one deferred request at a time.
type waiting struct {
	boundary
	b    *testing.B
	id   lineage.ID
	code string
}

func newWaiting(b *testing.B, s store.Store) *waiting {
	w := &waiting{boundary: newBoundary(b, s), b: b}
	w.signal(b, "agent", "low")
	return w
}

// ask asks for what has to be approved first.
func (w *waiting) ask() {
	_, err := w.Issue(w.b.Context(), tb.Request{
		Grant: tb.Exchange, Client: as("agent"), Subject: human("alice"), Resource: []string{crm}, Scopes: []string{"refunds:write"},
		Deferrable: true,
	})
	var no *tb.DeniedError
	if !errors.As(err, &no) || no.Decision.Deferral == nil {
		w.b.Fatal(err)
	}
	w.id, w.code = no.Decision.ID, no.Decision.Deferral.Value()
}

func (w *waiting) approve() {
	if _, err := w.Approve(w.b.Context(), ops, w.id, true); err != nil {
		w.b.Fatal(err)
	}
}

func (w *waiting) release() {
	w.issue(w.b, tb.Request{
		Grant: tb.Deferred, Client: as("agent"), Subject: tb.Credential{Type: tb.TypeDeferralCode, Value: w.code},
	})
}
