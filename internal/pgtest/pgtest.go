// Package pgtest finds the PostgreSQL server that tests run against.
package pgtest

import (
	"net"
	"os"
	"testing"
	"time"
)

// DSN returns the connection string of the server to test against: TOKENBOUNDARY_TEST_POSTGRES, or the one on the standard
// port. Where there is none the test is skipped, and fails where CI is set.
func DSN(t testing.TB) string {
	t.Helper()
	if dsn := os.Getenv("TOKENBOUNDARY_TEST_POSTGRES"); dsn != "" {
		return dsn
	}
	conn, err := net.DialTimeout("tcp", "127.0.0.1:5432", time.Second)
	if err == nil {
		_ = conn.Close()
		return "postgres://postgres@127.0.0.1:5432/test?sslmode=disable"
	}
	const why = "no PostgreSQL: set TOKENBOUNDARY_TEST_POSTGRES, or start a server at 127.0.0.1:5432"
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
	return ""
}
