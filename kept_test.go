package tokenboundary_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// brokerOf is a broker of one connection.
func brokerOf(w *world, id, connection string) tb.Client {
	c := tb.Client{ID: id, Kind: tb.KindResource, Resource: crm, Connections: []string{connection}}
	w.clients[id] = c
	return c
}

// TestWhatABrokerKeepsIsReplacedByVersion: by one of many at once, and it is there after a restart.
func TestWhatABrokerKeepsIsReplacedByVersion(t *testing.T) {
	w := newWorld(t)
	b := brokerOf(w, "broker", "crm-app")
	none, err := w.Kept(w.ctx, b, "crm-app")
	require.NoError(t, err)
	require.Zero(t, none)
	first, err := w.Keep(w.ctx, b, "crm-app", tb.Kept{Value: []byte("one")})
	require.NoError(t, err)
	require.Equal(t, tb.Kept{Version: 1, Value: []byte("one")}, first)
	_, err = w.Keep(w.ctx, b, "crm-app", tb.Kept{Value: []byte("other")})
	require.ErrorIs(t, err, tb.ErrConflict)
	require.ErrorContains(t, err, "something else is kept")

	var all sync.WaitGroup
	errs := make([]error, 16)
	for i := range errs {
		all.Go(func() { _, errs[i] = w.Keep(w.ctx, b, "crm-app", tb.Kept{Version: 1, Value: fmt.Append(nil, i)}) })
	}
	all.Wait()
	w.restart()
	got, err := w.Kept(w.ctx, b, "crm-app")
	require.NoError(t, err)
	require.EqualValues(t, 2, got.Version)
	for i, err := range errs {
		if string(got.Value) == fmt.Sprint(i) {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, tb.ErrConflict)
		}
	}
}

// TestWhatABrokerKeepsIsItsOwn: no other client, connection or issuer reads it or changes it, whatever the names are.
func TestWhatABrokerKeepsIsItsOwn(t *testing.T) {
	w := newWorld(t)
	b := brokerOf(w, "broker", "crm-app")
	_, err := w.Keep(w.ctx, b, "crm-app", tb.Kept{Value: []byte("secret")})
	require.NoError(t, err)
	for _, other := range []tb.Client{brokerOf(w, "broker2", "crm-app"), brokerOf(w, "broke", "rcrm-app"), brokerOf(w, "brokercrm-app", "")} {
		got, err := w.Kept(w.ctx, other, other.Connections[0])
		require.NoError(t, err, "%s", other.ID)
		require.Zero(t, got)
	}
	stranger := b
	stranger.Kind = tb.KindAgent
	for _, by := range []tb.Client{stranger, ops, {}, brokerOf(w, "third", "other")} {
		_, err = w.Kept(w.ctx, by, "crm-app")
		require.ErrorIs(t, err, tb.ErrForbidden)
		_, err = w.Keep(w.ctx, by, "crm-app", tb.Kept{Version: 1})
		require.ErrorIs(t, err, tb.ErrForbidden)
	}
	_, err = w.Keep(w.ctx, b, "crm-app", tb.Kept{Version: 1, Value: make([]byte, 16<<10+1)})
	require.ErrorIs(t, err, tb.ErrInvalid)
	w.revoke("client:broker", lineage.Block)
	_, err = w.Keep(w.ctx, b, "crm-app", tb.Kept{Version: 1})
	require.ErrorIs(t, err, tb.ErrForbidden)
	_, err = w.Kept(w.ctx, b, "crm-app")
	require.ErrorIs(t, err, tb.ErrForbidden)
}

func TestWhatIsKeptHidesItself(t *testing.T) {
	k := tb.Kept{Version: 3, Value: []byte("canary")}
	plain, err := json.Marshal(k)
	require.NoError(t, err)
	for _, text := range []string{string(plain), fmt.Sprintf("%v %+v %#v %s", k, k, k, k)} {
		require.False(t, bytes.Contains([]byte(text), []byte("canary")), text)
		require.NotContains(t, text, "99 97 110")
		require.NotContains(t, text, "0x63")
	}
}
