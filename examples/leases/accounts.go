package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/broker"
)

// accounts is a provider of accounts of a PostgreSQL server: a role for each lease, which is a member of the roles that its
// scopes stand for, and is dropped when the lease is over. It is named after the lease, so that it is found again whatever
// became of the process that made it.
//
// The pool connects as a role that may make others (CREATEROLE) and give the memberships, and that is not a superuser. Its
// statements should end on the server before broker.Config.Timeout does (statement_timeout).
type accounts struct {
	pool  *pgxpool.Pool
	roles map[string]string // by scope
}

// Fetch implements broker.Provider. The server ends the account with the lease, if nobody else does.
func (a accounts) Fetch(ctx context.Context, lease tokenboundary.Lease) (broker.Issued, error) {
	name, password := roleOf(lease), rand.Text()
	verifier, err := scram(password)
	if err != nil {
		return broker.Issued{}, err
	}
	create := fmt.Sprintf("CREATE ROLE %s LOGIN CONNECTION LIMIT 4 PASSWORD '%s' VALID UNTIL '%s'",
		quoted(name), verifier, lease.ExpiresAt.UTC().Format(time.RFC3339))
	err = pgx.BeginFunc(ctx, a.pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, create)
		for _, scope := range lease.Scopes {
			role, known := a.roles[scope]
			if !known {
				return errors.Join(tokenboundary.ErrDenied, broker.PublicError("a scope stands for no role"))
			}
			if err == nil {
				_, err = tx.Exec(ctx, "GRANT "+quoted(role)+" TO "+quoted(name))
			}
		}
		return err
	})
	if err != nil {
		return broker.Issued{}, err
	}
	return broker.Issued{Secret: broker.NewSecret(map[string]string{"username": name, "password": password})}, nil
}

// Revoke implements broker.Provider: nobody can log in any more, who has is cut off, and the role is dropped.
func (a accounts) Revoke(ctx context.Context, lease tokenboundary.Lease) error {
	var id uint32
	name := roleOf(lease)
	switch err := a.pool.QueryRow(ctx, "SELECT oid FROM pg_roles WHERE rolname = $1", name).Scan(&id); {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	if _, err := a.pool.Exec(ctx, "ALTER ROLE "+quoted(name)+" NOLOGIN"); err != nil {
		return err
	}
	if err := a.cut(ctx, id); err != nil {
		return err
	}
	for _, statement := range []string{"DROP OWNED BY ", "DROP ROLE "} { // what it was granted, and what it has made, in this database
		if _, err := a.pool.Exec(ctx, statement+quoted(name)); err != nil {
			return err
		}
	}
	return a.cut(ctx, id) // who was logging in meanwhile
}

// cut ends the connections of a role, and waits for that.
func (a accounts) cut(ctx context.Context, id uint32) error {
	var left int
	err := a.pool.QueryRow(ctx,
		"SELECT count(*) FILTER (WHERE NOT pg_terminate_backend(pid, 2000)) FROM pg_stat_activity WHERE usesysid = $1", id).Scan(&left)
	if err == nil && left > 0 {
		err = fmt.Errorf("%d connections are still there", left)
	}
	return err
}

// roleOf returns the name of the account that belongs to a lease.
func roleOf(lease tokenboundary.Lease) string { return "lease_" + lease.ID.String() }

func quoted(name string) string { return pgx.Identifier{name}.Sanitize() }
