package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// schemaVersion is the version of the schema that this package reads and writes.
const schemaVersion = 2

// migrations bring the schema from one version to the next: the first makes version 1. A statement says {s} where the
// schema's name stands. A migration that has been released is never changed.
var migrations = [schemaVersion][]string{{
	`CREATE TABLE {s}.issuers (
		id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
		name bytea NOT NULL UNIQUE,
		clock bytea NOT NULL,
		seq bigint NOT NULL)`,
	`CREATE TABLE {s}.records (
		issuer bigint NOT NULL,
		id bytea NOT NULL,
		issued timestamptz NOT NULL,
		envelope bytea NOT NULL,
		body bytea,
		selectors bytea NOT NULL,
		PRIMARY KEY (issuer, id, issued)) PARTITION BY RANGE (issued)`,
	`CREATE TABLE {s}.records_rest PARTITION OF {s}.records DEFAULT`,
	`CREATE TABLE {s}.carriers (
		issuer bigint NOT NULL,
		selector bytea NOT NULL,
		issued timestamptz NOT NULL,
		id bytea NOT NULL,
		PRIMARY KEY (issuer, selector, issued, id)) PARTITION BY RANGE (issued)`,
	`CREATE TABLE {s}.carriers_rest PARTITION OF {s}.carriers DEFAULT`,
	`CREATE TABLE {s}.heads (
		issuer bigint NOT NULL,
		sum bytea NOT NULL,
		key bytea NOT NULL,
		version bigint NOT NULL,
		state bytea NOT NULL,
		value bytea,
		count bigint NOT NULL,
		expires bytea,
		PRIMARY KEY (issuer, sum))`,
	`CREATE INDEX heads_expires ON {s}.heads (issuer, expires) WHERE expires IS NOT NULL`,
	`CREATE TABLE {s}.marks (
		issuer bigint NOT NULL,
		sum bytea NOT NULL,
		kind bytea NOT NULL,
		value bytea NOT NULL,
		cut boolean NOT NULL,
		before bytea NOT NULL,
		blocked boolean NOT NULL,
		seq bigint NOT NULL,
		PRIMARY KEY (issuer, sum))`,
	`CREATE TABLE {s}.revocations (
		issuer bigint NOT NULL,
		seq bigint NOT NULL,
		kind bytea NOT NULL,
		value bytea NOT NULL,
		action bytea NOT NULL,
		at bytea NOT NULL,
		before bytea NOT NULL,
		reason bytea NOT NULL,
		by bytea NOT NULL,
		PRIMARY KEY (issuer, seq))`,
}, {
	`CREATE INDEX records_issued ON {s}.records (issuer, issued, id)`,
}}

// Migrate makes the schema, or brings it up to this version, in one transaction: all of it or nothing. It refuses a schema of a
// later version. Several nodes may call it at once. The role needs CREATE on the database where the schema is not there yet,
// and must own it where it is.
func Migrate(ctx context.Context, connection string, opts Options) error {
	opts, err := opts.complete()
	if err != nil {
		return err
	}
	cfg, err := pgx.ParseConfig(connection)
	if err != nil {
		return errors.New("postgres: not a connection string")
	}
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return fmt.Errorf("postgres: %w", hide(err))
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // what was committed is committed
	for range attempts {
		err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return migrate(ctx, tx, opts.Schema) })
		if !again(err) && !raced(err) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("postgres: migration: %w", err)
	}
	return nil
}

// migrate takes the schema from the version it has to the last, under a lock on what says which it is.
func migrate(ctx context.Context, tx pgx.Tx, schema string) error {
	for _, sql := range []string{
		`CREATE SCHEMA IF NOT EXISTS {s}`,
		`CREATE TABLE IF NOT EXISTS {s}.meta (one boolean PRIMARY KEY DEFAULT true CHECK (one), version int NOT NULL)`,
		`INSERT INTO {s}.meta (version) VALUES (0) ON CONFLICT DO NOTHING`,
	} {
		if _, err := tx.Exec(ctx, in(schema, sql)); err != nil {
			return err
		}
	}
	var version int
	if err := tx.QueryRow(ctx, in(schema, `SELECT version FROM {s}.meta FOR UPDATE`)).Scan(&version); err != nil {
		return err
	}
	if version > schemaVersion {
		return tooNew(version)
	}
	for _, step := range migrations[version:] {
		for _, sql := range step {
			if _, err := tx.Exec(ctx, in(schema, sql)); err != nil {
				return err
			}
		}
	}
	_, err := tx.Exec(ctx, in(schema, `UPDATE {s}.meta SET version = $1`), schemaVersion)
	return err
}

func tooNew(version int) error {
	return fmt.Errorf("the schema has version %d; this program knows %d", version, schemaVersion)
}

// raced reports that another node made the same thing at the same time.
func raced(err error) bool {
	switch code(err) {
	case "23505", "42P06", "42P07", "42710":
		return true
	}
	return false
}

// checkVersion refuses a schema that is not of this version.
func checkVersion(ctx context.Context, pool *pgxpool.Pool, schema string) error {
	var version int
	err := pool.QueryRow(ctx, in(schema, `SELECT version FROM {s}.meta`)).Scan(&version)
	switch {
	case code(err) == "42P01" || code(err) == "3F000":
		return fmt.Errorf("postgres: there is no schema %s: run the migration first", schema)
	case err != nil:
		return fmt.Errorf("postgres: %w", err)
	case version > schemaVersion:
		return fmt.Errorf("postgres: %w", tooNew(version))
	case version < schemaVersion:
		return fmt.Errorf("postgres: the schema has version %d, older than %d: run the migration first", version, schemaVersion)
	}
	return nil
}

// in returns a statement with the schema's name in it.
func in(schema, sql string) string { return strings.ReplaceAll(sql, "{s}", schema) }
