package postgres_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/postgres"
)

// The feed is in the order of the commits, however long each of them takes after its number is known: of concurrent commits
// at two nodes, every third sleeps behind its insert, and every fifth at the very end, when constraints are checked.
func TestTheFeedIsInCommitOrderWhateverCommitsTake(t *testing.T) {
	t.Parallel()
	opts := postgres.Options{Schema: schema(t)}
	nodes := []*postgres.Store{open(t, opts), open(t, opts)}
	reader := open(t, opts)
	conn, err := pgx.Connect(t.Context(), database(t))
	require.NoError(t, err)
	defer conn.Close(context.WithoutCancel(t.Context())) //nolint:errcheck // a test
	for _, sql := range []string{
		`CREATE FUNCTION %[1]s.slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF NEW.seq %% TG_ARGV[0]::int = 0 THEN PERFORM pg_sleep(0.01); END IF; RETURN NULL; END $$`,
		`CREATE TRIGGER slow AFTER INSERT ON %[1]s.revocations FOR EACH ROW EXECUTE FUNCTION %[1]s.slow(3)`,
		`CREATE CONSTRAINT TRIGGER late AFTER INSERT ON %[1]s.revocations DEFERRABLE INITIALLY DEFERRED
			FOR EACH ROW EXECUTE FUNCTION %[1]s.slow(5)`,
	} {
		_, err := conn.Exec(t.Context(), fmt.Sprintf(sql, opts.Schema))
		require.NoError(t, err)
	}
	const callers, each = 6, 15
	acknowledged := make(chan lineage.Selector, callers*each)
	var wait sync.WaitGroup
	for caller := range callers {
		wait.Go(func() {
			for i := range each {
				sel := lineage.Selector{Kind: lineage.SelectSubject, Value: fmt.Sprint(caller, i)}
				tx := store.Tx{Issuer: issuer, Time: march, Revocations: []lineage.Revocation{{Selector: sel, At: march}}}
				if err := nodes[caller%2].Commit(context.Background(), []store.Tx{tx})[0]; err != nil {
					t.Errorf("commit: %v", err)
				}
				acknowledged <- sel
			}
		})
	}
	seen := map[lineage.Selector]bool{}
	for last, n := uint64(0), 0; n < callers*each && !t.Failed(); n++ {
		sel := <-acknowledged
		for r, err := range reader.Feed(t.Context(), issuer, last) {
			require.NoError(t, err)
			require.Equal(t, last+1, r.Seq, "an entry was missing when a later one was there")
			last, seen[r.Selector] = r.Seq, true
		}
		require.True(t, seen[sel], "an entry that was acknowledged lies behind what was read")
	}
	wait.Wait()
	require.Len(t, seen, callers*each)
}
