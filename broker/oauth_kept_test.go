package broker_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/broker"
)

// stopping is a sealer in a process that stops when it puts down what takes the place of the refresh token.
type stopping struct {
	xor
	seals         atomic.Int32
	stopped, goOn chan struct{}
}

func (s *stopping) Seal(ctx context.Context, about string, plain []byte) ([]byte, error) {
	if s.seals.Add(1) == 3 { // the deposit, the use, its end
		close(s.stopped)
		<-s.goOn
	}
	return s.xor.Seal(ctx, about, plain)
}

// TestAProcessThatStopsWithTheOnlyRefreshToken: others say what has to be done, and it has nothing of what it got when it goes on.
func TestAProcessThatStopsWithTheOnlyRefreshToken(t *testing.T) {
	u := newForeign(t)
	s := &stopping{stopped: make(chan struct{}), goOn: make(chan struct{})}
	w, o := vaulting(t, u, func(c *broker.OAuthConfig) { c.Sealer = s })
	read := tb.Lease{Scopes: []string{"read"}}
	late := make(chan error, 1)
	go func() {
		_, err := o.Fetch(w.ctx, read)
		late <- err
	}()
	<-s.stopped
	require.Equal(t, []string{"access-1 read"}, u.live())
	w.clock.Add(2 * time.Minute) // its use is over
	other := w.oauth(u)
	_, err := other.Fetch(w.ctx, read)
	require.ErrorIs(t, err, tb.ErrDenied)
	require.ErrorContains(t, err, "another one has to be deposited")
	require.NoError(t, other.Deposit(w.ctx, "canary-deposit"))
	close(s.goOn)
	require.Error(t, <-late)
	require.Empty(t, u.live(), "nobody has it")

	u.mu.Lock()
	u.refresh, u.dead = "canary-deposit", false
	u.mu.Unlock()
	_, err = other.Fetch(w.ctx, read)
	require.NoError(t, err, "control: what was deposited is still there")
}

// TestWhatIsDepositedWhileAnotherIsUsedStays: the use comes to nothing.
func TestWhatIsDepositedWhileAnotherIsUsedStays(t *testing.T) {
	u := newForeign(t)
	w, o := vaulting(t, u)
	u.lie = func(http.ResponseWriter, map[string]any) {
		require.NoError(t, w.oauth(u).Deposit(w.ctx, "canary-deposit"))
	}
	_, err := o.Fetch(w.ctx, tb.Lease{Scopes: []string{"read"}})
	require.ErrorIs(t, err, tb.ErrConflict)
	require.NotContains(t, err.Error(), "canary")
	require.Empty(t, u.live())
	u.lie, u.refresh = nil, "canary-deposit"
	_, err = o.Fetch(w.ctx, tb.Lease{Scopes: []string{"read"}})
	require.NoError(t, err)
}

// TestWhatIsRefusedIsRevoked: an access token with more than was asked for is not left at the server.
func TestWhatIsRefusedIsRevoked(t *testing.T) {
	for scope, kept := range map[string]int{"read admin": 0, "": 0, "read": 1} {
		u := newForeign(t)
		w, o := vaulting(t, u)
		u.lie = func(_ http.ResponseWriter, a map[string]any) { a["scope"] = scope }
		_, err := o.Fetch(w.ctx, tb.Lease{Scopes: []string{"read"}})
		require.Equal(t, kept == 1, err == nil, scope)
		require.Len(t, u.live(), kept, scope)
	}
}

// TestAnAnswerThatIsNoneOrTooMuch: the refresh token that is there stays.
func TestAnAnswerThatIsNoneOrTooMuch(t *testing.T) {
	u := newForeign(t)
	w, o := vaulting(t, u)
	for _, lie := range []func(http.ResponseWriter, map[string]any){
		func(_ http.ResponseWriter, a map[string]any) { a["error"], u.refresh = "canary", firstRefresh },
		func(_ http.ResponseWriter, a map[string]any) {
			a["refresh_token"], u.refresh = strings.Repeat("r", 8<<10+1), firstRefresh
		},
	} {
		u.lie = lie
		_, err := o.Fetch(w.ctx, tb.Lease{Scopes: []string{"read"}})
		require.ErrorIs(t, err, tb.ErrUnavailable)
		require.ErrorContains(t, err, "does not answer as it should")
		require.NotContains(t, err.Error(), "canary")
	}
	u.lie = nil
	_, err := o.Fetch(w.ctx, tb.Lease{Scopes: []string{"read"}})
	require.NoError(t, err, "control")
	require.ErrorContains(t, o.Deposit(w.ctx, strings.Repeat("r", 8<<10+1)), "too long")
	require.NoError(t, o.Deposit(w.ctx, strings.Repeat("r", 8<<10)))
}

// TestAnotherConnectionDoesNotOpenIt: what is kept for one is of no use in the place of another.
func TestAnotherConnectionDoesNotOpenIt(t *testing.T) {
	u := newForeign(t)
	w, o := vaulting(t, u)
	w.client.Connections = []string{"erp", "side"}
	side := w.oauth(u, func(c *broker.OAuthConfig) { c.Connection = "side" })
	k, err := w.gov.Kept(w.ctx, w.client, "erp")
	require.NoError(t, err)
	_, err = w.gov.Keep(w.ctx, w.client, "side", tb.Kept{Value: k.Value})
	require.NoError(t, err)
	_, err = side.Fetch(w.ctx, tb.Lease{Scopes: []string{"read"}})
	require.ErrorContains(t, err, "cannot be opened")
	require.Empty(t, u.live())
	_, err = o.Fetch(w.ctx, tb.Lease{Scopes: []string{"read"}})
	require.NoError(t, err, "control")
}

// TestAnAccessTokenThatIsNotRevokedIsOutstanding until the server has said that it is.
func TestAnAccessTokenThatIsNotRevokedIsOutstanding(t *testing.T) {
	u := newForeign(t)
	var status atomic.Int32
	status.Store(http.StatusServiceUnavailable)
	revokes := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if code := int(status.Load()); code != http.StatusOK {
			w.Header().Set("Location", u.URL+"/revoke")
			w.WriteHeader(code)
			_, _ = w.Write([]byte("canary"))
			return
		}
		u.Config.Handler.ServeHTTP(w, r)
	}))
	defer revokes.Close()
	w, _ := vaulting(t, u, func(c *broker.OAuthConfig) { c.RevocationURL = revokes.URL + "/revoke" })
	tok := w.task("bot")
	w.lease(tok)
	w.cut("token:" + tok.ID.String())
	for _, code := range []int32{http.StatusServiceUnavailable, http.StatusBadRequest, http.StatusTemporaryRedirect, http.StatusAccepted} {
		status.Store(code)
		w.sweep()
		require.Equal(t, 1, w.Outstanding().Failing, "%d", code)
		require.Len(t, u.live(), 1, "%d", code)
		w.clock.Add(time.Minute)
	}
	require.NotContains(t, w.log.String(), "canary")
	status.Store(http.StatusOK)
	w.sweep()
	require.Empty(t, w.open())
	require.Empty(t, u.live())
}

// TestAnAnswerOfAnotherForm: what is there besides an answer, or is said to be something else, is none.
func TestAnAnswerOfAnotherForm(t *testing.T) {
	u := newForeign(t)
	w, o := vaulting(t, u)
	read := tb.Lease{Scopes: []string{"read"}}
	for _, lie := range []func(w http.ResponseWriter){
		func(w http.ResponseWriter) { w.Header().Set("Content-Type", "text/html") },
		func(w http.ResponseWriter) { _, _ = w.Write(bytes.Repeat([]byte(" "), 64<<10)) },
	} {
		u.lie = func(w http.ResponseWriter, _ map[string]any) { u.refresh = firstRefresh; lie(w) }
		_, err := o.Fetch(w.ctx, read)
		require.ErrorContains(t, err, "does not answer as it should")
	}
	u.lie = nil
	_, err := o.Fetch(w.ctx, read)
	require.NoError(t, err, "control")
}
