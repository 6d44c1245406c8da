package bolt

import (
	"context"
	"encoding/binary"
	"errors"
	"iter"
	"slices"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// Records implements store.Forgetter.
func (s *Store) Records(ctx context.Context, issuer string, from store.Position) iter.Seq2[lineage.Record, error] {
	return s.walk(ctx, issuer, from, func(last []byte) (part []found, next []byte, err error) {
		err = s.view(ctx, issuer, func(sp *space) (err error) {
			part, next, err = sp.everything(last)
			return err
		})
		return part, next, err
	})
}

// Forget implements store.Forgetter. It is one synced write, like a Commit. The pages of what was forgotten are used again
// after the next checkpoint; the file does not become smaller.
func (s *Store) Forget(ctx context.Context, r store.Removal) error {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	if err := s.writable(ctx); err != nil {
		return err
	}
	var refused error
	var changes []byte
	err := s.write(func() error {
		v := newView(s.space(r.Issuer), s.pending.tx, r.Issuer)
		if refused = store.Remove(v, r); v.err != nil {
			return v.err
		}
		if err := v.flush(); err != nil || len(v.changes) == 0 {
			return err
		}
		changes = appendBytes(appendBytes(nil, v.issuer), v.changes)
		s.keep(v)
		s.freed += v.freed // each lies in another page of the store, and these are held in memory
		return nil
	})
	if err != nil {
		return err
	}
	if refused != nil || len(changes) == 0 {
		return refused
	}
	return s.stopAfter(s.persist(changes))
}

var _ store.Remover = (*view)(nil)

// Oldest implements store.Remover.
func (v *view) Oldest() (uint64, error) {
	seq, err := v.oldest()
	return seq, v.note(err)
}

// Revocation implements store.Remover.
func (v *view) Revocation(seq uint64) (lineage.Revocation, error) {
	r, err := v.revocation(seq)
	return r, v.note(err)
}

// Carried implements store.Remover.
func (v *view) Carried(sel lineage.Selector, but []lineage.ID) (bool, error) {
	if err := v.index(); err != nil {
		return false, v.note(err)
	}
	digest := hashSelector(sel)
	for last := firstPlace[:]; last != nil; {
		places, next, err := v.find(digest[:shortSize], last)
		if err != nil {
			return false, v.note(err)
		}
		for _, place := range places {
			if !slices.Contains(but, lineage.ID(place[timeSize:])) {
				return true, nil
			}
		}
		last = next
	}
	return false, nil
}

// DropRecord implements store.Remover.
func (v *view) DropRecord(r lineage.Record) error {
	id, place := r.ID(), placeOf(r)
	v.entries = append(v.entries, entry{place: place, gone: true})
	v.freed += int64(len(r.Raw()) + len(r.RawBody()))
	return v.note(errors.Join(v.remove(recordsBucket, place[:]), v.remove(idsBucket, id[:])))
}

// EraseRecord implements store.Remover.
func (v *view) EraseRecord(r lineage.Record) error {
	rest, place := r.Erase(), placeOf(r)
	v.entries = append(v.entries, entryOf(rest))
	v.freed += int64(len(r.RawBody()))
	return v.note(v.put(recordsBucket, place[:], encodeRecord(rest)))
}

// DropHead implements store.Remover.
func (v *view) DropHead(key string) error {
	at := hashKey(key)
	old, err := v.headAt(at)
	if err != nil || !old.there {
		return v.note(err)
	}
	if !old.Expires.IsZero() {
		err = v.remove(expiryBucket, expiryKey(old.Expires, at[:]))
	}
	v.heads[at] = &headState{}
	return v.note(errors.Join(err, v.remove(headsBucket, at[:])))
}

// DropMark implements store.Remover.
func (v *view) DropMark(sel lineage.Selector) error {
	v.marks[sel] = lineage.Mark{}
	at := hashSelector(sel)
	return v.note(v.remove(marksBucket, at[:]))
}

// DropRevocations implements store.Remover.
func (v *view) DropRevocations(until uint64) error {
	seq, err := v.oldest()
	for ; err == nil && seq <= until; seq++ {
		err = v.remove(feedBucket, sequenceKey(seq))
	}
	if err == nil {
		err = v.put(clockBucket, oldestKey, binary.BigEndian.AppendUint64(nil, until+1))
	}
	return v.note(err)
}
