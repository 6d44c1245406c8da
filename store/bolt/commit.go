package bolt

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/store"
)

// linger is worth a few of the syncs that it saves.
const linger = time.Millisecond

// Linger implements store.Lingerer.
func (s *Store) Linger() time.Duration { return linger }

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, txs []store.Tx) []error {
	errs := make([]error, len(txs))
	if err := s.commit(ctx, txs, errs); err != nil {
		for i := range errs {
			errs[i] = err
		}
	}
	return errs
}

// commit sets the result of each tx, or fails for all.
func (s *Store) commit(ctx context.Context, txs []store.Tx, errs []error) error {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	if err := s.writable(ctx); err != nil {
		return err
	}
	var changes []byte
	err := s.write(func() (err error) {
		changes, err = s.apply(txs, errs)
		return err
	})
	if err != nil || len(changes) == 0 {
		return err
	}
	return s.stopAfter(s.persist(changes))
}

// persist makes what is pending durable, of which changes is what the log lacks.
func (s *Store) persist(changes []byte) error {
	if s.log.size+s.freed+int64(len(changes)) <= s.limit {
		return s.log.append(changes)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.guard(func() error { return s.checkpoint(newGeneration()) })
}

// stopAfter stops the store where err is not nil: it is not known what of a write is on the disk.
func (s *Store) stopAfter(err error) error {
	if err != nil {
		err = fmt.Errorf("bolt: a write failed and the store has stopped: %w", err)
		s.stopped.Store(&err)
	}
	return err
}

// apply judges and writes txs, and returns what the log has to say of it. An error, as opposed to one in errs, is the
// file's.
func (s *Store) apply(txs []store.Tx, errs []error) (changes []byte, err error) {
	var views []*view
	for i, t := range txs {
		at := slices.IndexFunc(views, func(v *view) bool { return v.issuer == t.Issuer })
		if at < 0 {
			at = len(views)
			views = append(views, newView(s.space(t.Issuer), s.pending.tx, t.Issuer))
		}
		errs[i] = store.Apply(views[at], t)
		if err := views[at].err; err != nil {
			return nil, err
		}
	}
	for _, v := range views {
		if err := v.flush(); err != nil {
			return nil, err
		}
		if len(v.changes) > 0 {
			changes = appendBytes(appendBytes(changes, v.issuer), v.changes)
			s.keep(v)
		}
	}
	return changes, nil
}

// write calls f, which changes what is pending. After an error what is pending is again what the log holds.
func (s *Store) write(f func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.opened(f)
	if err != nil && s.pending.tx != nil && s.stopped.Load() == nil {
		_ = s.stopAfter(s.guard(s.restore))
	}
	return err
}

// opened calls f unless the store is closed.
func (s *Store) opened(f func() error) error {
	return s.guard(func() error {
		if s.pending.tx == nil {
			return errClosed
		}
		return f()
	})
}

// view calls f with what there is of an issuer.
func (s *Store) view(ctx context.Context, issuer string, f func(*space) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opened(func() error { return f(s.space(issuer)) })
}

// indexed is view where f reads the index.
func (s *Store) indexed(ctx context.Context, issuer string, f func(*space) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.syncing.Lock() // what is pending can only be restored when the log has all of it
	defer s.syncing.Unlock()
	err := s.write(func() error { return newView(s.space(issuer), s.pending.tx, issuer).index() })
	if err != nil {
		return err
	}
	return s.view(ctx, issuer, f)
}

// guard calls f unless the store has stopped, and makes an error of the panics and faults by which bbolt answers
// damage to its own pages.
func (s *Store) guard(f func() error) (err error) {
	if stopped := s.stopped.Load(); stopped != nil {
		return *stopped
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errDamaged, p)
		}
	}()
	return f()
}
