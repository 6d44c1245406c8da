//go:build linux && (amd64 || arm64)

package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/internal/pgtest"
	"github.com/tokenboundary/tokenboundary/store/postgres"
)

// database returns the connection string of the server to test against.
func database(t *testing.T) string { return pgtest.DSN(t) }

// server is a database server. Each schedule on it has an issuer of its own.
type server struct {
	dsn    string
	schema string
	crash  func() error // and starts again; nil for a server that others use
}

// attempt is a schedule on a server: what ends at the n-th message that the child sends.
type attempt struct {
	seed  uint64
	ops   int
	theft theft
	at    int
}

func (a attempt) String() string {
	return fmt.Sprintf("%s at message %d, seed %d", a.theft, a.at, a.seed)
}

// try plays the prelude for an issuer of its own, runs a child through a wire until something ends, and judges.
func (s *server) try(t *testing.T, a attempt) (hit bool, err error) {
	ctx, r := t.Context(), rand.New(rand.NewPCG(a.seed, 3))
	own := fmt.Sprintf("https://b%d.example", a.seed)
	b := &bed{model: newModel(), now: start}
	b.key, b.text = newKey(t)
	clean := func() (*postgres.Store, error) {
		return postgres.Open(ctx, s.dsn, postgres.Options{Schema: s.schema, MaxConns: 2, Timeout: 10 * time.Second})
	}
	state, err := clean()
	if err != nil {
		return false, err
	}
	n, err := boot(ctx, state, own, b.now, b.key)
	if err != nil {
		return false, err
	}
	b.now = b.model.play(t, n, b.model.story(r, 6, "p"), b.now)
	if err := state.Close(); err != nil {
		return false, err
	}
	story := b.model.story(r, a.ops, "x")
	out, hits, err := s.run(ctx, b, own, a, story)
	if err != nil {
		return hits, fmt.Errorf("%w\n%v", err, story)
	}
	if state, err = clean(); err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, state.Close()) }()
	got, _ := out.acknowledged()
	n, err = boot(ctx, state, own, b.now.Add(time.Duration(min(len(got)+1, len(story))+1)*step), b.key)
	if err != nil {
		return false, err
	}
	v, err := settle(ctx, n, b.model, story, out)
	if err == nil {
		err = v.follow(ctx, n)
	}
	if err == nil {
		n.clock.Add(step)
		err = v.probe(ctx, n, story, r)
	}
	if err != nil {
		return hits, fmt.Errorf("%w\n%v\nhit: %t, %d lines: %s", err, story, hits, len(out.lines), out.stderr)
	}
	return hits, nil
}

// run runs a story in a child whose messages go through a wire.
func (s *server) run(ctx context.Context, b *bed, own string, a attempt, story []op) (out result, hit bool, err error) {
	w, dsn, err := newWire(s.dsn)
	if err != nil {
		return out, false, err
	}
	defer w.close()
	ops := slices.Clone(story)
	for i := range ops {
		ops[i].At = b.now.Add(time.Duration(i+1) * step)
	}
	ready := make(chan *process, 1)
	w.at, w.theft = a.at, a.theft
	w.end = func() error {
		switch a.theft {
		case killBefore, killAfter:
			p := <-ready
			return p.Process.Kill()
		case terminate:
			return s.terminate(ctx, w.name)
		case crashed:
			return s.crash()
		}
		return nil
	}
	p, err := launch(ctx, script{
		Database: dsn, Schema: s.schema, Issuer: own, Seed: a.seed, Key: b.text, Now: b.now.Add(step), Held: b.model.held(), Ops: ops,
	})
	if err != nil {
		return out, false, err
	}
	ready <- p
	out, err = p.finish(true) // it may also have been unable to begin
	return out, w.hit.Load(), errors.Join(err, w.failed())
}

// terminate ends the backends of the child.
func (s *server) terminate(ctx context.Context, name string) error {
	conn, err := pgx.Connect(ctx, s.dsn)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", name)
	return errors.Join(err, conn.Close(ctx))
}

// TestPostgres ends processes, connections and backends at random messages.
func TestPostgres(t *testing.T) {
	s := &server{dsn: database(t), schema: fmt.Sprintf("tb_crash_%d", os.Getpid())}
	s.prepare(t)
	count := 60
	if testing.Short() {
		count = 10
	}
	if more := wanted(t); more > defaultSchedules {
		count = more / 10
	}
	s.attempts(t, count, []theft{killBefore, killAfter, cutBefore, cutAfter, terminate})
}

// prepare makes the schema, without what a test that was ended may have left in it, and drops it at the end.
func (s *server) prepare(t *testing.T) {
	t.Helper()
	cryptotest.SetGlobalRandom(t, 1)
	drop := func() {
		ctx := context.Background()
		conn, err := pgx.Connect(ctx, s.dsn)
		require.NoError(t, err)
		_, err = conn.Exec(ctx, "DROP SCHEMA IF EXISTS "+s.schema+" CASCADE")
		require.NoError(t, errors.Join(err, conn.Close(ctx)))
	}
	drop()
	require.NoError(t, postgres.Migrate(t.Context(), s.dsn, postgres.Options{Schema: s.schema}))
	t.Cleanup(drop)
}

func (s *server) attempts(t *testing.T, count int, thefts []theft) {
	t.Helper()
	only, hits, began := os.Getenv(onlyVariable), 0, 0
	for i := range count {
		seed := uint64(5000 + i)
		if only != "" && only != strconv.FormatUint(seed, 10) {
			continue
		}
		r := rand.New(rand.NewPCG(seed, 4))
		a := attempt{seed: seed, ops: 1 + r.IntN(4), theft: thefts[i%len(thefts)]}
		a.at = 1 + r.IntN(14+6*a.ops)
		hit, err := s.try(t, a)
		if err != nil {
			t.Fatalf("%v\n%s\n%s=%d", err, a, onlyVariable, seed)
		}
		if began++; hit {
			hits++
		}
	}
	t.Logf("%d schedules, %d of them hit", began, hits)
	if only == "" {
		require.Greater(t, hits, count/2)
	}
}
