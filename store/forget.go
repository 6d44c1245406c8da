package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// Forgetter is a Store that can let go of what is over. It is an optional power: without it everything is kept but the
// heads that have expired. What is to go, and when, is not the store's to say; but it lets go of nothing that its own
// store time does not show to be over (Removal).
//
// A wrapper passes the power on. Where the store below does not have it, both methods fail with an error that wraps
// [errors.ErrUnsupported].
type Forgetter interface {
	// Records yields all records of the issuer, those without a body too, ordered and positioned as Scan orders and
	// positions those of a selector, and with what Scan says of reading while others write.
	Records(ctx context.Context, issuer string, from Position) iter.Seq2[lineage.Record, error]

	// Forget takes out what r names: all of it, or nothing. When it returns nil that is durable, as if it had happened at
	// one moment among the Txs of Commit. An error wrapping ErrConflict or ErrInvalid means that nothing was taken out;
	// after any other the outcome is unknown, and what is to go can be read and named again. It writes nothing but what
	// Removal says, and does not move the store time.
	//
	// The sequence numbers of the feed go on where they are, and the store remembers the oldest that it has kept. What was
	// taken out is not kept where a later reader of the store's files would find it by its name, except that a database may
	// leave freed space as it is until it is used again.
	Forget(ctx context.Context, r Removal) error
}

// Removal names what Forget takes out of the state of one issuer, and under which conditions. What is not there, or is
// erased already, is passed over. The zero Removal of an issuer takes out nothing.
//
// The limit is the store time less Leeway: no writer whose clock is right can still write something that was made while what
// ended before it was valid (ErrBehind).
type Removal struct {
	Issuer string
	// Leeway is how far clocks of nodes may differ.
	Leeway time.Duration

	// Records are taken out whole, with their places in every index. One that expires at the limit or later, or that never
	// expires and was issued then, is ErrInvalid. The heads and the marks of their selectors stay.
	Records []lineage.ID
	// Bodies lose their body. The record then carries the selectors that its envelope implies, and is found by no other.
	// That nothing live comes from it, and never will, is for the caller to know. It does not come back: a Tx with the
	// record leaves it as it is.
	Bodies []lineage.ID
	// Heads are forgotten, as if never written. One that has another version is ErrConflict.
	Heads []HeadVersion
	// Marks are forgotten. One that is not exactly as it is here is ErrConflict; one that blocks, or cuts until the limit or
	// later, is ErrInvalid.
	Marks []lineage.Mark
	// Floor, where not zero, is a selector whose mark rises to the latest Before among Marks, so that what carries it and
	// is as old as what they cut is dead without them.
	Floor lineage.Selector
	// Feed, where not zero, is the last of the feed's oldest entries that go: it and all before it. An entry of which At or
	// Before is at the limit or later is ErrInvalid, and so is a number that the feed has not reached.
	Feed uint64

	// Unused are selectors that no record but those in Records and Bodies may carry, else ErrConflict: the condition under
	// which what is known of somebody can go with the last record.
	Unused []lineage.Selector
}

// HeadVersion is a head as it was read.
type HeadVersion struct {
	Key     string
	Version uint64
}

// Remover is a View that can also take things out, as Remove needs it.
type Remover interface {
	View
	// Oldest returns the sequence number of the oldest entry that is kept; where none is, that of the next one.
	Oldest() (uint64, error)
	// Revocation returns an entry of the feed that is kept.
	Revocation(seq uint64) (lineage.Revocation, error)
	// Carried reports whether a record carries the selector that is none of those named. It is asked before anything is
	// taken out.
	Carried(sel lineage.Selector, but []lineage.ID) (bool, error)

	// DropRecord takes out a record, and EraseRecord the body of one; both are given it as Record returns it.
	DropRecord(r lineage.Record) error
	EraseRecord(r lineage.Record) error
	DropHead(key string) error
	DropMark(sel lineage.Selector) error
	// DropRevocations takes out the entries up to the one with the number, and makes the next one the oldest.
	DropRevocations(until uint64) error
}

// Records implements Forgetter for a Store that is one.
func (c *coalescer) Records(ctx context.Context, issuer string, from Position) iter.Seq2[lineage.Record, error] {
	if f, ok := c.Store.(Forgetter); ok {
		return f.Records(ctx, issuer, from)
	}
	return func(yield func(lineage.Record, error) bool) { yield(lineage.Record{}, errKeeps) }
}

// Forget implements Forgetter for a Store that is one. It waits for no batch, and no batch waits for it.
func (c *coalescer) Forget(ctx context.Context, r Removal) error {
	if f, ok := c.Store.(Forgetter); ok {
		return f.Forget(ctx, r)
	}
	return errKeeps
}

// errKeeps is the answer of a store that keeps everything.
var errKeeps = fmt.Errorf("store: nothing can be forgotten: %w", errors.ErrUnsupported)
