package postgres_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/postgres"
)

// Where the schema is made anew, or restored, under a node that runs, the numbers by which issuers are kept may have become
// those of others. A node reads and writes nothing under a number that is not its issuer's any more.
func TestANodeOnAReplacedDatabaseTouchesNoOtherIssuer(t *testing.T) {
	const mine, other = "https://mine.example", "https://other.example"
	opts := postgres.Options{Schema: schema(t)}
	old := open(t, opts)
	spend := func(iss string) store.Tx {
		return store.Tx{Issuer: iss, Time: march, Swaps: []store.Swap{{Key: "k", State: iss}},
			Revocations: []lineage.Revocation{{Selector: lineage.Selector{Kind: lineage.SelectSubject, Value: "alice"}, At: march}}}
	}
	require.NoError(t, old.Commit(t.Context(), []store.Tx{spend(mine)})[0])
	conn, err := pgx.Connect(t.Context(), database(t))
	require.NoError(t, err)
	defer conn.Close(context.WithoutCancel(t.Context())) //nolint:errcheck // a test
	_, err = conn.Exec(t.Context(), "DROP SCHEMA "+opts.Schema+" CASCADE")
	require.NoError(t, err)
	fresh := open(t, opts)
	require.NoError(t, fresh.Commit(t.Context(), []store.Tx{spend(other)})[0]) // has the number that the other one had

	const why = "the database was replaced"
	calls := map[string]func() error{
		"Commit": func() error { return old.Commit(t.Context(), []store.Tx{spend(mine)})[0] },
		"Heads": func() error {
			_, err := old.Heads(t.Context(), mine, []string{"k"})
			return err
		},
		"Revoked": func() error {
			_, err := old.Revoked(t.Context(), mine, []lineage.Selector{{Kind: lineage.SelectSubject, Value: "alice"}})
			return err
		},
		"Feed": func() (err error) {
			for _, err = range old.Feed(t.Context(), mine, 0) { //nolint:revive // the last one counts
			}
			return err
		},
		"Forget": func() error {
			return old.Forget(t.Context(), store.Removal{Issuer: mine, Heads: []store.HeadVersion{{Key: "k", Version: 1}}})
		},
	}
	for name, call := range calls {
		require.ErrorContains(t, call(), why, name)
		heads, err := old.Heads(t.Context(), mine, []string{"k"}) // it has learnt that it knows nothing of its issuer
		require.NoError(t, err, name)
		require.Zero(t, heads[0].Version, name)
		old.Remember(mine, 1)
	}
	heads, err := fresh.Heads(t.Context(), other, []string{"k"})
	require.NoError(t, err)
	require.Equal(t, other, heads[0].State, "control: it is there, and is what it was")
	require.EqualValues(t, 1, heads[0].Version)
}
