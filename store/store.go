// Package store is the contract between the boundary and whatever keeps its state: lineage records, revocations, and
// the few small values ("heads") that change.
//
// The prose on [Store] and [Tx] is the specification; package storetest is its proof and runs against any
// implementation. A store has no opinion: it never reads a clock, never decides, and knows nothing of tokens or tasks
// beyond the selectors that a record carries.
package store

import (
	"context"
	"iter"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// MaxKey is the largest length of a head's key in bytes. A Tx that names a longer one is ErrInvalid.
const MaxKey = 2048

// Store keeps the state of any number of issuers. Every method names one issuer; nothing of another can be read,
// changed or conflicted with, and the same key, selector or sequence number in two issuers is two things.
//
// Consistency: a Commit that has returned nil for a Tx is durable, and every later call from any process sees it. A
// call never sees part of a Tx. Each Tx, Get, Heads and Revoked happens at one moment between its call and its return, and so
// does the end of a Feed (a store is linearizable): what one call has shown, no later one takes back.
//
// Ids, keys and selectors are opaque bytes of any content up to 2 KiB: quotes, separators, wildcards and NUL have no meaning.
// What is longer names nothing; to ask for it finds nothing, or is an error. Times are moments of any year from 1 to 9999, to
// the nanosecond and whatever their zone; with a leeway, Before may lie a little beyond.
//
// Errors: those of this package, matched with errors.Is, where they fit; any other error means that the outcome is
// unknown (Commit) or that nothing was read. A store never returns partial data with a nil error. A call whose context ends
// while it is under way may end with its error: of a Commit each Tx is then applied wholly or not at all, a read has no result,
// and an iterator yields the error as its last.
//
// All methods are safe for concurrent use. What a caller passes in is not kept or changed, and what is returned is
// the caller's, except that the bytes of records are shared and read-only.
type Store interface {
	// Commit applies txs in order, each atomic by itself and judged as if those before it had been applied. It
	// returns one error per Tx, in order: nil, an error wrapping ErrConflict, ErrBehind or ErrInvalid that concerns
	// this Tx alone, or, where the whole commit failed (a failed sync, a lost connection), the same error for all.
	// The txs may be of several issuers, in any order. Commit does not batch: see Coalesce.
	Commit(ctx context.Context, txs []Tx) []error

	// Get reads records by id, each with what has been written about it since: one round trip answers whether a
	// token is alive. The result has one Entry per id, in order; an Entry whose Record has the zero ID was not found.
	Get(ctx context.Context, issuer string, ids []lineage.ID) ([]Entry, error)

	// Heads reads heads by key. The result has one Head per key, in order; one that was never written has the key and
	// is otherwise zero.
	Heads(ctx context.Context, issuer string, keys []string) ([]Head, error)

	// Revoked returns the marks of those selectors that have been revoked in any way, in no particular order; that of a
	// selector that is named twice once or twice.
	Revoked(ctx context.Context, issuer string, sels []lineage.Selector) ([]lineage.Mark, error)

	// Scan yields the records that carry the selector (lineage.Record.Selectors), ordered by issue time and then id,
	// from a position on. It ends after the last one that was there when it was reached; an error ends it. Records
	// committed while it runs may or may not be seen. What lies before the position costs nothing: a store seeks.
	Scan(ctx context.Context, issuer string, sel lineage.Selector, from Position) iter.Seq2[lineage.Record, error]

	// Feed yields the revocations with a sequence number above after, in order, and ends at the last one. Sequence
	// numbers start at 1 and rise by one per entry; the order is that of the commits, and no entry ever appears
	// behind one that was already yielded. An after of 0 is right before the oldest kept entry, whatever its number: who
	// knows nothing yet needs only what is kept. Any other that lies further before it, or beyond the newest, yields
	// ErrGone: the reader has missed entries, or this is not the store it knew.
	Feed(ctx context.Context, issuer string, after uint64) iter.Seq2[lineage.Revocation, error]
}

// Hinter is a Store that tells when there is something to read, whichever process wrote it. It is an optional power: without
// it, or where it returns nil, a reader of the feed looks at it now and then.
type Hinter interface {
	// Changed returns a channel that is closed soon after the feed of the issuer has an entry that it did not have when Changed
	// returned. So whoever asks for a channel first, then reads the feed, and waits last, misses nothing; and asks again then,
	// for a closed channel tells of nothing more. It may be closed for no reason, but is not always.
	//
	// It is a hint, not a promise: how soon is up to the store, and a reader looks now and then all the same. A nil channel
	// means that nothing will be told. A channel need not be waited for, and ctx bounds the call alone.
	Changed(ctx context.Context, issuer string) <-chan struct{}
}

// Position is where a Scan begins. The zero Position is the beginning; where both members are set, both hold.
type Position struct {
	// Since leaves out the records that were issued before it, to the nanosecond.
	Since time.Time
	// After is the record behind which the scan continues: it and those ordered before it are left out. It need not
	// carry the selector, but it must be there: an unknown one is ErrInvalid.
	After lineage.ID
}

// Entry is a record with all that was written about it later.
type Entry struct {
	Record lineage.Record
	// Marks are the marks of the record's selectors, those that have one.
	Marks []lineage.Mark
	// Heads are the heads whose key is the text form of one of the record's selectors, those that were written.
	Heads []Head
}

// Head is a small named value that changes: a task's state, a fact, a single-use id, a counter.
type Head struct {
	Key string
	// Version counts the swaps of the head; 0 means that it was never swapped.
	Version uint64
	// State and Value are what the last swap wrote.
	State string
	Value []byte
	// Count is what Adds have summed up to. Swaps leave it alone.
	Count uint64
	// Expires, where not zero, is the store time after which the head is forgotten, its value with it, as if it had
	// never been written. Until then it is kept whole. The Tx that takes the store time there judges its conditions
	// first and then forgets; where more has expired than a store forgets at once, each later Tx goes on with it. What
	// must not count after a moment has to be compared with that moment all the same: without a Tx nothing is forgotten.
	Expires time.Time
}

// Tx is a set of writes and the conditions under which they happen: all of them or none. The zero Tx of an issuer
// does nothing but raise the store time.
//
// A Tx whose Records are all there already, byte for byte, succeeds and changes nothing: it is the repeat of a commit
// whose answer was lost. A record whose id is there with other bytes is ErrInvalid. One that is there without its body, which
// was erased, counts as the same, and stays without.
type Tx struct {
	Issuer string
	// Time is the writer's time. The store time of an issuer is the largest Time committed for it; it never falls.
	Time time.Time
	// Leeway is how far clocks of nodes may differ. A Tx with Records whose Time lies further than this behind the
	// store time is refused with ErrBehind.
	Leeway time.Duration

	// Records are added. One that is named twice is added once.
	Records []lineage.Record
	// Revocations are appended to the feed. For each the store sets Seq, and Before to the later of the store time
	// and the revocation's At, plus Leeway, rounded up to whole milliseconds; the mark of its selector becomes
	// Mark.Apply of it, and never falls.
	Revocations []lineage.Revocation
	// Swaps replace heads. Adds add to counts.
	Swaps []Swap
	Adds  []Add

	// Requires are conditions on heads that are not written here.
	Requires []Require
	// Unrevoked are conditions on selectors.
	Unrevoked []Unrevoked

	// Background marks a Tx that may wait behind others: the record of a denial. Coalesce puts it last.
	Background bool
}

// Swap writes a head if its version is still Version (0: never swapped, or forgotten). The new version is one higher.
type Swap struct {
	Key     string
	Version uint64
	State   string
	Value   []byte
	Expires time.Time
}

// Add adds N to a head's count, unless the sum would exceed Max.
type Add struct {
	Key string
	N   uint64
	Max uint64
}

// Require holds if the head has exactly this version and this state.
type Require struct {
	Key     string
	Version uint64
	State   string
	// AnyVersion makes only the state count.
	AnyVersion bool
}

// Unrevoked holds if no mark of the selectors kills what was issued at Since (lineage.Mark.Kills).
type Unrevoked struct {
	Selectors []lineage.Selector
	Since     time.Time
}
