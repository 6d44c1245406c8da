package bolt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

var errReadOnly = errors.New("bolt: the store was opened read-only")

// writable reports why nothing can be written now.
func (s *Store) writable(ctx context.Context) error {
	if s.still {
		return errReadOnly
	}
	return ctx.Err()
}

// openReadOnly opens a store as it is. What its log holds is pending, as in any store, and never goes anywhere.
func openReadOnly(path string, o bbolt.Options) (*Store, error) {
	o.OpenFile = func(name string, _ int, _ os.FileMode) (*os.File, error) { return os.Open(name) }
	s := &Store{still: true, limit: logLimit}
	s.seen.Size = memoSize
	err := s.guard(func() error {
		if info, err := os.Stat(path); err != nil {
			return err
		} else if info.Size() == 0 {
			return errors.New("is not a store: it is empty")
		}
		var err error
		s.db, err = bbolt.Open(path, 0, &o)
		switch {
		case errors.Is(err, bolterrors.ErrTimeout):
			return ErrLocked
		case err != nil:
			return fmt.Errorf("is not a store: %w", err)
		}
		return s.recall(path)
	})
	if err != nil && s.db != nil {
		err = errors.Join(err, s.guard(s.release))
	}
	if err != nil {
		return nil, fmt.Errorf("bolt: %s: %w", path, err)
	}
	return s, nil
}

// recall makes pending what the log holds.
func (s *Store) recall(path string) error {
	if err := s.begin(); err != nil {
		return err
	}
	root := s.pending.tx.Cursor().Bucket().Root()
	if err := outline(path, int64(s.db.Info().PageSize), uint64(root)); err != nil {
		return err
	}
	isNew, err := checkFormat(s.pending.tx)
	switch {
	case err != nil:
		return err
	case isNew:
		return errors.New("is not a store: nothing is in it")
	}
	frames, err := s.readLog(path + logSuffix)
	if err != nil {
		return err
	}
	return s.replay(frames)
}

// readLog reads the log, which is not there where the store was closed.
func (s *Store) readLog(path string) ([][]byte, error) {
	counts, before, err := s.generations()
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) && counts == (generation{}) {
		s.log = logFile{file: noFile{}}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s.log = logFile{file: f, generation: counts}
	frames, err := s.log.read()
	if first := s.log.first; err == nil && counts != (generation{}) && first != (generation{}) && first != counts && first != before {
		err = fmt.Errorf("%s is the log of another store, or of another time", path)
	}
	return frames, err
}

// noFile is the log of a store that was closed.
type noFile struct{}

func (noFile) ReadAt([]byte, int64) (int, error)  { return 0, io.EOF }
func (noFile) WriteAt([]byte, int64) (int, error) { return 0, errReadOnly }
func (noFile) Sync() error                        { return nil }
func (noFile) Close() error                       { return nil }
func (noFile) Name() string                       { return "" }
