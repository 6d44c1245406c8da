package bolt

import (
	"slices"

	"go.etcd.io/bbolt"
)

// pending is the write transaction that is always open. It holds what was committed since the last checkpoint, which is
// durable by the log, and everything is read through it. Store.mu guards it: a bbolt write transaction is for one at a time.
type pending struct {
	tx     *bbolt.Tx // nil: the store is closed
	stuck  bool      // bbolt will never let go of its lock
	spaces map[string]*space
}

// space returns what the store holds of an issuer.
func (s *Store) space(issuer string) *space {
	if sp := s.pending.spaces[issuer]; sp != nil {
		return sp
	}
	sp := &space{open: map[string]*bbolt.Cursor{}, seen: &s.seen}
	if issuers := s.pending.tx.Bucket([]byte(issuersBucket)); issuers != nil {
		sp.root = issuers.Bucket(issuerName(issuer))
	}
	if sp.root != nil {
		s.pending.spaces[issuer] = sp
	}
	return sp
}

// begin opens the transaction.
func (s *Store) begin() error {
	s.pending = pending{stuck: true} // should bbolt panic, which it does where both of its first pages are damaged
	tx, err := s.db.Begin(true)
	s.pending = pending{tx: tx, spaces: map[string]*space{}}
	return err
}

// abandon gives up what is pending.
func (s *Store) abandon() {
	if s.pending.tx != nil {
		_ = s.pending.tx.Rollback() // fails only where it has ended already
	}
	s.pending = pending{}
}

// generations returns which frames of the log count, and what it begins with as long as there are none of these. Both are
// zero in a store that is new.
func (s *Store) generations() (counts, before generation, err error) {
	sealed := s.pending.tx.Bucket([]byte(metaBucket)).Get(logKey)
	if sealed == nil {
		return counts, before, nil
	}
	value, err := unseal(metaBucket, logKey, sealed)
	if err != nil || len(value) != len(counts)+len(before) {
		return counts, before, errDamaged
	}
	return generation(value), generation(value[len(counts):]), nil
}

// checkpoint writes what is pending into the store, and begins the next generation of frames.
func (s *Store) checkpoint(next generation) error {
	for issuer, sp := range s.pending.spaces {
		if err := newView(sp, s.pending.tx, issuer).index(); err != nil {
			return err
		}
	}
	value := slices.Concat(next[:], s.log.first[:])
	if err := s.pending.tx.Bucket([]byte(metaBucket)).Put(logKey, seal(metaBucket, logKey, value)); err != nil {
		return err
	}
	if err := s.pending.tx.Commit(); err != nil {
		return err
	}
	s.log.begin(next)
	s.freed = 0
	return s.begin()
}

// restore makes pending what the log holds.
func (s *Store) restore() error {
	s.abandon()
	if err := s.begin(); err != nil {
		return err
	}
	frames, err := s.log.read()
	if err != nil {
		return err
	}
	return s.replay(frames)
}

// replay makes the changes of frames, in order.
func (s *Store) replay(frames [][]byte) error {
	for _, content := range frames {
		if err := s.replayFrame(content); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) replayFrame(content []byte) error {
	for d := (decoder{rest: content}); len(d.rest) > 0; {
		issuer := d.string()
		v := newView(s.space(issuer), s.pending.tx, issuer)
		for changes := (decoder{rest: d.take(uint64(d.small()))}); len(changes.rest) > 0; {
			c := changes.logged()
			if changes.bad || d.bad {
				return errDamaged
			}
			if err := v.redo(c); err != nil {
				return err
			}
		}
		if d.bad {
			return errDamaged
		}
		s.keep(v)
	}
	return nil
}

// keep remembers the space of an issuer that a view has written to. What it has noted for the log must have been copied.
func (s *Store) keep(v *view) {
	v.room = v.changes
	if v.root != nil {
		s.pending.spaces[v.issuer] = v.space
	}
}
