// Package postgres is a store.Store in PostgreSQL. Any number of nodes may use one database.
//
// # Schema
//
// Everything lies in one schema of the database, which Migrate makes and brings up to date; Open refuses another version of
// it, older or newer. The role that serves needs USAGE on the schema and SELECT, INSERT, UPDATE and DELETE on its tables; only
// the one that migrates owns them. Neither is a superuser.
//
// # Consistency
//
// The commits of one issuer are serialised by a lock on its row, under which the conditions are read and judged; so the feed
// is in commit order without a gap, and store time never falls. One slice of transactions takes two round trips, however
// many they are: one that locks and reads all that they name, one that writes and commits. A commit that the database gave up
// for certain (a serialisation failure, a deadlock) is tried again. Where the answer to a commit is lost the outcome is
// unknown, and the error says so for every transaction of it.
//
// # Proxies
//
// A transaction of the store is a transaction of the database, and leaves nothing on the connection that it had: what it sets
// is set for itself alone (set_config with is_local), and it takes no advisory lock. So with Options.Pooled a proxy that pools
// transactions (PgBouncer, pool_mode = transaction) may stand between, for Migrate and Partition too. Nothing is prepared then,
// whether the proxy could keep prepared statements (max_prepared_statements) or not. LISTEN is the one thing that needs a session:
// Options.Listen. A proxy that pools statements cannot hold a transaction together: every commit through it fails.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tokenboundary/tokenboundary/store"
)

// Defaults of Options.
const (
	DefaultSchema  = "tokenboundary"
	DefaultTimeout = 5 * time.Second
)

// Options say how a database is used. The zero value is usable.
type Options struct {
	// Schema is the schema that everything lies in; empty: DefaultSchema. Lower-case letters, digits and underscores.
	Schema string
	// Timeout bounds each commit and each read, in the database as well; zero or less: DefaultTimeout. A commit that has
	// waited longer for the lock of its issuer fails.
	Timeout time.Duration
	// MaxConns is the size of the pool; zero: what the connection string says, or else four, or the number of processors.
	MaxConns int32
	// Pooled says that a proxy stands before the database that gives each transaction another connection (PgBouncer in
	// transaction mode). Nothing is then prepared, and what other nodes write is noticed by looking, not by being told
	// (Changed), unless Listen says where to be told.
	Pooled bool
	// Listen is where the store is told of what other nodes write (LISTEN): a connection of its own that stays the same, past the
	// proxy or through one in session mode. Empty: the connection string of Open, and nowhere where that is Pooled.
	Listen ConnString
	// Silent says that commits tell nobody of what they write, nor is anybody listened to: for a database without LISTEN and
	// NOTIFY. What other nodes write is then noticed by looking. It must be the same at every node.
	Silent bool
}

// ConnString is a connection string, which may hold a password. It does not show in print, in logs or in JSON.
type ConnString string

// String implements fmt.Stringer.
func (c ConnString) String() string {
	if c == "" {
		return ""
	}
	return "[hidden]"
}

// GoString implements fmt.GoStringer.
func (c ConnString) GoString() string { return c.String() }

// LogValue implements slog.LogValuer.
func (c ConnString) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText implements encoding.TextMarshaler, for JSON too.
func (c ConnString) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// Store is a store.Store. Make one with Open.
type Store struct {
	pool *pgxpool.Pool
	opts Options
	sql  statements

	forgets forgetStatements

	hints *listener // nil behind a proxy

	mu      sync.RWMutex
	issuers map[string]int64 // their numbers, which never change
}

var (
	_ store.Store  = (*Store)(nil)
	_ store.Hinter = (*Store)(nil)
	_ store.Looker = (*Store)(nil)
)

var schemaName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

// complete fills in the defaults.
func (o Options) complete() (Options, error) {
	if o.Schema == "" {
		o.Schema = DefaultSchema
	}
	if !schemaName.MatchString(o.Schema) {
		return o, errors.New("postgres: the schema's name is made of lower-case letters, digits and underscores")
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	return o, nil
}

// Open connects to the database that the connection string names (a URL or key=value, as of libpq; TLS is what its sslmode
// says), and makes sure that it holds this version of the schema, can be written, and keeps what it has confirmed. An error
// never repeats the connection string.
func Open(ctx context.Context, connection string, opts Options) (*Store, error) {
	opts, err := opts.complete()
	if err != nil {
		return nil, err
	}
	cfg, err := pgxpool.ParseConfig(connection)
	if err != nil {
		return nil, errors.New("postgres: not a connection string")
	}
	if opts.MaxConns > 0 {
		cfg.MaxConns = opts.MaxConns
	}
	if opts.Pooled {
		cfg.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	} else if _, set := cfg.ConnConfig.RuntimeParams[planMode]; !set {
		cfg.AfterConnect = planAnew
	}
	listen, err := opts.listening(cfg.ConnConfig)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", hide(err))
	}
	s := &Store{pool: pool, opts: opts, sql: statementsFor(opts.Schema), forgets: forgetStatementsFor(opts.Schema), issuers: map[string]int64{}}
	if err := s.recognise(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	if listen != nil {
		s.listen(listen)
	}
	return s, nil
}

const planMode = "plan_cache_mode"

// planAnew lets a connection plan what it has prepared each time. A plan that it keeps was perhaps made of tables that were
// empty, when every index looked as good as another: it then reads all records of an issuer where it should find one. Nor is
// anything compiled for it (JIT), which takes longer than all else. A database that has no such settings does without.
func planAnew(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `SELECT set_config($1, 'force_custom_plan', false), set_config('jit', 'off', false)`, planMode)
	if code(err) != "" {
		return nil
	}
	return err
}

// listening returns how the listener connects; nil where there is none.
func (o Options) listening(pool *pgx.ConnConfig) (*pgx.ConnConfig, error) {
	switch {
	case o.Silent && o.Listen != "":
		return nil, errors.New("postgres: there is nothing to listen to where all are silent")
	case o.Listen != "":
		cfg, err := pgx.ParseConfig(string(o.Listen))
		if err != nil {
			return nil, errors.New("postgres: not a connection string to listen by")
		}
		cfg.DefaultQueryExecMode = pgx.QueryExecModeExec // a proxy in session mode may know of no prepared statements
		return cfg, nil
	case o.Pooled, o.Silent:
		return nil, nil
	}
	return pool.Copy(), nil
}

// Close closes every connection. No call may be under way.
func (s *Store) Close() error {
	s.hints.close()
	s.pool.Close()
	return nil
}

// recognise refuses a database that is not what this package needs.
func (s *Store) recognise(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	var readOnly, durable string
	err := s.pool.QueryRow(ctx, `SELECT current_setting('transaction_read_only'), current_setting('synchronous_commit', true)`).
		Scan(&readOnly, &durable)
	switch {
	case err != nil:
		return fmt.Errorf("postgres: %w", hide(err))
	case readOnly != "off":
		return errors.New("postgres: the database cannot be written: a replica, or a session that is read-only")
	case durable == "off":
		return errors.New("postgres: synchronous_commit is off: what is confirmed could be lost in a crash")
	}
	return checkVersion(ctx, s.pool, s.opts.Schema)
}
