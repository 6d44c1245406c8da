// Package bolt is the durable store for one node: one file, no server. Several processes that share their state need
// a store with a server instead.
//
// A commit is one synced write of the file, whatever the number of its transactions; put [store.Coalesce] in front so
// that concurrent callers share it. Every value is checked when it is read, and a record against its address: damage
// is an error, never another answer.
//
// After a write that failed the state of the file is unknown, and no second sync can tell. The store then stops: every
// later call returns that error, and the state is what a new [Open] finds.
package bolt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/tokenboundary/tokenboundary/store"
)

// Options are what Open can be told. The zero value is the default.
type Options struct {
	// LockTimeout is how long Open waits for another process to let go of the file. Zero means one second.
	LockTimeout time.Duration
}

// Store is a store.Store in a file. Its zero value is not usable; see Open.
type Store struct {
	db *bbolt.DB
	// syncing is held while a commit is under way. A written page can be seen before it is synced; Feed waits, because
	// a sequence number that was handed out must never come to mean another entry.
	syncing sync.RWMutex
	stopped atomic.Pointer[error]
	seen    memo
}

var _ store.Lingerer = (*Store)(nil)

// linger is worth a few of the syncs that it saves.
const linger = time.Millisecond

var errClosed = errors.New("bolt: the store is closed")

// ErrLocked is wrapped by the error of Open where another Store, of this or another process, has the file open.
var ErrLocked = errors.New("already open")

// Open opens the store at path, which is made with mode 0600 if it is not there; its directory must be. At most one
// Options is used. It refuses a file that is no store, or one of a format that it does not know, and leaves it as it
// is. The caller must Close the store.
func Open(path string, options ...Options) (*Store, error) {
	o := bbolt.Options{Timeout: time.Second, FreelistType: bbolt.FreelistMapType}
	if len(options) > 0 && options[0].LockTimeout > 0 {
		o.Timeout = options[0].LockTimeout
	}
	s, err := open(path, o)
	if err != nil {
		return nil, fmt.Errorf("bolt: %s: %w", path, err)
	}
	return s, nil
}

func open(path string, o bbolt.Options) (_ *Store, err error) {
	s := &Store{}
	s.seen.Size = memoSize
	err = s.guard(func() (err error) {
		s.db, err = bbolt.Open(path, 0o600, &o)
		var system syscall.Errno
		switch {
		case errors.Is(err, bolterrors.ErrTimeout):
			return ErrLocked
		case err != nil && !errors.As(err, &system):
			return fmt.Errorf("is not a store: %w", err)
		case err != nil:
			return err
		}
		return s.prepare(filepath.Dir(path))
	})
	if err != nil && s.db != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	return s, err
}

// prepare checks the file's format, and makes a new file one of ours.
func (s *Store) prepare(dir string) error {
	isNew := false
	err := s.db.View(func(tx *bbolt.Tx) (err error) {
		isNew, err = checkFormat(tx)
		return err
	})
	if err == nil && isNew {
		err = s.db.Update(writeFormat)
	}
	if err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes the file's entry in its directory durable. It is done at every Open: the one that made the file may not
// have come so far.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // a directory cannot be synced there
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Close waits for the calls under way and closes the file. Calls that come later fail.
func (s *Store) Close() error {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	return s.db.Close()
}

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

// errNothing rolls a transaction back because it has written nothing.
var errNothing = errors.New("bolt: nothing to write")

// commit sets the result of each tx, or fails for all.
func (s *Store) commit(ctx context.Context, txs []store.Tx, errs []error) error {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	unclear := false // an error does not mean that nothing was written
	err := s.guard(func() error {
		return s.db.Update(func(tx *bbolt.Tx) error {
			unclear = true
			dirty, err := s.apply(tx, txs, errs)
			if err == nil && !dirty {
				err = errNothing
			}
			unclear = err == nil
			return err
		})
	})
	switch {
	case errors.Is(err, errNothing):
		return nil
	case err != nil && unclear:
		err = fmt.Errorf("bolt: a write failed and the store has stopped: %w", err)
		s.stopped.Store(&err)
	}
	return err
}

// apply judges and writes txs. An error, as opposed to one in errs, is the file's, and nothing may be kept.
func (s *Store) apply(tx *bbolt.Tx, txs []store.Tx, errs []error) (dirty bool, err error) {
	views := map[string]*view{}
	for i, t := range txs {
		v := views[t.Issuer]
		if v == nil {
			v = newView(s.space(tx, t.Issuer), tx, t.Issuer)
			views[t.Issuer] = v
		}
		errs[i] = store.Apply(v, t)
		if v.err != nil {
			return false, v.err
		}
	}
	for _, v := range views {
		if err := v.flush(); err != nil {
			return false, err
		}
		dirty = dirty || v.dirty
	}
	return dirty, nil
}

// view calls f in a read transaction.
func (s *Store) view(ctx context.Context, issuer string, f func(space) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) error { return f(s.space(tx, issuer)) })
	})
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
	if err = f(); errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
		err = errClosed
	}
	return err
}
