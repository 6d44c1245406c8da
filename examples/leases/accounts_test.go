package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/agent"
	"github.com/tokenboundary/tokenboundary/broker"
	"github.com/tokenboundary/tokenboundary/internal/pgtest"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store/bolt"
)

func open(t *testing.T) (*database, accounts) {
	t.Helper()
	t.Setenv("TOKENBOUNDARY_TEST_POSTGRES", pgtest.DSN(t))
	db, err := openDatabase(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.close(context.Background())) })
	return db, accounts{db.pool, map[string]string{"orders:read": db.schema}}
}

func lease(scopes ...string) tokenboundary.Lease {
	return tokenboundary.Lease{ID: lineage.ID{1, 2, 3, byte(os.Getpid()), byte(os.Getpid() >> 8)}, Scopes: scopes, ExpiresAt: time.Now().Add(time.Minute)}
}

// TestAnAccountIsTakenBackByItsLeaseAlone: with all its connections, and what it was granted; once more is nothing to do.
func TestAnAccountIsTakenBackByItsLeaseAlone(t *testing.T) {
	db, a := open(t)
	l := lease("orders:read")
	out, err := a.Fetch(t.Context(), l)
	require.NoError(t, err)
	require.Nil(t, out.Handle)
	_, err = a.Fetch(t.Context(), l)
	require.ErrorContains(t, err, "already exists")
	conn, err := db.login(t.Context(), out.Secret.Value("username"), out.Secret.Value("password"))
	require.NoError(t, err)
	require.NoError(t, a.Revoke(t.Context(), l))
	_, err = conn.Exec(t.Context(), "SELECT 1")
	require.ErrorContains(t, err, "terminating connection")
	there, err := db.exists(t.Context(), roleOf(l))
	require.NoError(t, err)
	require.False(t, there)
	require.NoError(t, a.Revoke(t.Context(), l))
}

// TestAnAccountHasNoMoreThanItsScopes: one that stands for no role refuses it whole, and leaves nothing.
func TestAnAccountHasNoMoreThanItsScopes(t *testing.T) {
	db, a := open(t)
	l := lease("orders:read", "orders:write")
	_, err := a.Fetch(t.Context(), l)
	require.ErrorIs(t, err, tokenboundary.ErrDenied)
	there, err := db.exists(t.Context(), roleOf(l))
	require.NoError(t, err)
	require.False(t, there)
}

// TestWhatCannotBeDroppedYetIsOfNoUse: nobody logs in any more, and another try ends it with what the account has made.
func TestWhatCannotBeDroppedYetIsOfNoUse(t *testing.T) {
	db, a := open(t)
	l := lease("orders:read")
	out, err := a.Fetch(t.Context(), l)
	require.NoError(t, err)
	require.NoError(t, db.run(t.Context(), "GRANT CREATE ON SCHEMA %[1]s TO "+quoted(roleOf(l))))
	login := func() (*pgx.Conn, error) {
		return db.login(t.Context(), out.Secret.Value("username"), out.Secret.Value("password"))
	}
	conn, err := login()
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "CREATE TABLE "+quoted(db.schema)+".made (x int)")
	require.NoError(t, err)
	busy, err := db.pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = busy.Exec(t.Context(), "LOCK TABLE "+quoted(db.schema)+".made")
	require.NoError(t, err)
	brief, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.ErrorIs(t, a.Revoke(brief, l), context.DeadlineExceeded)
	_, err = login()
	require.ErrorContains(t, err, "is not permitted to log in")
	require.NoError(t, busy.Rollback(t.Context()))
	require.NoError(t, a.Revoke(t.Context(), l))
	there, err := db.exists(t.Context(), roleOf(l))
	require.NoError(t, err)
	require.False(t, there)
}

// TestThePasswordIsWhatTheServerKeeps: the verifier is that of the password, by the server's own account of one.
func TestThePasswordIsWhatTheServerKeeps(t *testing.T) {
	db, a := open(t)
	l := lease()
	_, err := a.Fetch(t.Context(), l)
	require.NoError(t, err)
	defer func() { require.NoError(t, a.Revoke(context.Background(), l)) }()
	var kept, until string
	require.NoError(t, db.pool.QueryRow(t.Context(), "SELECT rolpassword, rolvaliduntil::text FROM pg_authid WHERE rolname = $1", roleOf(l)).Scan(&kept, &until))
	require.True(t, strings.HasPrefix(kept, "SCRAM-SHA-256$4096:"), "it came as a verifier, and was not taken for a password")
	require.NotEmpty(t, until)
}

// dying is a provider whose process is gone before it can say what it has made.
type dying struct{ accounts }

func (d dying) Fetch(ctx context.Context, l tokenboundary.Lease) (broker.Issued, error) {
	if _, err := d.accounts.Fetch(ctx, l); err != nil {
		return broker.Issued{}, err
	}
	os.Exit(9)
	return broker.Issued{}, nil
}

const patience = 300 * time.Millisecond // of a broker with its provider

func salesBroker(t *testing.T, g *tokenboundary.Governor, p broker.Provider) *broker.Broker {
	b, err := broker.New(broker.Config{
		Governor: g, Client: tokenboundary.Client{ID: "sales-db", Kind: tokenboundary.KindResource, Resource: sales, Connections: []string{"sales"}},
		Providers: map[string]broker.Provider{"sales": p}, Timeout: patience,
	})
	require.NoError(t, err)
	return b
}

// TestWhatACrashLeavesIsTakenBack: a process ends between the account and the book of leases, and the next one drops it.
func TestWhatACrashLeavesIsTakenBack(t *testing.T) {
	dir := os.Getenv("LEASES_CRASH_DIR")
	if dir != "" {
		crash(t, dir)
		t.Fatal("alive")
	}
	db, a := open(t)
	dir = t.TempDir()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestWhatACrashLeavesIsTakenBack$")
	child.Env = append(os.Environ(), "LEASES_CRASH_DIR="+dir, "LEASES_ROLE="+db.schema)
	said, err := child.CombinedOutput()
	require.ErrorContains(t, err, "exit status 9", "%s", said)
	state, err := bolt.Open(filepath.Join(dir, "state"))
	require.NoError(t, err)
	defer state.Close() //nolint:errcheck // of this test alone
	g, _, err := newBoundary(t.Context(), state)
	require.NoError(t, err)
	left := func() (n int) {
		require.NoError(t, db.pool.QueryRow(t.Context(), "SELECT count(*) FROM pg_auth_members WHERE roleid = $1::regrole", quoted(db.schema)).Scan(&n))
		return n
	}
	require.Equal(t, 1, left(), "control: the account was left")
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- salesBroker(t, g, a).Run(ctx) }()
	require.Eventually(t, func() bool { return left() == 0 }, time.Minute, 20*time.Millisecond)
	stop()
	require.ErrorIs(t, <-stopped, context.Canceled)
}

// crash is the process that ends.
func crash(t *testing.T, dir string) {
	pool, err := pgxpool.New(t.Context(), os.Getenv("TOKENBOUNDARY_TEST_POSTGRES"))
	require.NoError(t, err)
	state, err := bolt.Open(filepath.Join(dir, "state"))
	require.NoError(t, err)
	g, self, err := newBoundary(t.Context(), state)
	require.NoError(t, err)
	session, err := agent.Start(t.Context(), agent.Config{Boundary: agent.Local{Governor: g, Client: self}, Task: tokenboundary.TaskSpec{
		Purpose: "quarterly report", Authority: []lineage.Access{{Resource: sales, Scopes: []string{"orders:read"}}},
	}})
	require.NoError(t, err)
	token, err := session.Token(t.Context(), agent.Call{Resource: sales, Scopes: []string{"orders:read"}})
	require.NoError(t, err)
	provider := dying{accounts{pool, map[string]string{"orders:read": os.Getenv("LEASES_ROLE")}}}
	_, _, err = leased(t.Context(), salesBroker(t, g, provider), token.AccessToken)
	require.NoError(t, err)
}
