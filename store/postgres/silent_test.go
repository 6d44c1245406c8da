package postgres_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/postgres"
)

// A silent store tells nobody, and its commits need nothing of the database to tell by. What is told comes in the order of the
// commits: so the first that is heard is of the other store.
func TestASilentStoreTellsNobody(t *testing.T) {
	t.Parallel()
	g := newGround(t, nil)
	silent := g.open(t, database(t), postgres.Options{Silent: true})
	loud := g.another(t, database(t), postgres.Options{})
	_, err := g.conn.Exec(t.Context(), "LISTEN "+g.schema+"_feed")
	require.NoError(t, err)
	for at, s := range map[string]*postgres.Store{"https://silent.example": silent, "https://loud.example": loud} {
		require.NoError(t, s.Commit(t.Context(), []store.Tx{{Issuer: at, Time: march}})[0])
	}
	revoke := func(s *postgres.Store, at string) {
		require.NoError(t, s.Commit(t.Context(), []store.Tx{{Issuer: at, Time: march, Leeway: time.Second, Revocations: []lineage.Revocation{
			{Selector: lineage.Selector{Kind: lineage.SelectClient, Value: "a"}, At: march, By: "ops"},
		}}})[0])
	}
	revoke(silent, "https://silent.example")
	revoke(loud, "https://loud.example")
	n, err := g.conn.WaitForNotification(t.Context())
	require.NoError(t, err)
	var number int
	require.NoError(t, g.conn.QueryRow(t.Context(), "SELECT id FROM "+g.schema+".issuers WHERE name = $1", []byte("https://loud.example")).Scan(&number))
	require.Equal(t, strconv.Itoa(number), n.Payload)

	require.Nil(t, silent.Changed(t.Context(), "https://silent.example"))
	require.NotNil(t, loud.Changed(t.Context(), "https://silent.example"), "control")
	_, err = postgres.Open(t.Context(), database(t), postgres.Options{Schema: g.schema, Silent: true, Listen: "host=127.0.0.1"})
	require.EqualError(t, err, "postgres: there is nothing to listen to where all are silent")
}
