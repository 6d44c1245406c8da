package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tokenboundary/tokenboundary/store"
)

// Commit implements store.Store. Once it has begun, it no longer depends on ctx, but on Options.Timeout.
func (s *Store) Commit(ctx context.Context, txs []store.Tx) []error {
	errs := make([]error, len(txs))
	if len(txs) == 0 {
		return errs
	}
	failed := func(err error) []error {
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	if err := ctx.Err(); err != nil {
		return failed(err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.opts.Timeout)
	defer cancel()
	var err error
	for range attempts {
		if err = s.commit(ctx, txs, errs); !again(err) {
			break
		}
	}
	if err != nil {
		s.unlearn(err)
		return failed(fmt.Errorf("postgres: commit: %w", hide(err)))
	}
	return errs
}

// commit judges txs and writes what they come to, in one transaction of the database. The results are in errs; an error
// concerns all.
func (s *Store) commit(ctx context.Context, txs []store.Tx, errs []error) error {
	slice := &slice{store: s, spaces: map[string]*space{}}
	for _, tx := range txs {
		if err := slice.note(ctx, tx); err != nil {
			return err
		}
	}
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	err = slice.commit(ctx, conn, txs, errs)
	if err != nil && !conn.Conn().IsClosed() {
		if _, undone := conn.Exec(ctx, "ROLLBACK"); undone != nil {
			conn.Conn().Close(ctx) //nolint:errcheck // the pool discards it
		}
	}
	return err
}

// slice is the transactions of one commit, with the state of every issuer that they name.
type slice struct {
	store  *Store
	spaces map[string]*space
	order  []*space // as they are locked: by number, so that two commits never wait for each other
}

// note takes down what a transaction is going to read.
func (s *slice) note(ctx context.Context, tx store.Tx) error {
	sp := s.spaces[tx.Issuer]
	if sp == nil && (tx.Issuer == "" || len(tx.Issuer) > store.MaxKey) { // is refused before anything is read
		s.spaces[tx.Issuer] = newSpace(tx.Issuer, 0)
		return nil
	}
	if sp == nil {
		number, err := s.store.enlist(ctx, tx.Issuer)
		if err != nil {
			return err
		}
		sp = newSpace(tx.Issuer, number)
		s.spaces[tx.Issuer] = sp
		at, _ := slices.BinarySearchFunc(s.order, number, func(o *space, n int64) int { return cmp.Compare(o.number, n) })
		s.order = slices.Insert(s.order, at, sp)
	}
	if sp.number != 0 {
		sp.note(tx)
	}
	return nil
}

func (s *slice) commit(ctx context.Context, conn *pgxpool.Conn, txs []store.Tx, errs []error) error {
	if err := s.load(ctx, conn); err != nil {
		return err
	}
	for i, tx := range txs {
		sp := s.spaces[tx.Issuer]
		errs[i] = store.Apply(sp, tx)
		if sp.failed != nil {
			return sp.failed
		}
	}
	b := &pgx.Batch{}
	for _, sp := range s.order {
		sp.write(b, s.store)
	}
	b.Queue("COMMIT")
	return conn.SendBatch(ctx, b).Close()
}

// load locks the issuers, in their order, and reads all that the transactions name, in one round trip.
func (s *slice) load(ctx context.Context, conn *pgxpool.Conn) error {
	b := &pgx.Batch{}
	b.Queue("BEGIN ISOLATION LEVEL READ COMMITTED")
	s.store.limit(b)
	for _, sp := range s.order {
		sp.query(b, s.store)
	}
	results := conn.SendBatch(ctx, b)
	defer results.Close() //nolint:errcheck // what went wrong was seen when it was read
	for range 2 {
		if _, err := results.Exec(); err != nil {
			return err
		}
	}
	for _, sp := range s.order {
		if err := errors.Join(sp.load(results), sp.loadExpired(results)); err != nil {
			return err
		}
	}
	return results.Close()
}

// limit bounds the statements of a transaction, in the database.
func (s *Store) limit(b *pgx.Batch) {
	b.Queue(s.sql.bound, s.bound())
}

// bound is how long a statement may take, as the database writes it.
func (s *Store) bound() string { return fmt.Sprintf("%dms", s.opts.Timeout.Milliseconds()) }

// number returns the number of an issuer; zero where nothing was ever committed for it.
func (s *Store) number(ctx context.Context, issuer string) (int64, error) {
	s.mu.RLock()
	n, known := s.issuers[issuer]
	s.mu.RUnlock()
	if known {
		return n, nil
	}
	err := s.pool.QueryRow(ctx, s.sql.number, []byte(issuer)).Scan(&n)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return 0, nil
	case err != nil:
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.issuers) < maxIssuers {
		s.issuers[issuer] = n
	}
	return n, nil
}

// unlearn forgets the numbers of issuers where an error says that they are those of others.
func (s *Store) unlearn(err error) {
	if errors.Is(err, errReplaced) {
		s.mu.Lock()
		defer s.mu.Unlock()
		clear(s.issuers)
	}
}

// maxIssuers is how many numbers of issuers are remembered.
const maxIssuers = 100_000

// enlist returns the number of an issuer, and gives it one where it has none.
func (s *Store) enlist(ctx context.Context, issuer string) (int64, error) {
	n, err := s.number(ctx, issuer)
	if n != 0 || err != nil {
		return n, err
	}
	if _, err := s.pool.Exec(ctx, s.sql.enlist, []byte(issuer), packTime(zeroTime)); err != nil {
		return 0, err
	}
	return s.number(ctx, issuer)
}
