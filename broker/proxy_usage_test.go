package broker_test

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/broker"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store/storetest"
)

// used returns what the lineage knows of the use of a token.
func (f *front) used(tok tb.Token) uint64 {
	f.Helper()
	chain, err := f.gov.Lineage(f.ctx, ops, tok.ID)
	require.NoError(f, err)
	n := uint64(0)
	for _, u := range chain[len(chain)-1].Usage {
		require.Equal(f, resource, u.Resource)
		n += u.Count
	}
	return n
}

// TestEveryRequestIsAUse in the lineage of its token, with the scopes of its route: a second later, or when it is flushed. What
// is refused is none.
func TestEveryRequestIsAUse(t *testing.T) {
	f := proxied(t)
	for range 3 {
		f.get()
	}
	f.raw(f.addr, request("POST /v1/invoices"))
	f.up.requests()
	f.refuses(f.addr, request("GET /v2"), 403, "not among")
	require.Zero(t, f.used(f.tok))
	require.Equal(t, broker.ProxyState{Waiting: 4}, f.proxy.State())
	f.clock.Add(time.Second)
	for f.used(f.tok) == 0 { // it is reported beside
		runtime.Gosched()
	}
	require.EqualValues(t, 4, f.used(f.tok))
	chain, err := f.gov.Lineage(f.ctx, ops, f.tok.ID)
	require.NoError(t, err)
	counts := map[string]uint64{}
	for scope, s := range chain[len(chain)-1].Usage[0].Scopes {
		counts[scope] = s.Count
	}
	require.Equal(t, map[string]uint64{"read": 3, "write": 1}, counts)

	f.get()
	require.NoError(t, f.proxy.Flush(f.ctx))
	require.EqualValues(t, 5, f.used(f.tok))
	require.Zero(t, f.proxy.State())
	require.NoError(t, f.proxy.Flush(f.ctx), "there is nothing to tell")
}

// TestAUseThatCannotBeReported stays, in bounded memory, and is reported when it can be. Where no more can be put down, nothing
// is forwarded.
func TestAUseThatCannotBeReported(t *testing.T) {
	var away *storetest.Faulty
	f := proxied(t, func(w *world, _ *broker.ProxyConfig) {
		away = storetest.FailOn(w.store, storetest.Commit, errors.New("boom")).Set(false)
		w.store = away
		w.restart()
	})
	f.get()
	away.Set(true)
	require.ErrorIs(t, f.proxy.Flush(f.ctx), tb.ErrUnavailable)
	f.get()
	require.Equal(t, broker.ProxyState{Waiting: 2}, f.proxy.State())
	stop := f.goesOn() // it is tried again by itself
	away.Set(false)
	for f.proxy.State().Waiting > 0 {
		runtime.Gosched()
	}
	stop()
	require.EqualValues(t, 2, f.used(f.tok))

	f.tok = f.task("bot")
	f.get()
	for i := range broker.MaxWaiting - 1 {
		require.NoError(t, f.proxy.PutDown(lineage.IDOf(fmt.Append(nil, i))))
	}
	f.get()
	other := f.tok
	f.tok = f.task("bot")
	before := f.up.bytes.Load()
	out := f.raw(f.addr, request("GET /v1/invoices/7"))
	require.Equal(t, http.StatusServiceUnavailable, out.StatusCode)
	require.Equal(t, "1", out.Header.Get("Retry-After"))
	require.Equal(t, before, f.up.bytes.Load())
	require.NoError(t, f.proxy.Flush(f.ctx))
	require.Equal(t, broker.ProxyState{Lost: broker.MaxWaiting - 1}, f.proxy.State(), "of tokens that there are not")
	require.EqualValues(t, 2, f.used(other))
	require.Contains(t, f.log.String(), "some uses of tokens were not counted")
	f.get()
}
