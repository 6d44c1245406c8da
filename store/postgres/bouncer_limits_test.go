package postgres_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/postgres"
)

var bouncedOpts = postgres.Options{Pooled: true}

// counting adds one to a head.
func counting(t *testing.T, client string) store.Tx {
	tx := recordTx(t, march, client)
	tx.Adds = []store.Add{{Key: "n", N: 1, Max: 1 << 40}}
	return tx
}

// counted is what counting came to.
func counted(t *testing.T, s store.Store) uint64 {
	t.Helper()
	heads, err := s.Heads(t.Context(), issuer, []string{"n"})
	require.NoError(t, err)
	return heads[0].Count
}

// Hints come by a session of their own: past the proxy, or through one that leaves a session its connection.
func TestHintsBehindPgBouncer(t *testing.T) {
	t.Parallel()
	few, whole, g := bounced(t, "transaction"), bounced(t, "session"), newGround(t, nil)
	for name, listen := range map[string]string{"direct": database(t), "session mode": whole.dsn()} {
		t.Run(name, func(t *testing.T) {
			writer := g.open(t, few.dsn(), bouncedOpts)
			reader := g.another(t, few.dsn(), postgres.Options{Pooled: true, Listen: postgres.ConnString(listen)})
			require.NoError(t, writer.Commit(t.Context(), []store.Tx{recordTx(t, march, "a")})[0])
			require.Nil(t, writer.Changed(t.Context(), issuer), "control: it has nothing to listen by")
			require.Eventually(t, func() bool { // the listener may still be connecting
				changed := reader.Changed(t.Context(), issuer)
				require.NotNil(t, changed)
				tx := store.Tx{Issuer: issuer, Time: march, Leeway: time.Second, Revocations: []lineage.Revocation{
					{Selector: lineage.Selector{Kind: lineage.SelectClient, Value: "a"}, At: march, By: "ops"},
				}}
				require.NoError(t, writer.Commit(t.Context(), []store.Tx{tx})[0])
				select {
				case <-changed:
					return true
				case <-time.After(time.Second):
					return false
				}
			}, 20*time.Second, time.Millisecond)
		})
	}
}

// A connection of the server is handed on to strangers after each transaction: nothing of ours may stay on it.
func TestNothingStaysOnAConnectionOfPgBouncer(t *testing.T) {
	t.Parallel()
	b, g := bounced(t, "transaction", "default_pool_size = 1"), newGround(t, nil)
	s, stranger := g.open(t, b.dsn(), bouncedOpts), b.client()
	finds := func() string {
		var statement, lock string
		var prepared, channels, locks int
		err := stranger.QueryRow(t.Context(), `SELECT current_setting('statement_timeout'), current_setting('lock_timeout'),
			(SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_listening_channels()),
			(SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory')`).
			Scan(&statement, &lock, &prepared, &channels, &locks)
		require.NoError(t, err)
		return fmt.Sprint(statement, " ", lock, " ", prepared, channels, locks)
	}
	clean := finds()
	require.NoError(t, s.Commit(t.Context(), []store.Tx{counting(t, "a")})[0])
	require.EqualValues(t, 1, counted(t, s))
	require.Equal(t, clean, finds())
	require.Equal(t, 1, b.backends(g.conn, "true"), "it was the same connection")

	_, err := b.client().Exec(t.Context(), "SET statement_timeout = 7001")
	require.NoError(t, err)
	require.NotEqual(t, clean, finds(), "positive control: what somebody leaves there is found")
}

// Many more callers than connections, of two nodes: they take turns, and each is applied once.
func TestMoreCallersThanConnectionsOfPgBouncer(t *testing.T) {
	t.Parallel()
	const callers, each = 40, 5
	b, g := bounced(t, "transaction", "default_pool_size = 2"), newGround(t, nil)
	opts := postgres.Options{Pooled: true, MaxConns: 10, Timeout: time.Minute}
	nodes := []*postgres.Store{g.open(t, b.dsn(), opts), g.another(t, b.dsn(), opts)}
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			for n := range each {
				if err := nodes[i%2].Commit(t.Context(), []store.Tx{counting(t, fmt.Sprint(i, "-", n))})[0]; err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	require.EqualValues(t, callers*each, counted(t, nodes[0]))
	require.Equal(t, 2, b.backends(g.conn, "true"))
}

// What waits too long is given up in the database too, though the proxy holds the connection; and the next one is served.
func TestTimeoutBehindPgBouncer(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for a timeout")
	}
	b, g := bounced(t, "transaction", "default_pool_size = 1"), newGround(t, nil)
	patient := g.open(t, b.dsn(), bouncedOpts)
	require.NoError(t, patient.Commit(t.Context(), []store.Tx{counting(t, "a")})[0])
	hasty := g.another(t, b.dsn(), postgres.Options{Pooled: true, Timeout: time.Second})

	holder, err := g.conn.Begin(t.Context())
	require.NoError(t, err)
	_, err = holder.Exec(t.Context(), "SELECT 1 FROM "+g.schema+".issuers FOR UPDATE")
	require.NoError(t, err)
	err = hasty.Commit(t.Context(), []store.Tx{counting(t, "b")})[0]
	require.Error(t, err)
	require.NotErrorIs(t, err, store.ErrConflict)
	observer, err := pgx.Connect(t.Context(), database(t))
	require.NoError(t, err)
	defer observer.Close(t.Context()) //nolint:errcheck // a test
	require.Eventually(t, func() bool { return b.backends(observer, "wait_event_type = 'Lock'") == 0 }, 20*time.Second, time.Millisecond)
	require.NoError(t, holder.Rollback(t.Context()))

	require.NoError(t, patient.Commit(t.Context(), []store.Tx{counting(t, "c")})[0])
	require.EqualValues(t, 2, counted(t, patient), "what was given up was not applied")
}

// The proxy takes so many clients and no more. A store keeps to its own limit, and one that finds no place says why.
func TestConnectionLimitOfPgBouncer(t *testing.T) {
	t.Parallel()
	b, g := bounced(t, "transaction", "max_client_conn = 3"), newGround(t, nil)
	opts := postgres.Options{Pooled: true, MaxConns: 2, Timeout: time.Minute}
	s := g.open(t, b.dsn(), opts)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			if err := s.Commit(t.Context(), []store.Tx{counting(t, fmt.Sprint(i))})[0]; err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 20, counted(t, s))

	var others []*pgx.Conn
	for len(others) < 4 {
		conn, err := pgx.Connect(t.Context(), b.dsn())
		if err != nil {
			break
		}
		others = append(others, conn)
	}
	require.NotEmpty(t, others, "the store has left a place")
	opts.Schema = g.schema
	_, err := postgres.Open(t.Context(), b.dsn(), opts)
	require.ErrorContains(t, err, "no more connections allowed")
	for _, conn := range others {
		require.NoError(t, conn.Close(t.Context()))
	}
	require.Eventually(t, func() bool { // the proxy has to see that they went
		s, err := postgres.Open(t.Context(), b.dsn(), opts)
		return err == nil && s.Close() == nil
	}, 20*time.Second, time.Millisecond, "positive control: where there is a place it opens")
}

// The proxy ends at any time, and comes back: what was confirmed is there, the rest fails, and the store finds its way back.
func TestPgBouncerIsKilled(t *testing.T) {
	t.Parallel()
	b, g := bounced(t, "transaction", "default_pool_size = 2"), newGround(t, nil)
	s := g.open(t, b.dsn(), bouncedOpts)
	var confirmed []lineage.ID
	failed := 0
	for i := range 100 {
		if i%20 == 10 {
			b.kill()
			b.start()
		}
		tx := recordTx(t, march.Add(time.Duration(i)*time.Millisecond), "a")
		if err := s.Commit(t.Context(), []store.Tx{tx})[0]; err != nil {
			require.NotErrorIs(t, err, store.ErrConflict)
			failed++
			continue
		}
		confirmed = append(confirmed, tx.Records[0].ID())
	}
	require.NotZero(t, failed, "positive control: some were hit")
	require.Greater(t, len(confirmed), 70)
	entries, err := s.Get(t.Context(), issuer, confirmed)
	require.NoError(t, err)
	for i, e := range entries {
		require.Equal(t, confirmed[i], e.Record.ID())
	}
}

// A proxy that gives each statement another connection cannot hold a transaction together: nothing is written through it.
func TestStatementPoolingWritesNothing(t *testing.T) {
	t.Parallel()
	b, g := bounced(t, "statement"), newGround(t, nil)
	s := g.open(t, b.dsn(), bouncedOpts)
	err := s.Commit(t.Context(), []store.Tx{counting(t, "a")})[0]
	require.ErrorContains(t, err, "transaction blocks not allowed in statement pooling mode")
	direct := g.another(t, database(t), postgres.Options{})
	require.Zero(t, counted(t, direct))
	require.NoError(t, direct.Commit(t.Context(), []store.Tx{counting(t, "a")})[0], "positive control")
	require.EqualValues(t, 1, counted(t, direct))
}

func TestAConnStringDoesNotShow(t *testing.T) {
	const secret = "postgres://me:swordfish@db/tb"
	opts := postgres.Options{Listen: secret}
	shown := shownAs(t, opts)
	require.NotContains(t, shown, "swordfish")
	require.Contains(t, shown, "[hidden]")
	opts.Pooled, opts.Listen = true, "postgres://me:swordfish@db:port/tb"
	_, err := postgres.Open(t.Context(), database(t), opts)
	require.EqualError(t, err, "postgres: not a connection string to listen by")
}

// shownAs is a value in all the ways in which it could get into a log.
func shownAs(t *testing.T, v postgres.Options) string {
	t.Helper()
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "options", v, "listen", v.Listen)
	return fmt.Sprintf("%v %+v %#v %s %q %s %s", v, v, v, v.Listen, v.Listen, raw, log.String())
}
