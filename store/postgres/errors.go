package postgres

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
)

// attempts is how often a commit is tried that the database gave up for certain.
const attempts = 8

// code returns the SQLSTATE of an error that the database answered with.
func code(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// errReplaced says that the number under which an issuer was kept is no longer its own.
var errReplaced = errors.New("the database was replaced under the store, and holds another issuer in the place of this one, or none")

// again reports whether the database says that it has undone everything, and that the same may succeed next time: a
// serialisation failure or a deadlock. "Completion unknown" (40003) is not among them.
func again(err error) bool {
	switch code(err) {
	case "40001", "40P01":
		return true
	}
	return false
}

// hide returns an error without what may hold a password: a connection string. Why no connection was made stays in it.
func hide(err error) error {
	var parse *pgconn.ParseConfigError
	var connect *pgconn.ConnectError
	switch {
	case errors.As(err, &parse):
		return errors.New("not a connection string")
	case errors.As(err, &connect):
		return fmt.Errorf("cannot connect to %s:%d: %w", connect.Config.Host, connect.Config.Port, errors.Unwrap(connect))
	}
	return err
}
