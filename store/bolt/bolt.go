// Package bolt is the durable store for one node: one file, no server. Several processes that share their state need
// a store with a server instead.
//
// A commit is one synced write, whatever the number of its transactions; put [store.Coalesce] in front so that concurrent
// callers share it. It goes to a log, a second file with the name of the first and "-wal", and from there to the first from
// time to time, which everything waits for. Every value is checked when it is read, and a record against its address:
// damage is an error, never another answer.
//
// Close leaves everything in the first file. Until then, and after a crash, the two belong together: a copy is one of both,
// of the same moment, as a snapshot of the file system makes it. Open refuses the one without the other, and the log of
// another store.
//
// After a write that failed the state of the file is unknown, and no second sync can tell. The store then stops: every
// later call returns that error, and the state is what a new [Open] finds.
package bolt

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
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
	// ReadOnly opens a store that is there, as it is: neither its file nor its log is written, nor need they be writable.
	// Commit and Forget fail. A file that is damaged so badly that reading it might never end is refused.
	ReadOnly bool
}

// Store is a store.Store in a file. Its zero value is not usable; see Open.
type Store struct {
	db *bbolt.DB
	// syncing is held while a commit is under way. What it wrote can be seen before it is synced; Feed waits, because a
	// sequence number that was handed out must never come to mean another entry.
	syncing sync.RWMutex
	log     logFile // syncing guards it
	limit   int64   // how long the log may become
	freed   int64   // how much was forgotten since the last checkpoint, in bytes; syncing guards it
	still   bool    // nothing is written
	stopped atomic.Pointer[error]
	seen    memo

	mu      sync.Mutex
	pending pending
}

var (
	_ store.Lingerer  = (*Store)(nil)
	_ store.Forgetter = (*Store)(nil)
)

// mapped is how much of the file is mapped at least, in bytes. Where the file outgrows the map, bbolt copies all that is
// pending.
const mapped = 16 << 20

var errClosed = errors.New("bolt: the store is closed")

// ErrLocked is wrapped by the error of Open where another Store, of this or another process, has the file open.
var ErrLocked = errors.New("already open")

// Open opens the store at path, which is made with mode 0600 if it is not there; its directory must be. At most one
// Options is used. It refuses a file that is no store, or one of a format that it does not know, and leaves it as it
// is. The caller must Close the store.
func Open(path string, options ...Options) (*Store, error) {
	o := bbolt.Options{Timeout: time.Second, FreelistType: bbolt.FreelistMapType, InitialMmapSize: mapped}
	if len(options) > 0 && options[0].LockTimeout > 0 {
		o.Timeout = options[0].LockTimeout
	}
	if len(options) > 0 && options[0].ReadOnly {
		return openReadOnly(path, o)
	}
	s, err := open(path, o)
	if err != nil {
		return nil, fmt.Errorf("bolt: %s: %w", path, err)
	}
	return s, nil
}

func open(path string, o bbolt.Options) (_ *Store, err error) {
	s := &Store{limit: logLimit}
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
		// A process that was killed may have left what it had not synced. What is read here is made durable before bbolt
		// writes over pages that only what was there before it refers to.
		if err := s.db.Sync(); err != nil {
			return err
		}
		return s.prepare(path)
	})
	if err != nil && s.db != nil {
		return nil, errors.Join(err, s.release())
	}
	return s, err
}

// prepare checks the file's format, makes a new file one of ours, and takes over what the log holds.
func (s *Store) prepare(path string) error {
	if err := s.begin(); err != nil {
		return err
	}
	isNew, err := checkFormat(s.pending.tx)
	if err == nil && isNew {
		err = writeFormat(s.pending.tx)
	}
	if err != nil {
		return err
	}
	frames, err := s.openLog(path+logSuffix, isNew)
	if err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return err
	}
	if err := s.replay(frames); err != nil {
		return err
	}
	return s.checkpoint(newGeneration())
}

// openLog opens the log, and reads it. It must be there if there may be something in it that counts, and it must be that of
// this store.
func (s *Store) openLog(path string, isNew bool) (frames [][]byte, err error) {
	counts, before, err := s.generations()
	if err != nil {
		return nil, err
	}
	flags := os.O_RDWR
	if counts == (generation{}) {
		flags |= os.O_CREATE
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, err
	}
	s.log = logFile{file: f, generation: counts}
	if frames, err = s.log.read(); err != nil {
		return nil, err
	}
	switch first := s.log.first; {
	case isNew && first != generation{}:
		return nil, fmt.Errorf("is not there, but its log is: %s", path)
	case counts != generation{} && first != generation{} && first != counts && first != before:
		return nil, fmt.Errorf("%s is the log of another store, or of another time", path)
	}
	return frames, f.Sync() // like the store: what it begins with is relied on from now on
}

// syncDir makes the entries of the files in their directory durable. It is done at every Open: the one that made the files
// may not have come so far.
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

// Close waits for the calls under way and closes the file. Calls that come later fail. Where it returns an error, nothing
// that was committed is lost.
func (s *Store) Close() error {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending.tx == nil || s.stopped.Load() != nil || s.still {
		return s.release()
	}
	if err := s.guard(func() error { return s.checkpoint(generation{}) }); err != nil {
		return errors.Join(err, s.release())
	}
	log := s.log.Name()
	err := s.closeLog()
	_ = os.Remove(log) // nothing in it counts; while the store is locked, it is nobody else's
	return errors.Join(err, s.release())
}

// release gives up what is pending and closes the files.
func (s *Store) release() error {
	if s.pending.stuck {
		return errors.Join(errDamaged, s.closeLog()) // db.Close would wait for ever
	}
	s.abandon()
	return errors.Join(s.closeLog(), s.db.Close())
}

func (s *Store) closeLog() error {
	if s.log.file == nil {
		return nil
	}
	defer func() { s.log.file = nil }()
	return s.log.Close()
}
