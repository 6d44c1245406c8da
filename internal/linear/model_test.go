package linear_test

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// state is what a store keeps of one issuer. It is never changed: a write makes another one.
type state struct {
	now     time.Time
	records map[lineage.ID]lineage.Record
	heads   map[string]store.Head
	marks   map[lineage.Selector]lineage.Mark
	feed    []lineage.Revocation
	gone    uint64 // how many of these were forgotten
	sum     sum    // of all that
}

// sum is the sum of the hashes of everything that a state has, so that a write changes a part of it only. Two states with one
// sum are the same: the chance that they are not is one in 2^128.
type sum [2]uint64

var seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

// replace takes away what was there, and adds what is there now. Nothing is "".
func (s *sum) replace(old, now string) {
	for i, seed := range seeds {
		if old != "" {
			s[i] -= maphash.String(seed, old)
		}
		if now != "" {
			s[i] += maphash.String(seed, now)
		}
	}
}

// view is a store.View of a state that is being made.
type view struct{ *state }

func (v view) Clock() (time.Time, uint64, error) { return v.now, uint64(len(v.feed)), nil }

func (v view) Record(id lineage.ID) (lineage.Record, bool, error) {
	r, found := v.records[id]
	return r, found, nil
}

func (v view) Head(key string) (store.Head, error) { return v.head(key), nil }

func (v view) Mark(sel lineage.Selector) (lineage.Mark, error) { return v.marks[sel], nil }

// SetClock also forgets heads. No two of a history expire, so that the contract leaves no choice when.
func (v view) SetClock(now time.Time, _ uint64) error {
	v.sum.replace(v.now.String(), now.String())
	v.now = now
	for key, h := range v.heads {
		if !h.Expires.IsZero() && h.Expires.Before(now) {
			v.sum.replace(headText(h), "")
			delete(v.heads, key)
		}
	}
	return nil
}

func (v view) PutRecord(r lineage.Record) error {
	v.sum.replace("", recordText(r))
	v.records[r.ID()] = r
	return nil
}

func (v view) PutHead(h store.Head) error {
	old := ""
	if was, ok := v.heads[h.Key]; ok {
		old = headText(was)
	}
	v.sum.replace(old, headText(h))
	v.heads[h.Key] = h
	return nil
}

func (v view) PutMark(m lineage.Mark) error {
	old := ""
	if was, ok := v.marks[m.Selector]; ok {
		old = markText(was)
	}
	v.sum.replace(old, markText(m))
	v.marks[m.Selector] = m
	return nil
}

func (v view) PutRevocation(r lineage.Revocation) error {
	v.sum.replace("", feedText([]lineage.Revocation{r}))
	v.feed = append(v.feed, r)
	return nil
}

// after returns the state after tx, and what a Commit of it returns.
func (s *state) after(tx store.Tx) (*state, string) {
	next := s.clone()
	err := store.Apply(view{next}, tx)
	if err != nil {
		next = s
	}
	return next, result(err)
}

// clone returns what a write may change.
func (s *state) clone() *state {
	return &state{
		now: s.now, feed: slices.Clip(s.feed), gone: s.gone, sum: s.sum,
		records: maps.Clone(s.records), heads: maps.Clone(s.heads), marks: maps.Clone(s.marks),
	}
}

func (s *state) head(key string) store.Head {
	h := s.heads[key]
	h.Key = key
	return h
}

// entry returns what Get says of an id.
func (s *state) entry(id lineage.ID) store.Entry {
	e := store.Entry{Record: s.records[id]}
	for _, sel := range e.Record.Selectors() {
		if m, ok := s.marks[sel]; ok {
			e.Marks = append(e.Marks, m)
		}
		if h, ok := s.heads[sel.String()]; ok {
			e.Heads = append(e.Heads, h)
		}
	}
	return e
}

// What was seen is compared as text.

func result(err error) string {
	var c *store.Conflict
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &c):
		return fmt.Sprintf("conflict %q %t %s", c.Key, c.Full, markText(c.Mark))
	case errors.Is(err, store.ErrConflict):
		return "a conflict of nothing"
	case errors.Is(err, store.ErrBehind):
		return "behind"
	case errors.Is(err, store.ErrInvalid):
		return "invalid"
	}
	return unknown
}

// unknown is the result of a commit that may have happened, or may still.
const unknown = "unknown"

func headText(h store.Head) string {
	return fmt.Sprintf("head %q %d %q %q %d %d", h.Key, h.Version, h.State, h.Value, h.Count, h.Expires.UnixNano())
}

func headsText(heads []store.Head) string {
	lines := make([]string, len(heads))
	for i, h := range heads {
		lines[i] = headText(h)
	}
	return strings.Join(lines, "\n")
}

func markText(m lineage.Mark) string {
	return fmt.Sprintf("mark %s %t %d %t %d", m.Selector, m.Cut, m.Before.UnixNano(), m.Blocked, m.Seq)
}

// marksText puts marks, which come in no order, and may come once for a selector that was named twice, into one.
func marksText(marks []lineage.Mark) string {
	lines := make([]string, len(marks))
	for i, m := range marks {
		lines[i] = markText(m)
	}
	slices.Sort(lines)
	return strings.Join(slices.Compact(lines), "\n")
}

func entryText(e store.Entry) string {
	if e.Record.ID().IsZero() {
		return "no record"
	}
	heads := slices.SortedFunc(slices.Values(e.Heads), func(a, b store.Head) int { return strings.Compare(a.Key, b.Key) })
	return fmt.Sprintf("record %s %t\n%s\n%s", e.Record.ID(), bytes.Equal(e.Record.RawBody(), nil), marksText(e.Marks), headsText(heads))
}

func feedText(feed []lineage.Revocation) string {
	lines := make([]string, len(feed))
	for i, r := range feed {
		lines[i] = fmt.Sprintf("%d %s %q %d %d", r.Seq, r.Selector, r.Action, r.At.UnixNano(), r.Before.UnixNano())
	}
	return strings.Join(lines, "\n")
}

// call is one call of a store, of one issuer. Exactly one of its members beside the issuer says which.
type call struct {
	issuer  string
	tx      *store.Tx
	removal *store.Removal
	entry   lineage.Revocation // that of tx, as the feed has it in the end; zero: it is not there
	get     lineage.ID
	heads   []string
	marks   []lineage.Selector
	feed    *uint64
}

// step says whether a call may return what it has returned in a state, and which state it leaves.
func step(before *state, c call, returned string) (bool, *state) {
	switch {
	case c.tx != nil:
		next, want := before.after(*c.tx)
		if n := len(next.feed); n > len(before.feed) && feedText(next.feed[n-1:]) != feedText([]lineage.Revocation{c.entry}) {
			return false, before
		}
		return returned == want || returned == unknown, next
	case c.removal != nil:
		next, want := before.forget(*c.removal)
		return returned == want || returned == unknown, next
	case c.heads != nil:
		var heads []store.Head
		for _, key := range c.heads {
			heads = append(heads, before.head(key))
		}
		return returned == headsText(heads), before
	case c.marks != nil:
		var marks []lineage.Mark
		for _, sel := range c.marks {
			if m, ok := before.marks[sel]; ok {
				marks = append(marks, m)
			}
		}
		return returned == marksText(marks), before
	case c.feed != nil:
		after, last := *c.feed, uint64(len(before.feed))
		if after == 0 {
			after = before.gone
		}
		return before.gone <= after && after <= last && returned == feedText(before.feed[min(after, last):]), before
	}
	return returned == entryText(before.entry(c.get)), before
}

// model is a store as Porcupine knows one. What happens to one issuer is of no concern to another: each has a history of its
// own, and that keeps the search short.
var model = porcupine.Model{
	Partition: func(history []porcupine.Operation) (parts [][]porcupine.Operation) {
		by := map[string][]porcupine.Operation{}
		for _, op := range history {
			issuer := op.Input.(call).issuer
			by[issuer] = append(by[issuer], op)
		}
		return slices.Collect(maps.Values(by))
	},
	Init: func() any {
		return &state{records: map[lineage.ID]lineage.Record{}, heads: map[string]store.Head{}, marks: map[lineage.Selector]lineage.Mark{}}
	},
	Step: func(before, input, output any) (bool, any) {
		return step(before.(*state), input.(call), output.(string))
	},
	Equal: func(a, b any) bool { return a.(*state).sum == b.(*state).sum },
	Hash:  func(s any) uint64 { return s.(*state).sum[0] },
}
