package store

import (
	"context"
	"iter"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// Examiner is a Store that can be looked through from end to end, damaged or not: for a tool that checks it. It is an
// optional power.
type Examiner interface {
	// Examine yields all that is kept of the issuer: where it stands, the feed in order, marks and heads in no order, and the
	// records in the order of Scan, those without a body too. What cannot be read is a Fault, and so is what the store keeps
	// beside these if it does not fit them, such as an index that does not lead to a record; the walk goes on behind it. An
	// error ends it: the store could not be asked. Nothing is yielded of an issuer that was never written to.
	//
	// It writes nothing, and holds a bounded part in memory. Other reads may be made while it runs. It is for a store that
	// nobody writes to: what is committed meanwhile may be missed, or look like a fault.
	Examine(ctx context.Context, issuer string) iter.Seq2[Piece, error]
}

// Piece is one thing of all that a store keeps. Exactly one member is set.
type Piece struct {
	Clock      *Clock
	Revocation *lineage.Revocation
	Mark       *lineage.Mark
	Head       *Head // those that have expired and are still there too
	Record     *lineage.Record
	Fault      *Fault
}

// Clock is where an issuer stands.
type Clock struct {
	Time time.Time // the store time
	// Seq is the number of the newest entry of the feed, Oldest that of the oldest that is kept or, where none is, of the
	// next one.
	Seq    uint64
	Oldest uint64
}

// Fault is something that is not as the store would have written it.
type Fault struct {
	// In is the part of the store, in its own words: "records", "index".
	In string
	// ID is the record that is concerned; zero where that is not known, or none is.
	ID lineage.ID
	// What is for people. It repeats nothing that was stored but ids, times and numbers.
	What string
}
