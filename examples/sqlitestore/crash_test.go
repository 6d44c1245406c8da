package sqlitestore_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/examples/sqlitestore"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// victim names the file that a process of this test commits to until it is killed.
const victim = "SQLITESTORE_VICTIM"

// A process that is killed leaves all that it has confirmed, and each transaction as a whole.
func TestKilled(t *testing.T) {
	if path := os.Getenv(victim); path != "" {
		commitForever(t, path)
	}
	path := filepath.Join(t.TempDir(), "boundary.db")
	var confirmed []lineage.ID
	for round := range 12 {
		confirmed = append(confirmed, killed(t, path, 1+5*round)...)
		s, err := sqlitestore.Open(t.Context(), path)
		require.NoError(t, err)
		entries, err := s.Get(t.Context(), issuer, confirmed)
		require.NoError(t, err)
		for i, e := range entries {
			require.Equal(t, confirmed[i], e.Record.ID(), "confirmed, and not there")
		}
		records := uint64(0)
		for _, err := range s.Scan(t.Context(), issuer, alice, store.Position{}) {
			require.NoError(t, err)
			records++
		}
		heads, err := s.Heads(t.Context(), issuer, []string{"n"})
		require.NoError(t, err)
		require.Equal(t, records, heads[0].Count, "a part of a transaction is there")
		require.LessOrEqual(t, records, uint64(len(confirmed)+round+1), "each process had one under way")
		require.NoError(t, s.Close())
	}
}

// commitForever adds records, counts them, and prints the id of each that was confirmed.
func commitForever(t *testing.T, path string) {
	for s := open(t, path); ; {
		tx := adding(t)
		tx.Adds = []store.Add{{Key: "n", N: 1, Max: 1 << 40}}
		require.NoError(t, s.Commit(t.Context(), []store.Tx{tx})[0])
		fmt.Println(tx.Records[0].ID())
	}
}

// killed returns what a process has confirmed that was killed after about n commits.
func killed(t *testing.T, path string, n int) (confirmed []lineage.ID) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilled$")
	child.Env = append(os.Environ(), victim+"="+path)
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	for lines := bufio.NewScanner(out); lines.Scan(); {
		id, err := lineage.ParseID(lines.Text())
		require.NoError(t, err)
		if confirmed = append(confirmed, id); len(confirmed) == n {
			require.NoError(t, child.Process.Kill())
		}
	}
	require.ErrorContains(t, child.Wait(), "killed")
	require.GreaterOrEqual(t, len(confirmed), n)
	return confirmed
}
