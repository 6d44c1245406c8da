package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const defaultDSN = "postgres://postgres@127.0.0.1:5432/test?sslmode=disable"

// database is a database with a table, for this run alone, and a role that may read it.
type database struct {
	pool   *pgxpool.Pool
	dsn    string
	schema string // and the name of the role
}

// openDatabase connects to the server of TOKENBOUNDARY_TEST_POSTGRES, or to that of this machine.
func openDatabase(ctx context.Context) (*database, error) {
	dsn := os.Getenv("TOKENBOUNDARY_TEST_POSTGRES")
	if dsn == "" {
		dsn = defaultDSN
	}
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("TOKENBOUNDARY_TEST_POSTGRES is not a connection string of PostgreSQL")
	}
	cfg.ConnConfig.RuntimeParams["statement_timeout"] = "5000" // ms: no statement outlasts the broker's patience
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	d := &database{pool: pool, dsn: dsn, schema: "sales_" + strings.ToLower(rand.Text()[:8])}
	if err := d.run(ctx, "CREATE SCHEMA %[1]s", "CREATE TABLE %[1]s.orders AS SELECT * FROM (VALUES (1, 250), (2, 125)) AS t (id, euros)",
		"CREATE ROLE %[1]s NOLOGIN", "GRANT USAGE ON SCHEMA %[1]s TO %[1]s", "GRANT SELECT ON %[1]s.orders TO %[1]s"); err != nil {
		pool.Close()
		return nil, fmt.Errorf("this needs a PostgreSQL server, by default at 127.0.0.1:5432: %w", err)
	}
	return d, nil
}

// close takes everything away again.
func (d *database) close(ctx context.Context) error {
	defer d.pool.Close()
	return d.run(ctx, "DROP SCHEMA %[1]s CASCADE", "DROP ROLE %[1]s")
}

func (d *database) run(ctx context.Context, statements ...string) error {
	for _, s := range statements {
		if _, err := d.pool.Exec(ctx, fmt.Sprintf(s, quoted(d.schema))); err != nil {
			return err
		}
	}
	return nil
}

// login connects with an account.
func (d *database) login(ctx context.Context, username, password string) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(d.dsn)
	if err != nil {
		return nil, err
	}
	cfg.User, cfg.Password = username, password
	return pgx.ConnectConfig(ctx, cfg)
}

// exists reports whether there is an account with the name.
func (d *database) exists(ctx context.Context, name string) (found bool, err error) {
	err = d.pool.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", name).Scan(&found)
	return found, err
}
