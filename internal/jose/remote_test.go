package jose_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/internal/jose"
)

// endpoint is an issuer's JWKS endpoint, on a clock that only the test moves.
type endpoint struct {
	*testing.T
	*jose.Remote
	clock *clock.Mock
	hits  atomic.Int32
	mu    sync.Mutex
	serve http.HandlerFunc
}

func newEndpoint(t *testing.T, kids ...string) *endpoint {
	e := &endpoint{T: t, clock: clock.NewMock()}
	e.publish(kids...)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.hits.Add(1)
		e.mu.Lock()
		serve := e.serve
		e.mu.Unlock()
		serve(w, r)
	}))
	t.Cleanup(srv.Close)
	var err error
	e.Remote, err = jose.NewRemote(srv.URL+"/jwks?key=canary", e.clock, nil)
	require.NoError(t, err)
	return e
}

func (e *endpoint) answer(f http.HandlerFunc) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.serve = f
}

func (e *endpoint) publish(kids ...string) {
	var keys []m
	for _, kid := range kids {
		keys = append(keys, jwk(e, p256.Public(), m{"kid": kid}))
	}
	raw := document(e, keys...)
	e.answer(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(raw) })
}

func (e *endpoint) down() {
	e.answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
}

// has asks for kid and requires the answer, and that the endpoint has been asked hits times in all.
func (e *endpoint) has(kid string, want bool, hits int) {
	e.Helper()
	set, err := e.Keys(e.Context(), kid)
	require.NoError(e, err)
	require.Equal(e, want, set.Has(kid), kid)
	require.EqualValues(e, hits, e.hits.Load(), "fetches")
}

func (e *endpoint) unavailable(why string, hits int) {
	e.Helper()
	set, err := e.Keys(e.Context(), "a")
	require.ErrorIs(e, err, jose.ErrUnavailable)
	require.ErrorContains(e, err, why)
	require.NotContains(e, err.Error(), "canary")
	require.Zero(e, set.Len())
	require.EqualValues(e, hits, e.hits.Load(), "fetches")
}

func TestRemoteFetchesLazilyAndCaches(t *testing.T) {
	e := newEndpoint(t, "a")
	require.Zero(t, e.hits.Load())
	e.has("a", true, 1)
	e.has("a", true, 1)
	e.has("", false, 1)
	e.clock.Add(7 * time.Minute)
	e.has("a", true, 1)
	e.publish("b")
	e.clock.Add(4 * time.Minute)
	e.has("a", false, 2) // a key the issuer took back is gone when the cache time is over
	e.has("b", true, 2)
}

func TestRemoteRefreshesAheadInTheBackground(t *testing.T) {
	e := newEndpoint(t, "a")
	e.has("a", true, 1)
	e.clock.Add(9 * time.Minute)
	release := make(chan struct{})
	raw := document(t, jwk(t, p256.Public(), m{"kid": "b"}))
	e.answer(func(w http.ResponseWriter, _ *http.Request) { <-release; _, _ = w.Write(raw) })
	set, err := e.Keys(t.Context(), "a")
	require.NoError(t, err)
	require.True(t, set.Has("a"), "served from the cache while the fetch is under way")
	close(release)
	e.has("b", true, 2) // joins the fetch that is under way
	e.clock.Add(7 * time.Minute)
	e.has("b", true, 2)
}

func TestRemoteBoundsFetchesForUnknownKids(t *testing.T) {
	e := newEndpoint(t, "a")
	e.has("a", true, 1)
	e.publish("a", "b")
	e.has("b", true, 2) // a rotated key is found at once
	for i := range 100 {
		e.has("random"+strconv.Itoa(i), false, 2)
	}
	e.clock.Add(59 * time.Second)
	e.has("c", false, 2)
	e.publish("a", "c")
	e.clock.Add(2 * time.Second)
	e.has("c", true, 3)
	e.has("a", true, 3)
}

func TestRemoteKeepsTheLastGoodSet(t *testing.T) {
	e := newEndpoint(t, "a")
	e.has("a", true, 1)
	e.down()
	e.clock.Add(11 * time.Minute)
	e.has("a", true, 2)
	e.has("a", true, 2)
	e.clock.Add(time.Minute)
	e.has("b", false, 3) // an unknown kid waits for the attempt; known ones do not
	e.clock.Add(24 * time.Hour)
	e.unavailable("status 502", 4)
	e.publish("c")
	e.clock.Add(6 * time.Second)
	e.has("c", true, 5)
	e.has("a", false, 6) // the key is looked for once, and not found any more
}

func TestRemoteWithNothingCached(t *testing.T) {
	e := newEndpoint(t)
	e.down()
	e.unavailable("status 502", 1)
	for range 50 {
		e.unavailable("status 502", 1)
	}
	e.clock.Add(6 * time.Second)
	e.unavailable("status 502", 2)
	e.publish("a")
	e.clock.Add(6 * time.Second)
	e.has("a", true, 3)
}

func TestRemoteTakesBackAllKeys(t *testing.T) {
	e := newEndpoint(t, "a")
	e.has("a", true, 1)
	e.answer(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":[]}`)) })
	e.clock.Add(11 * time.Minute)
	e.has("a", false, 2)
}

func TestRemoteIgnoresAClockThatWentBack(t *testing.T) {
	e := newEndpoint(t, "a")
	e.clock.Add(48 * time.Hour)
	e.has("a", true, 1)
	e.publish("b")
	e.clock.Set(e.clock.Now().Add(-24 * time.Hour))
	e.has("b", true, 2)
}

func TestRemoteRefusesAnswers(t *testing.T) {
	elsewhere := newEndpoint(t, "a")
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { elsewhere.serve(w, r) }))
	defer target.Close()
	good := document(t, jwk(t, p256.Public(), m{"kid": "a"}))
	cases := map[string]struct {
		answer http.HandlerFunc
		why    string
	}{
		"redirect":   {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target.URL, http.StatusFound) }, "status 302"},
		"no content": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, "status 204"},
		"created":    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated); _, _ = w.Write(good) }, "status 201"},
		"too long": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(string(good) + strings.Repeat(" ", jose.MaxKeySet)))
		}, "too long"},
		"endless":     {func(w http.ResponseWriter, r *http.Request) { endless(w, r) }, "too long"},
		"private key": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(document(t, jwk(t, p256, nil))) }, "private key"},
		"no JSON":     {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("canary")) }, "syntax"},
		"breaks off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9999")
			_, _ = w.Write(good)
		}, "broke off"},
		"hangs up": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "jwks_uri: "},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			e := newEndpoint(t)
			e.answer(c.answer)
			e.unavailable(c.why, 1)
			e.publish("a")
			e.clock.Add(6 * time.Second)
			e.has("a", true, 2) // positive control
		})
	}
	require.Zero(t, elsewhere.hits.Load())
}

// endless writes until the reader has had enough.
func endless(w io.Writer, r *http.Request) {
	for r.Context().Err() == nil {
		if _, err := w.Write(make([]byte, 64<<10)); err != nil {
			return
		}
	}
}

func TestRemoteIsSingleFlight(t *testing.T) {
	e := newEndpoint(t)
	arrived, release := make(chan struct{}), make(chan struct{})
	raw := document(t, jwk(t, p256.Public(), m{"kid": "a"}))
	e.answer(func(w http.ResponseWriter, _ *http.Request) { close(arrived); <-release; _, _ = w.Write(raw) })

	hurried, cancel := context.WithCancel(t.Context())
	gaveUp := make(chan error)
	go func() { _, err := e.Keys(hurried, "a"); gaveUp <- err }()
	<-arrived
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			set, err := e.Keys(context.Background(), "a")
			if err != nil || !set.Has("a") {
				t.Errorf("keys: %v", err)
			}
		})
	}
	cancel()
	err := <-gaveUp
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, jose.ErrUnavailable)
	close(release)
	wg.Wait()
	require.EqualValues(t, 1, e.hits.Load(), "one caller giving up ends nobody's fetch")
}

func TestRemoteTimesOut(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer srv.Close()
	r, err := jose.NewRemote(srv.URL, clock.NewMock(), &http.Client{Timeout: 50 * time.Millisecond})
	require.NoError(t, err)
	_, err = r.Keys(t.Context(), "a")
	require.ErrorIs(t, err, jose.ErrUnavailable)
}

func TestNewRemoteRefusesURLs(t *testing.T) {
	for _, ok := range []string{"https://idp.example/jwks", "http://127.0.0.1:9/jwks", "http://[::1]:9/jwks", "http://localhost/jwks"} {
		_, err := jose.NewRemote(ok, nil, nil)
		require.NoError(t, err, ok)
	}
	for _, bad := range []string{
		"", "jwks.json", "/jwks", "http://idp.example/jwks", "http://127.0.0.1.example/", "http://localhost.example/",
		"ftp://idp.example/", "file:///etc/passwd", "https:///jwks", "https:idp.example", "https://user:canary@idp.example/",
		"https://idp.example/#x", "http://169.254.169.254/", "https://idp.example/%zz",
	} {
		_, err := jose.NewRemote(bad, nil, nil)
		require.ErrorContains(t, err, "jwks_uri", bad)
		require.NotContains(t, err.Error(), "canary")
	}
}
