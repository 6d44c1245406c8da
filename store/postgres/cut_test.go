package postgres_test

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/postgres"
)

const issuer = "https://b.example"

var march = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

// recordTx adds a record of a client.
func recordTx(t *testing.T, at time.Time, client string) store.Tx {
	t.Helper()
	r, err := lineage.Seal(lineage.Envelope{Kind: lineage.KindToken, Issuer: issuer, IssuedAt: at, Since: at, ExpiresAt: at.Add(time.Minute)},
		lineage.Body{Client: client, Subject: lineage.Party{ID: client}, GrantType: "client_credentials", Granted: lineage.Authority{NotAfter: at.Add(time.Minute)}})
	require.NoError(t, err)
	return store.Tx{Issuer: issuer, Time: at, Leeway: time.Second, Records: []lineage.Record{r}}
}

// wire stands between the store and the database, and cuts a connection at will.
type wire struct {
	address string
	// cut is asked about what the store sends: whether the connection ends before it is passed on, or after.
	cut atomic.Pointer[func(sent string) (before, after bool)]
	// settled gets an element when the database has done what arrived before a cut.
	settled chan struct{}
}

// newWire returns a wire to the server that a connection string names, and the connection string of its other end.
func newWire(t *testing.T, through string) (*wire, string) {
	t.Helper()
	dsn, err := url.Parse(through)
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w := &wire{address: l.Addr().String(), settled: make(chan struct{}, 100)}
	server := dsn.Host
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { w.carry(client, server) })
		}
	})
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		wg.Wait()
	})
	dsn.Host = w.address
	return w, dsn.String()
}

// carry passes bytes both ways until one end closes, or it is cut. Behind a cut nothing comes back.
func (w *wire) carry(client net.Conn, address string) {
	defer client.Close() //nolint:errcheck // a test
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer server.Close() //nolint:errcheck // a test
	go func() {
		io.Copy(client, server) //nolint:errcheck // ends with either side
		client.Close()          //nolint:errcheck // a test
	}()
	buf := make([]byte, 1<<20)
	for {
		n, err := client.Read(buf)
		if err != nil || isCancel(buf[:n]) {
			return
		}
		before, after := false, false
		if cut := w.cut.Load(); cut != nil {
			before, after = (*cut)(string(buf[:n]))
		}
		if before {
			return
		}
		if after {
			client.Close() //nolint:errcheck // the answer must not arrive
		}
		if _, err := server.Write(buf[:n]); err != nil || after {
			server.(*net.TCPConn).CloseWrite() //nolint:errcheck // a test
			io.Copy(io.Discard, server)        //nolint:errcheck // until the database has done it
			if after {
				w.settled <- struct{}{}
			}
			return
		}
	}
}

// isCancel reports whether this is all that a connection says that wants to stop what another one has under way: the driver sends
// it after a cut, and what had arrived might then be undone or done. What is lost is lost.
func isCancel(sent []byte) bool {
	return bytes.Equal(sent[:min(len(sent), 8)], []byte{0, 0, 0, 16, 4, 210, 22, 46})
}

// breaks cuts the connection at the n-th thing that is sent, once, before it arrives or after. What it returns ends that, waits
// for the database, and reports whether there was an n-th.
func (w *wire) breaks(n int, arrives bool) (mend func() bool) {
	var sent atomic.Int64
	cut := func(string) (before, after bool) {
		now := sent.Add(1) == int64(n)
		return now && !arrives, now && arrives
	}
	w.cut.Store(&cut)
	return func() bool {
		w.cut.Store(nil)
		broke := sent.Load() >= int64(n)
		if broke && arrives {
			<-w.settled
		}
		return broke
	}
}

// A connection that is lost before the commit arrives, or before its answer does: the outcome is unknown in both cases, the
// store says so for every transaction, and reading tells which it was. The same commit can be made again.
func TestTheConnectionIsLostAtACommit(t *testing.T) {
	t.Parallel()
	for name, arrives := range map[string]bool{"before": false, "after": true} {
		t.Run(name, func(t *testing.T) {
			w, dsn := newWire(t, database(t))
			opts := postgres.Options{Schema: schema(t), Timeout: 5 * time.Second}
			require.NoError(t, postgres.Migrate(t.Context(), database(t), opts))
			s, err := postgres.Open(t.Context(), dsn, opts)
			require.NoError(t, err)
			defer s.Close() //nolint:errcheck // a test
			require.Equal(t, []error{nil}, s.Commit(t.Context(), []store.Tx{recordTx(t, march, "first")}), "positive control")

			txs := []store.Tx{recordTx(t, march, "a"), recordTx(t, march, "b")}
			txs[0].Adds = []store.Add{{Key: "n", N: 1, Max: 9}}
			var cuts atomic.Int32
			cut := func(sent string) (bool, bool) {
				if !strings.Contains(sent, `"kind":"token"`) || !cuts.CompareAndSwap(0, 1) { // an envelope goes with the commit
					return false, false
				}
				return !arrives, arrives
			}
			w.cut.Store(&cut)
			errs := s.Commit(t.Context(), txs)
			require.Equal(t, int32(1), cuts.Load())
			require.Len(t, errs, 2)
			for _, err := range errs {
				require.Error(t, err)
				require.NotErrorIs(t, err, store.ErrConflict)
				require.NotErrorIs(t, err, store.ErrInvalid)
			}
			w.cut.Store(nil)
			there := func() int {
				entries, err := s.Get(t.Context(), issuer, []lineage.ID{txs[0].Records[0].ID(), txs[1].Records[0].ID()})
				require.NoError(t, err)
				n := 0
				for _, e := range entries {
					if !e.Record.ID().IsZero() {
						n++
					}
				}
				return n
			}
			if arrives {
				require.Eventually(t, func() bool { return there() == 2 }, 10*time.Second, 10*time.Millisecond)
			} else {
				require.Zero(t, there())
			}
			require.Equal(t, []error{nil, nil}, s.Commit(t.Context(), txs), "made again")
			require.Equal(t, 2, there())
			heads, err := s.Heads(t.Context(), issuer, []string{"n"})
			require.NoError(t, err)
			require.Equal(t, uint64(1), heads[0].Count, "and applied once")
		})
	}
}

// Backends that are ended at any time fail what is under way, and nothing else: what was confirmed is there.
func TestBackendsAreEnded(t *testing.T) {
	t.Parallel()
	opts := postgres.Options{Schema: schema(t)}
	require.NoError(t, postgres.Migrate(t.Context(), database(t), opts))
	dsn, err := url.Parse(database(t))
	require.NoError(t, err)
	q := dsn.Query()
	q.Set("application_name", opts.Schema)
	dsn.RawQuery = q.Encode()
	s, err := postgres.Open(t.Context(), dsn.String(), opts)
	require.NoError(t, err)
	defer s.Close() //nolint:errcheck // a test
	axe, err := pgx.Connect(t.Context(), database(t))
	require.NoError(t, err)
	defer axe.Close(t.Context()) //nolint:errcheck // a test

	var confirmed []lineage.ID
	failed := 0
	for i := range 400 {
		if i%20 == 10 {
			_, err := axe.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", opts.Schema)
			require.NoError(t, err)
		}
		tx := recordTx(t, march.Add(time.Duration(i)*time.Millisecond), "a")
		if err := s.Commit(t.Context(), []store.Tx{tx})[0]; err != nil {
			failed++
			continue
		}
		confirmed = append(confirmed, tx.Records[0].ID())
	}
	require.NotZero(t, failed, "positive control: some were hit")
	require.Greater(t, len(confirmed), 300)
	entries, err := s.Get(t.Context(), issuer, confirmed)
	require.NoError(t, err)
	for i, e := range entries {
		require.Equal(t, confirmed[i], e.Record.ID())
	}
}

// A reader is told of what another node has written.
func TestChangedTellsOfOtherNodes(t *testing.T) {
	t.Parallel()
	opts := postgres.Options{Schema: schema(t)}
	reader := open(t, opts)
	writer := open(t, opts)
	require.Nil(t, reader.Changed(t.Context(), issuer), "nothing was ever committed")
	require.Equal(t, []error{nil}, writer.Commit(t.Context(), []store.Tx{recordTx(t, march, "a")}))
	require.Eventually(t, func() bool { // the listener may still be connecting
		changed := reader.Changed(t.Context(), issuer)
		require.NotNil(t, changed)
		tx := store.Tx{Issuer: issuer, Time: march, Leeway: time.Second, Revocations: []lineage.Revocation{
			{Selector: lineage.Selector{Kind: lineage.SelectClient, Value: "a"}, At: march, By: "ops"},
		}}
		require.Equal(t, []error{nil}, writer.Commit(t.Context(), []store.Tx{tx}))
		select {
		case <-changed:
			return true
		case <-time.After(time.Second):
			return false
		}
	}, 20*time.Second, time.Millisecond)

	pooled := open(t, postgres.Options{Schema: opts.Schema, Pooled: true})
	require.Nil(t, pooled.Changed(t.Context(), issuer))
}
