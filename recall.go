package tokenboundary

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// Recall reads recorded decisions back, with what the policy was asked. It needs no Governor, no keys and no clients, and
// writes nothing. Store and Issuer are required. It is safe for concurrent use.
type Recall struct {
	Store  store.Store
	Issuer string
	// Details are the known types of authorization_details, as in Config.
	Details map[string]DetailType
	// Leeway is by how much clocks may differ, as in Lifetimes. Zero: 5 s.
	Leeway time.Duration
}

// RecallFilter says which decisions are meant. Its zero value means all.
type RecallFilter struct {
	Since, Until time.Time // made at Since or later, and before Until
	Client       string    // asked for by this client
	Path         string    // decided at this policy path, or below it
}

// Past is a recorded decision, with what was known when it was made. Treat it as read-only.
type Past struct {
	Record lineage.Record
	// Skip, where not empty, says why the record is no decision that can be asked again: one of the Skip constants.
	Skip string
	// Unknown names facts of which the value at that time is not known any more, by the keys in lineage.Body.Facts. The
	// present value takes its place.
	Unknown []string

	recall *Recall
	seen   *glance
	env    *env
}

// recallBatch is how many records are read at once.
const recallBatch = 256

// One returns the decision that a record tells. ErrNotFound: there is no such record; ErrUnavailable: it cannot be read.
func (r Recall) One(ctx context.Context, id lineage.ID) (Past, error) {
	found, err := r.Store.Get(ctx, r.Issuer, []lineage.ID{id})
	switch {
	case err != nil:
		return Past{}, unavailable("store", err)
	case id.IsZero() || found[0].Record.ID() != id:
		return Past{}, fmt.Errorf("%w: record", ErrNotFound)
	}
	past, err := r.reader().read(ctx, []lineage.Record{found[0].Record})
	if err != nil {
		return Past{}, err
	}
	return past[0], nil
}

// All yields recorded decisions in the order in which they were made, and the records that are none, with Skip set. An
// error ends it. What it holds in memory does not grow with the number of records.
func (r Recall) All(ctx context.Context, f RecallFilter) iter.Seq2[Past, error] {
	return func(yield func(Past, error) bool) {
		read := r.reader()
		stopped := errors.New("stopped")
		err := r.batches(ctx, f, func(batch []lineage.Record) error {
			past, err := read.read(ctx, batch)
			for _, p := range past {
				if !yield(p, nil) {
					return stopped
				}
			}
			return err
		})
		if err != nil && !errors.Is(err, stopped) {
			yield(Past{}, err)
		}
	}
}

// batches calls f with the records that the filter means, in order.
func (r Recall) batches(ctx context.Context, filter RecallFilter, f func([]lineage.Record) error) error {
	batch := make([]lineage.Record, 0, recallBatch)
	for record, err := range r.Store.Scan(ctx, r.Issuer, filter.selector(), store.Position{Since: filter.Since}) {
		if err != nil {
			return unavailable("store", err)
		}
		if !filter.Until.IsZero() && !record.IssuedAt.Before(filter.Until) {
			break
		}
		if !filter.means(record) {
			continue
		}
		if batch = append(batch, record); len(batch) == cap(batch) {
			if err := f(batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	return f(batch)
}

// selector returns what all that is meant carries: the narrowest of what is asked for.
func (f RecallFilter) selector() lineage.Selector {
	switch {
	case f.Client != "":
		return lineage.Selector{Kind: lineage.SelectClient, Value: f.Client}
	case f.Path != "":
		return lineage.Selector{Kind: lineage.SelectPath, Value: f.Path}
	}
	return everything
}

// means reports whether the record itself is meant, and not only because of what it was made from. An erased one is.
func (f RecallFilter) means(r lineage.Record) bool {
	switch {
	case r.Body == nil:
		return true
	case f.Client != "" && r.Body.Client != f.Client:
		return false
	case f.Path == "" || f.Path == "/":
		return true
	}
	return slices.ContainsFunc(r.Body.Paths, func(p string) bool {
		return p == f.Path || strings.HasPrefix(p, f.Path+"/")
	})
}
