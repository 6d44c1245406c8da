package bolt_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/bolt"
)

const (
	crashFile   = "TOKENBOUNDARY_TEST_CRASH_FILE"
	crashIssuer = "https://boundary.example"
)

var crashTime = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if path := os.Getenv(crashFile); path != "" {
		if err := commitForever(path); err != nil {
			fmt.Println("error", err)
		}
		os.Exit(1)
	}
	os.Exit(quickly(m))
}

// quickly has a short run keep its files in memory, where there is such a place: tests wait for a disk thousands of times, and
// what a disk loses is played in memory anyway.
func quickly(m *testing.M) int {
	flag.Parse()
	if testing.Short() && os.Getenv("TMPDIR") == "" {
		if dir, err := os.MkdirTemp("/dev/shm", "tokenboundary-bolt-"); err == nil {
			os.Setenv("TMPDIR", dir) //nolint:errcheck // the name is one
			defer os.RemoveAll(dir)  //nolint:errcheck // a test
		}
	}
	return m.Run()
}

// commitForever commits from several goroutines and prints the id of each record whose commit was acknowledged.
func commitForever(path string) error {
	b, err := bolt.Open(path)
	if err != nil {
		return err
	}
	b.LimitLog(8 << 10) // a checkpoint every few commits
	s, failed := store.Coalesce(b), make(chan error)
	for range 4 {
		go func() {
			for {
				r, err := crashRecord()
				if err == nil {
					err = s.Commit(context.Background(), []store.Tx{crashTx(r)})[0]
				}
				if err != nil {
					failed <- err
					return
				}
				fmt.Println("ok", r.ID())
			}
		}()
	}
	return <-failed
}

func crashRecord() (lineage.Record, error) {
	env := lineage.Envelope{
		Kind: lineage.KindToken, Issuer: crashIssuer, IssuedAt: crashTime, Since: crashTime, ExpiresAt: crashTime.Add(time.Hour),
	}
	return lineage.Seal(env, lineage.Body{Client: "c", Subject: lineage.Party{ID: "alice"}, GrantType: "client_credentials"})
}

// crashTx writes a record, and for each record one head, one more in a count, and one revocation.
func crashTx(r lineage.Record) store.Tx {
	id := r.ID().String()
	return store.Tx{
		Issuer: crashIssuer, Time: crashTime, Records: []lineage.Record{r},
		Swaps:       []store.Swap{{Key: id, State: "spent"}},
		Adds:        []store.Add{{Key: "count", N: 1, Max: 1 << 40}},
		Revocations: []lineage.Revocation{{Selector: lineage.Selector{Kind: lineage.SelectToken, Value: id}, At: crashTime}},
	}
}

// TestKilledProcess kills a committing process and looks at what it left. What it had acknowledged must be there, and
// whatever is there must be whole.
func TestKilledProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	acknowledged := map[string]bool{}
	for round := range 4 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), crashFile+"="+path)
		out, err := child.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())
		lines, n := bufio.NewScanner(out), 0
		for lines.Scan() {
			id, ok := strings.CutPrefix(lines.Text(), "ok ")
			require.True(t, ok, lines.Text())
			acknowledged[id] = true
			if n++; n == 20+13*round {
				require.NoError(t, child.Process.Kill())
			}
		}
		require.Error(t, child.Wait(), "the process ended by itself")
		require.GreaterOrEqual(t, n, 20+13*round)
		checkCrashed(t, path, acknowledged)
	}
}

func checkCrashed(t *testing.T, path string, acknowledged map[string]bool) {
	t.Helper()
	s, err := bolt.Open(path)
	require.NoError(t, err)
	defer s.Close()
	missing := len(acknowledged)
	var seq uint64
	for r, err := range s.Feed(t.Context(), crashIssuer, 0) {
		require.NoError(t, err)
		seq++
		require.Equal(t, seq, r.Seq)
		if acknowledged[r.Selector.Value] {
			missing--
		}
		id, err := lineage.ParseID(r.Selector.Value)
		require.NoError(t, err)
		entries, err := s.Get(t.Context(), crashIssuer, []lineage.ID{id})
		require.NoError(t, err)
		require.Equal(t, id, entries[0].Record.ID(), "a revocation is there without its record")
		require.Len(t, entries[0].Marks, 1, "a revocation is there without its mark")
		heads, err := s.Heads(t.Context(), crashIssuer, []string{r.Selector.Value})
		require.NoError(t, err)
		require.Equal(t, "spent", heads[0].State, "a record is there without its head")
	}
	require.Zero(t, missing, "acknowledged commits are gone")
	heads, err := s.Heads(t.Context(), crashIssuer, []string{"count"})
	require.NoError(t, err)
	require.Equal(t, seq, heads[0].Count, "the count does not match the commits")
}
