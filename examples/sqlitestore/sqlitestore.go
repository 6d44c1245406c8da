// Package sqlitestore is a store.Store in a file of SQLite, in fewer than 300 lines of code: the example of
// docs/writing-a-store.md, which explains it. It keeps the whole contract, in the plainest way. Several processes of one
// machine may share a file.
package sqlitestore

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"os"
	"slices"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// version marks a file as a store ("to"), and says which schema it has.
const version = 0x746f<<16 | 1

// schema makes an empty database a store. What callers name is BLOB: compared byte by byte, and never taken for text.
const schema = `
CREATE TABLE clocks   (issuer BLOB, now BLOB, seq INT, PRIMARY KEY (issuer)) STRICT, WITHOUT ROWID;
CREATE TABLE records  (issuer BLOB, id BLOB, envelope BLOB, body BLOB, PRIMARY KEY (issuer, id)) STRICT;
CREATE TABLE carriers (issuer BLOB, kind BLOB, value BLOB, issued BLOB, id BLOB,
                       PRIMARY KEY (issuer, kind, value, issued, id)) STRICT, WITHOUT ROWID;
CREATE TABLE heads    (issuer BLOB, name BLOB, version INT, state BLOB, value BLOB, count INT, expires BLOB,
                       PRIMARY KEY (issuer, name)) STRICT, WITHOUT ROWID;
CREATE INDEX expiring ON heads (issuer, expires);
CREATE TABLE marks    (issuer BLOB, kind BLOB, value BLOB, cut INT, cutoff BLOB, blocked INT, seq INT,
                       PRIMARY KEY (issuer, kind, value)) STRICT, WITHOUT ROWID;
CREATE TABLE feed     (issuer BLOB, seq INT, kind BLOB, value BLOB, action BLOB, asked BLOB, cutoff BLOB, reason BLOB,
                       author BLOB, PRIMARY KEY (issuer, seq)) STRICT, WITHOUT ROWID;
PRAGMA user_version = %d`

// Store is a store.Store in a file. Its zero value is not usable; see Open.
type Store struct {
	db      *sql.DB
	writing sync.Mutex // held by the one Commit that is under way
}

// Open opens the store at path, which is made with mode 0600 if it is not there; its directory must be. It refuses the
// database of another program, and a store with another schema. The caller must Close the store.
func Open(ctx context.Context, path string) (*Store, error) {
	if f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o600); err == nil { // SQLite would let others read it
		_ = f.Close()
	}
	name := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(EXTRA)", "fullfsync(1)",
	}}.Encode()}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return nil, fmt.Errorf("sqlitestore: %w", err)
	}
	db.SetMaxOpenConns(8)
	db.SetMaxIdleConns(8)
	s := &Store{db: db}
	if err := s.in(ctx, "", false, prepare); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// prepare makes an empty database a store, and refuses what is none.
func prepare(v view) error {
	var have, tables int
	err := v.tx.QueryRowContext(v.ctx, `SELECT (SELECT user_version FROM pragma_user_version), count(*) FROM sqlite_schema`).Scan(&have, &tables)
	if err == nil && have == 0 && tables == 0 {
		_, err = v.tx.ExecContext(v.ctx, fmt.Sprintf(schema, version))
	} else if err == nil && have != version {
		err = fmt.Errorf("not a store with schema %x: %x", version, have)
	}
	return err
}

// Close closes the file. Calls under way come to their end, and later ones fail.
func (s *Store) Close() error { return s.db.Close() }

// in calls f in a transaction, which takes effect if f returns nil. An error of the contract is still found in what it returns.
func (s *Store) in(ctx context.Context, issuer string, readOnly bool, f func(v view) error) error {
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: readOnly})
	if err == nil {
		defer tx.Rollback() //nolint:errcheck // does nothing after Commit
		if err = f(view{ctx, tx, []byte(issuer)}); err == nil {
			err = tx.Commit()
		}
	}
	if err != nil {
		err = fmt.Errorf("sqlitestore: %w", err)
	}
	return err
}

// view is what there is of an issuer, in a transaction of the database. It is a store.View.
type view struct {
	ctx    context.Context
	tx     *sql.Tx
	issuer []byte
}

// args are what a statement has besides the issuer, or where the columns of a row go. Text is passed as bytes.
type args []any

func (v view) exec(query string, a ...any) error {
	_, err := v.tx.ExecContext(v.ctx, query, append(args{v.issuer}, a...)...)
	return err
}

// list reads rows of the issuer; into says where the columns of one go.
func list[T any](v view, query string, a args, into func(*T) args) (out []T, err error) {
	rows, err := v.tx.QueryContext(v.ctx, query, append(args{v.issuer}, a...)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err has it
	for err == nil && rows.Next() {
		var row T
		err = rows.Scan(into(&row)...)
		out = append(out, row)
	}
	return out, errors.Join(err, rows.Err())
}

// row reads the one row of the issuer that a selects, if it is there.
func (v view) row(query string, a args, into ...any) (found bool, err error) {
	rows, err := list(v, query, a, func(*struct{}) args { return into })
	return len(rows) > 0, err
}

// pack returns a time as bytes that are in the order of time, whatever the year: seconds with the sign turned, and nanoseconds.
// The zero time is empty, and before all others.
func pack(t time.Time) []byte {
	if t.IsZero() {
		return []byte{}
	}
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, uint64(t.Unix())^1<<63), uint32(t.Nanosecond()))
}

// packed is where a column with a time goes, which is zero before.
type packed struct{ *time.Time }

// Scan implements sql.Scanner.
func (p packed) Scan(column any) error {
	raw, _ := column.([]byte)
	if len(raw) == 12 {
		*p.Time = time.Unix(int64(binary.BigEndian.Uint64(raw)^1<<63), int64(binary.BigEndian.Uint32(raw[8:]))).UTC()
	} else if len(raw) != 0 {
		return errors.New("not a time")
	}
	return nil
}

// Clock implements store.View.
func (v view) Clock() (now time.Time, seq uint64, err error) {
	_, err = v.row(`SELECT now, seq FROM clocks WHERE issuer = ?`, nil, packed{&now}, &seq)
	return now, seq, err
}

// Record implements store.View.
func (v view) Record(id lineage.ID) (r lineage.Record, found bool, err error) {
	var envelope, body []byte
	found, err = v.row(`SELECT envelope, body FROM records WHERE issuer = ? AND id = ?`, args{id[:]}, &envelope, &body)
	if found && err == nil {
		if r, err = lineage.Decode(envelope, body); err == nil && r.ID() != id {
			err = errors.New("a record has the id of another")
		}
	}
	return r, found, err
}

// Head implements store.View.
func (v view) Head(key string) (store.Head, error) {
	h, count := store.Head{Key: key}, int64(0)
	_, err := v.row(`SELECT version, state, value, count, expires FROM heads WHERE issuer = ? AND name = ?`, args{[]byte(key)},
		&h.Version, &h.State, &h.Value, &count, packed{&h.Expires})
	h.Count = uint64(count)
	return h, err
}

// Mark implements store.View.
func (v view) Mark(sel lineage.Selector) (m lineage.Mark, err error) {
	_, err = v.row(`SELECT kind, value, cut, cutoff, blocked, seq FROM marks WHERE issuer = ? AND kind = ? AND value = ?`,
		args{[]byte(sel.Kind), []byte(sel.Value)}, &m.Selector.Kind, &m.Selector.Value, &m.Cut, packed{&m.Before}, &m.Blocked, &m.Seq)
	return m, err
}

// SetClock implements store.View. It also forgets heads that have expired: some of them, where all would take long.
func (v view) SetClock(now time.Time, seq uint64) error {
	if err := v.exec(`REPLACE INTO clocks VALUES (?, ?, ?)`, pack(now), seq); err != nil {
		return err
	}
	return v.exec(`DELETE FROM heads WHERE issuer = ?1 AND name IN (SELECT name FROM heads
		WHERE issuer = ?1 AND expires > x'' AND expires < ?2 ORDER BY expires LIMIT 1000)`, pack(now))
}

// PutRecord implements store.View.
func (v view) PutRecord(r lineage.Record) error {
	id, issued := r.ID(), pack(r.IssuedAt)
	err := v.exec(`INSERT INTO records VALUES (?, ?, ?, ?)`, id[:], r.Raw(), r.RawBody())
	for _, sel := range r.Selectors() {
		if err == nil {
			err = v.exec(`INSERT INTO carriers VALUES (?, ?, ?, ?, ?)`, []byte(sel.Kind), []byte(sel.Value), issued, id[:])
		}
	}
	return err
}

// PutHead implements store.View.
func (v view) PutHead(h store.Head) error {
	return v.exec(`REPLACE INTO heads VALUES (?, ?, ?, ?, ?, ?, ?)`,
		[]byte(h.Key), h.Version, []byte(h.State), h.Value, int64(h.Count), pack(h.Expires))
}

// PutMark implements store.View.
func (v view) PutMark(m lineage.Mark) error {
	return v.exec(`REPLACE INTO marks VALUES (?, ?, ?, ?, ?, ?, ?)`,
		[]byte(m.Selector.Kind), []byte(m.Selector.Value), m.Cut, pack(m.Before), m.Blocked, m.Seq)
}

// PutRevocation implements store.View.
func (v view) PutRevocation(r lineage.Revocation) error {
	return v.exec(`INSERT INTO feed VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, r.Seq, []byte(r.Selector.Kind), []byte(r.Selector.Value),
		[]byte(r.Action), pack(r.At), pack(r.Before), []byte(r.Reason), []byte(r.By))
}

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, txs []store.Tx) []error {
	s.writing.Lock()
	defer s.writing.Unlock()
	errs := make([]error, len(txs))
	err := s.in(ctx, "", false, func(v view) error {
		for i, tx := range txs {
			v.issuer = []byte(tx.Issuer)
			if errs[i] = store.Apply(v, tx); errs[i] != nil && !refused(errs[i]) {
				return errs[i]
			}
		}
		return nil
	})
	if err != nil {
		return slices.Repeat([]error{err}, len(txs))
	}
	return errs
}

// refused reports whether an error of store.Apply is the result of that one transaction, which has then written nothing.
func refused(err error) bool {
	return errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrBehind) || errors.Is(err, store.ErrInvalid)
}

// Linger implements store.Lingerer: a Commit waits for the disk, and costs much the same for many.
func (s *Store) Linger() time.Duration { return time.Millisecond }

// each reads one thing for each key, all at one moment.
func each[K, T any](ctx context.Context, s *Store, issuer string, keys []K, one func(view, K) (T, error)) ([]T, error) {
	out := make([]T, len(keys))
	err := s.in(ctx, issuer, true, func(v view) (err error) {
		for i := 0; i < len(keys) && err == nil; i++ {
			out[i], err = one(v, keys[i])
		}
		return err
	})
	if err != nil {
		out = nil
	}
	return out, err
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, issuer string, ids []lineage.ID) ([]store.Entry, error) {
	return each(ctx, s, issuer, ids, view.entry)
}

// entry returns a record with what was written about it later.
func (v view) entry(id lineage.ID) (e store.Entry, err error) {
	e.Record, _, err = v.Record(id)
	for _, sel := range e.Record.Selectors() {
		m, markErr := v.Mark(sel)
		h, headErr := v.Head(sel.String())
		err = errors.Join(err, markErr, headErr)
		if m != (lineage.Mark{}) {
			e.Marks = append(e.Marks, m)
		}
		if h.Version > 0 || h.Count > 0 {
			e.Heads = append(e.Heads, h)
		}
	}
	return e, err
}

// Heads implements store.Store.
func (s *Store) Heads(ctx context.Context, issuer string, keys []string) ([]store.Head, error) {
	return each(ctx, s, issuer, keys, view.Head)
}

// Revoked implements store.Store.
func (s *Store) Revoked(ctx context.Context, issuer string, sels []lineage.Selector) ([]lineage.Mark, error) {
	marks, err := each(ctx, s, issuer, sels, view.Mark)
	return slices.DeleteFunc(marks, func(m lineage.Mark) bool { return m == lineage.Mark{} }), err
}

// page is how many entries Scan and Feed read at once.
const page = 256

// pages yields page after page: next reads the one behind at, and moves at. While the caller has an entry, nothing is open in
// the database.
func pages[P, T any](ctx context.Context, s *Store, issuer string, at P, next func(v view, at *P) ([]T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for at := at; ; {
			part, err := each(ctx, s, issuer, []*P{&at}, next)
			if err != nil {
				yield(*new(T), err)
				return
			}
			for _, one := range part[0] {
				if !yield(one, nil) {
					return
				}
			}
			if len(part[0]) < page {
				return
			}
		}
	}
}

// Scan implements store.Store.
func (s *Store) Scan(ctx context.Context, issuer string, sel lineage.Selector, from store.Position) iter.Seq2[lineage.Record, error] {
	return pages(ctx, s, issuer, from, func(v view, at *store.Position) ([]lineage.Record, error) { return v.scan(sel, at) })
}

// scan reads what comes next of the records that carry the selector.
func (v view) scan(sel lineage.Selector, at *store.Position) (out []lineage.Record, err error) {
	last, found, err := v.Record(at.After)
	if err == nil && !found && !at.After.IsZero() {
		err = fmt.Errorf("%w: scan from an unknown record", store.ErrInvalid)
	}
	if err != nil {
		return nil, err
	}
	issued, id := pack(at.Since), []byte{}
	if behind := pack(last.IssuedAt); bytes.Compare(behind, issued) >= 0 {
		issued, id = behind, at.After[:]
	}
	rows, err := list(v, `SELECT r.envelope, r.body FROM carriers c LEFT JOIN records r USING (issuer, id)
		WHERE c.issuer = ? AND c.kind = ? AND c.value = ? AND (c.issued, c.id) > (?, ?) ORDER BY c.issued, c.id LIMIT ?`,
		args{[]byte(sel.Kind), []byte(sel.Value), issued, id, page}, func(r *[2][]byte) args { return args{&r[0], &r[1]} })
	for i := 0; i < len(rows) && err == nil; i++ {
		last, err = lineage.Decode(rows[i][0], rows[i][1])
		out, at.After = append(out, last), last.ID()
	}
	return out, err
}

// Feed implements store.Store.
func (s *Store) Feed(ctx context.Context, issuer string, after uint64) iter.Seq2[lineage.Revocation, error] {
	return pages(ctx, s, issuer, after, view.feed)
}

// feed reads what comes next in the feed: the very next entry and those behind it, or nothing behind the newest.
func (v view) feed(at *uint64) (out []lineage.Revocation, err error) {
	_, newest, err := v.Clock()
	if err != nil || *at == newest {
		return nil, err
	}
	out, err = list(v, `SELECT seq, kind, value, action, asked, cutoff, reason, author FROM feed
		WHERE issuer = ? AND seq > ? ORDER BY seq LIMIT ?`, args{min(*at, newest), page}, func(r *lineage.Revocation) args {
		return args{&r.Seq, &r.Selector.Kind, &r.Selector.Value, &r.Action, packed{&r.At}, packed{&r.Before}, &r.Reason, &r.By}
	})
	if err == nil && (len(out) == 0 || out[0].Seq != *at+1) {
		return nil, store.ErrGone
	}
	*at += uint64(len(out))
	return out, err
}
