package verify

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// margin is by how much the times of entries, of tokens and of this machine may differ, generously: an entry is kept
// longer by it, and a token counts as older than an entry by it where the exact time does not matter.
const margin = time.Minute

// errFeed means that the feed did not continue where it was read last, or holds what is no entry.
var errFeed = errors.New("verify: the feed is not what it was")

// index is what the entries of one feed, read from its beginning, have done so far. It is safe for concurrent use.
type index struct {
	life time.Duration // of a token, at most
	most int           // entries that are remembered one by one

	mu        sync.RWMutex
	position  uint64 // of the last entry
	marks     map[lineage.Selector]lineage.Mark
	suspended map[string]uint64 // tasks by id, and the entry that suspended them
	unmatched map[string]extent // by kind of selector: entries that tokens may fall under without saying so
	dropped   extent            // entries that were forgotten before their time
	queue     []due             // what is remembered, in the order in which it is forgotten

	answers answers // of the boundary, about tokens, as of positions in this feed
}

// extent is what a set of entries can concern: tokens that were issued before a moment and about which the boundary has
// not been asked since the last of the entries.
type extent struct {
	seq    uint64
	before time.Time
}

// due says when an entry may be forgotten: nothing that it concerns is unexpired then.
type due struct {
	entry lineage.Revocation
	at    time.Time
}

func newIndex(life time.Duration, most int) *index {
	return &index{
		life: life, most: most, marks: map[lineage.Selector]lineage.Mark{}, suspended: map[string]uint64{},
		unmatched: map[string]extent{},
	}
}

// add applies the next entry of the feed.
func (ix *index) add(r lineage.Revocation) error {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	switch {
	case r.Check() != nil || r.Before.IsZero():
		return fmt.Errorf("%w: no entry", errFeed)
	case r.Seq == 0 || ix.position != 0 && r.Seq != ix.position+1:
		return fmt.Errorf("%w: entry %d after %d", errFeed, r.Seq, ix.position)
	}
	r.Reason, r.By, r.At = "", "", lineage.Time(r.At)
	ix.position = r.Seq
	id := r.Selector.Value
	switch r.Action {
	case lineage.Suspend:
		ix.suspended[id] = r.Seq
	case lineage.Resume:
		delete(ix.suspended, id)
		return nil
	default:
		mark := ix.marks[r.Selector].Apply(r)
		if mark.Seq != r.Seq {
			return nil // it changed nothing
		}
		ix.marks[r.Selector] = mark
		ix.note(r)
	}
	ix.queue = append(ix.queue, due{r, r.Before.Add(ix.life + margin)})
	for len(ix.queue) > ix.most {
		ix.dropped.grow(ix.forget())
	}
	return nil
}

// note remembers that there was an entry of a kind that does not show in every token.
func (ix *index) note(r lineage.Revocation) {
	switch r.Selector.Kind {
	case lineage.SelectConnection, lineage.SelectPath, lineage.SelectClient, lineage.SelectKey, lineage.SelectSubject, lineage.SelectActor:
		e := ix.unmatched[r.Selector.Kind]
		e.grow(r)
		ix.unmatched[r.Selector.Kind] = e
	}
}

func (e *extent) grow(r lineage.Revocation) {
	e.seq = max(e.seq, r.Seq)
	if r.Before.After(e.before) {
		e.before = r.Before
	}
}

// forget forgets the oldest entry, unless a later one of the same selector is in force.
func (ix *index) forget() lineage.Revocation {
	r := ix.queue[0].entry
	ix.queue[0] = due{}
	ix.queue = ix.queue[1:]
	switch {
	case r.Action == lineage.Suspend:
		if ix.suspended[r.Selector.Value] == r.Seq {
			delete(ix.suspended, r.Selector.Value)
		}
	case ix.marks[r.Selector].Seq == r.Seq:
		// A block is forgotten like a cut: while it stands, nothing is issued that it would concern.
		delete(ix.marks, r.Selector)
	}
	return r
}

// sweep forgets what concerns nothing that is unexpired at now.
func (ix *index) sweep(now time.Time) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	for len(ix.queue) > 0 && now.After(ix.queue[0].at) {
		ix.forget()
	}
}

// at returns the position, and how many entries are remembered.
func (ix *index) at() (position uint64, entries int) {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	return ix.position, len(ix.queue)
}
