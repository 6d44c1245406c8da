package verify_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/verify"
)

// uses returns what the lineage knows of the use of a token.
func (w *world) uses(tok tokenboundary.Token) []lineage.Usage {
	w.Helper()
	chain, err := w.g.Lineage(w.Context(), ops, tok.ID)
	require.NoError(w, err)
	return chain[len(chain)-1].Usage
}

// TestUseIsInTheLineage: what the middleware lets through is counted by token and scopes, and told in one report.
func TestUseIsInTheLineage(t *testing.T) {
	w := newWorld(t)
	g := w.guard()
	a := w.issued(func(r *tokenboundary.Request) { r.Scopes = []string{"cases:read", "cases:write"} })
	b := w.issued()
	read, write := g.api(verify.Route{Scopes: []string{"cases:read"}}), g.api(verify.Route{Scopes: []string{"cases:write"}})
	for range 3 {
		require.Equal(t, 200, read(bearer(a)).status)
	}
	require.Equal(t, 200, write(bearer(a)).status)
	require.Equal(t, 200, read(bearer(b)).status)
	require.Equal(t, 403, write(bearer(b)).status, "and is not counted")
	require.Empty(t, w.uses(a))
	g.Flush(t.Context())
	require.Equal(t, 1, w.times("/usage"))
	used := w.uses(a)
	require.Len(t, used, 1)
	require.Equal(t, crm, used[0].Resource)
	require.EqualValues(t, 4, used[0].Count)
	require.EqualValues(t, 1, w.uses(b)[0].Count)
	g.Flush(t.Context())
	require.Equal(t, 1, w.times("/usage"), "there is nothing to tell")
}

// TestUseIsReportedAtTheEnd: what has not been told when the Verifier stops is told then.
func TestUseIsReportedAtTheEnd(t *testing.T) {
	w := newWorld(t)
	g := w.guard()
	tok := w.issued()
	g.Used(g.good(tok), "cases:read")
	g.stop()
	require.EqualValues(t, 1, w.uses(tok)[0].Count)
	require.Zero(t, g.State().Unreported)
}

// TestUseThatCannotBeReported waits for the next time, in bounded memory; what is refused is given up and counted.
func TestUseThatCannotBeReported(t *testing.T) {
	w := newWorld(t)
	g := w.idle()
	tok := w.issued()
	c := tokenboundary.Claims{ID: tok.ID.String()}
	w.on("/usage", status(http.StatusServiceUnavailable))
	g.Used(c, "cases:read")
	g.Flush(t.Context())
	g.Used(c, "cases:read")
	w.on("/usage", nil)
	g.Flush(t.Context())
	require.EqualValues(t, 2, w.uses(tok)[0].Count)
	require.Zero(t, g.State().Unreported)

	w.on("/usage", status(http.StatusForbidden))
	g.Used(c, "cases:read")
	g.Used(c, "cases:read")
	g.Flush(t.Context())
	require.EqualValues(t, 2, g.State().Unreported)

	for i := range verify.MaxPending + 10 {
		g.Used(tokenboundary.Claims{ID: lineage.IDOf(fmt.Append(nil, i)).String()})
	}
	require.EqualValues(t, 12, g.State().Unreported, "the oldest are given up")
	var batches []int
	w.on("/usage", func(out http.ResponseWriter, r *http.Request) {
		var report struct{ Uses []json.RawMessage }
		_ = json.NewDecoder(r.Body).Decode(&report)
		batches = append(batches, len(report.Uses))
		serves("application/json", `{"accepted":0,"refused":[]}`)(out, r)
	})
	g.Flush(t.Context())
	require.Len(t, batches, verify.MaxPending/1000)
	require.Equal(t, 1000, batches[0])
	g.Used(tokenboundary.Claims{ID: "no id"})
	g.Flush(t.Context())
	require.Len(t, batches, verify.MaxPending/1000, "what is no token is nobody's use")
}

// TestUseIsReportedFromTimeToTime by the clock.
func TestUseIsReportedFromTimeToTime(t *testing.T) {
	w := newWorld(t)
	g := w.guard()
	tok := w.issued()
	told := make(chan struct{})
	pass := w.proxy()
	w.on("/usage", func(out http.ResponseWriter, r *http.Request) {
		pass(out, r)
		close(told)
	})
	g.Used(g.good(tok), "cases:read")
	w.clock.Add(10 * time.Second)
	<-told
	require.EqualValues(t, 1, w.uses(tok)[0].Count)
}

// TestARemoteWithAnAssertion does all that one with a secret does.
func TestARemoteWithAnAssertion(t *testing.T) {
	w := newWorld(t)
	r, err := verify.NewRemote(verify.RemoteConfig{URL: w.url + "/", Credential: w.assertion, Clock: w.clock})
	require.NoError(t, err)
	g := w.guard(func(c *verify.Config) { c.Boundary = r })
	tok := w.issued(over("staging"))
	g.good(tok)
	g.sees(w.revoke(lineage.SelectConnection, "prod", lineage.Cut))
	g.good(tok)
	require.Equal(t, 1, w.times("/introspect"))
	g.Used(g.good(tok), "cases:read")
	g.Flush(t.Context())
	require.EqualValues(t, 1, w.uses(tok)[0].Count)
}

// TestARemoteHidesItsSecret from whoever prints it, and from its errors.
func TestARemoteHidesItsSecret(t *testing.T) {
	w := newWorld(t)
	r, err := verify.NewRemote(verify.RemoteConfig{URL: w.url, Credential: verify.Secret("crm", "canary-secret"), Clock: w.clock})
	require.NoError(t, err)
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("remote", "remote", r)
	raw, err := json.Marshal(r)
	require.NoError(t, err)
	_, failed := r.Introspect(t.Context(), "canary-token")
	require.ErrorIs(t, failed, tokenboundary.ErrUnauthenticated)
	for _, out := range []string{fmt.Sprintf("%v %+v %#v %s", r, r, r, r), log.String(), string(raw), failed.Error()} {
		require.NotContains(t, out, "canary")
		require.NotEmpty(t, out)
	}
	none, err := verify.NewRemote(verify.RemoteConfig{URL: w.url, Credential: func(context.Context) (tokenboundary.Credential, error) {
		return tokenboundary.Credential{}, nil
	}})
	require.NoError(t, err)
	_, err = none.Introspect(t.Context(), "x")
	require.ErrorContains(t, err, "neither a secret nor an assertion")
}
