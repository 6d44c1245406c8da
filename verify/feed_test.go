package verify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/verify"
)

// TestBeforeTheFeedWasRead nothing is known, and the policy says what that means.
func TestBeforeTheFeedWasRead(t *testing.T) {
	w := newWorld(t)
	tok := w.issued()
	closed := w.idle()
	closed.refused(tok, tokenboundary.ErrUnavailable, "has not been read")
	require.Equal(t, verify.State{}, closed.State())
	a := closed.api(verify.Route{AnyScope: true})(bearer(tok))
	require.Equal(t, 503, a.status)
	require.Equal(t, "1", a.header.Get("Retry-After"))
	require.Equal(t, "temporarily_unavailable", a.body["error"])
	open := w.idle(func(c *verify.Config) { c.FeedLost = verify.UntilExpiry })
	open.good(tok)

	seq := w.revoke(lineage.SelectToken, tok.ID.String(), lineage.Cut)
	open.good(tok, "it cannot know")
	open.run()
	closed.run()
	open.sees(seq)
	open.refused(tok, verify.ErrInactive, "revoked: token")
	closed.sees(seq)
	closed.refused(tok, verify.ErrInactive, "revoked: token")
	require.NoError(t, closed.Await(t.Context(), 0))
	closed.good(w.issued())
	require.ErrorContains(t, closed.Run(t.Context()), "run before")
}

// TestAFeedThatStalls is lost after MaxStale: then the policy decides, and what is known to be dead stays dead. When it is
// found again, nothing was missed.
func TestAFeedThatStalls(t *testing.T) {
	for _, lost := range []verify.FeedLost{verify.FailClosed, verify.UntilExpiry} {
		w := newWorld(t)
		hung := make(chan struct{}, 10)
		stalled := make(chan struct{})
		var stall http.HandlerFunc = func(out http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			out.Header().Set("Content-Type", "application/json")
			_, _ = out.Write([]byte(`{"entries":[`))
			out.(http.Flusher).Flush()
			hung <- struct{}{}
			select {
			case <-r.Context().Done():
			case <-stalled:
			}
		}
		g := w.idle(func(c *verify.Config) { c.FeedLost, c.MaxStale = lost, 30*time.Second })
		dead, live := w.issued(), w.issued()
		g.run()
		w.polled(w.revoke(lineage.SelectToken, dead.ID.String(), lineage.Cut))
		require.NoError(t, g.Await(t.Context(), 0))
		w.on("/revocations", stall)
		g.sees(w.revoke(lineage.SelectToken, w.issued().ID.String(), lineage.Cut)) // the poll under way ends
		<-hung
		g.good(live)
		w.clock.Add(29 * time.Second)
		g.refused(dead, verify.ErrInactive, "revoked: token")
		w.clock.Add(2 * time.Second)
		require.False(t, g.State().Known)
		g.refused(dead, verify.ErrInactive, "revoked: token")
		unseen := w.issued()
		w.revoke(lineage.SelectToken, unseen.ID.String(), lineage.Cut)
		if lost == verify.FailClosed {
			g.refused(live, tokenboundary.ErrUnavailable, "the revocation feed is lost")
		} else {
			g.good(live)
			g.good(unseen, "it cannot know")
		}
		w.on("/revocations", nil)
		close(stalled)
		w.recover(g)
		g.good(live)
		g.refused(unseen, verify.ErrInactive, "revoked: token")
		require.Contains(t, w.log.String(), "the revocation feed cannot be read")
	}
}

// recover lets time pass until the verifier knows again: it pauses between its attempts.
func (w *world) recover(g *guard) {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	done := make(chan error, 1)
	go func() {
		done <- g.Await(ctx, 0)
		cancel()
	}()
	for ctx.Err() == nil {
		w.clock.Add(time.Second)
	}
	require.NoError(w, <-done)
}

// serves serves these bytes as the answer of the feed, whatever was asked for.
func serves(kind, body string) http.HandlerFunc {
	return func(out http.ResponseWriter, _ *http.Request) {
		out.Header().Set("Content-Type", kind)
		_, _ = io.WriteString(out, body)
	}
}

// TestAFeedThatIsNone is an error that says what is wrong, however it is broken, and no token is lost or let through by it.
func TestAFeedThatIsNone(t *testing.T) {
	const entry = `{"seq":%d,"selector":"client:x","at":"2026-03-01T12:00:00Z","before":"2026-03-01T12:00:05Z"}`
	page := func(seqs ...int) string {
		var out []string
		for _, n := range seqs {
			out = append(out, fmt.Sprintf(entry, n))
		}
		return `{"entries":[` + strings.Join(out, ",") + `]}`
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		target  error
		why     string
	}{
		"positive control":   {serves("application/json", page(1, 2, 3)), nil, ""},
		"empty":              {serves("application/json", `{"entries":[]}`), nil, ""},
		"not JSON":           {serves("application/json", `<html>`), tokenboundary.ErrUnavailable, "not an answer"},
		"HTML":               {serves("text/html", page(1)), tokenboundary.ErrUnavailable, "not an answer"},
		"no entries":         {serves("application/json", `{}`), tokenboundary.ErrUnavailable, "not an answer"},
		"null":               {serves("application/json", `{"entries":null}`), tokenboundary.ErrUnavailable, "not an answer"},
		"an unknown kind":    {serves("application/json", strings.ReplaceAll(page(1), "client:", "planet:")), tokenboundary.ErrUnavailable, "not an answer"},
		"an unknown action":  {serves("application/json", strings.ReplaceAll(page(1), `"at"`, `"action":"maybe","at"`)), tokenboundary.ErrUnavailable, "not an answer"},
		"no selector":        {serves("application/json", `{"entries":[{"seq":1,"before":"2026-03-01T12:00:05Z"}]}`), tokenboundary.ErrUnavailable, "not an answer"},
		"no number":          {serves("application/json", page(0)), tokenboundary.ErrUnavailable, "not an answer"},
		"a negative number":  {serves("application/json", page(-1)), tokenboundary.ErrUnavailable, "not an answer"},
		"no time":            {serves("application/json", `{"entries":[{"seq":1,"selector":"client:x"}]}`), tokenboundary.ErrUnavailable, "not an answer"},
		"too many":           {serves("application/json", `{"entries":[`+strings.Repeat(fmt.Sprintf(entry, 1)+",", 1000)+fmt.Sprintf(entry, 1)+`]}`), tokenboundary.ErrUnavailable, "not an answer"},
		"a jump":             {serves("application/json", page(1, 3)), verify.ErrFeed, "entry 3 after 1"},
		"backwards":          {serves("application/json", page(2, 1)), verify.ErrFeed, "entry 1 after 2"},
		"the same twice":     {serves("application/json", page(2, 2)), verify.ErrFeed, "entry 2 after 2"},
		"gone":               {status(410), tokenboundary.ErrGone, "gone"},
		"not authenticated":  {status(401), tokenboundary.ErrUnauthenticated, "authentication"},
		"not permitted":      {status(403), tokenboundary.ErrForbidden, "permitted"},
		"not found":          {status(404), tokenboundary.ErrInvalid, "status 404"},
		"too many requests":  {status(429, "Retry-After", "7"), tokenboundary.ErrUnavailable, "status 429"},
		"broken":             {status(500), tokenboundary.ErrUnavailable, "status 500"},
		"a redirect":         {status(307, "Location", "/tenant/elsewhere"), tokenboundary.ErrUnavailable, "status 307"},
		"it breaks off":      {breaksOff, tokenboundary.ErrUnavailable, "broke off"},
		"a gigabyte":         {endless, tokenboundary.ErrUnavailable, "too long"},
		"compressed, a bomb": {status(200, "Content-Encoding", "gzip", "Content-Type", "application/json"), tokenboundary.ErrUnavailable, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.on("/revocations", c.handler)
			var got error
			n := 0
			for _, err := range w.remote().Revocations(t.Context(), 0, 0) {
				if got = err; err == nil {
					n++
				}
			}
			if c.target == nil {
				require.NoError(t, got)
				return
			}
			require.ErrorIs(t, got, c.target)
			require.ErrorContains(t, got, c.why)
			require.NotContains(t, got.Error(), secret)
			require.Zero(t, n, "nothing of a page that is broken")
			require.Zero(t, w.times("/elsewhere"), "no redirect is followed")
			var u *tokenboundary.UnavailableError
			if errors.As(got, &u) && c.why == "status 429" {
				require.Equal(t, 7*time.Second, u.RetryAfter)
			}
		})
	}
}

func status(code int, headers ...string) http.HandlerFunc {
	return func(out http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			out.Header().Set(headers[i], headers[i+1])
		}
		out.WriteHeader(code)
	}
}

func breaksOff(out http.ResponseWriter, _ *http.Request) {
	out.Header().Set("Content-Type", "application/json")
	out.Header().Set("Content-Length", "1000")
	_, _ = io.WriteString(out, `{"entries":[`)
	out.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

// endless would send a gigabyte, if anybody read it.
func endless(out http.ResponseWriter, _ *http.Request) {
	out.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(out, `{"entries":[`)
	chunk := []byte(strings.Repeat(" ", 1<<20))
	for range 1 << 10 {
		if _, err := out.Write(chunk); err != nil {
			return
		}
	}
}

// TestAFeedThatDoesNotGoOn where it was read to, is read anew from its beginning. Until that is done, the state is unknown;
// afterwards everything is known.
func TestAFeedThatDoesNotGoOn(t *testing.T) {
	replayed := func(w *world) http.HandlerFunc { // the first entry, again and again
		first := firstPage(w)
		return func(out http.ResponseWriter, r *http.Request) {
			serves("application/json", first)(out, r)
		}
	}
	for name, disturb := range map[string]func(*world) http.HandlerFunc{
		"replay": replayed,
		"gone":   func(*world) http.HandlerFunc { return status(http.StatusGone) },
		"jump": func(w *world) http.HandlerFunc {
			pass := w.proxy()
			return func(out http.ResponseWriter, r *http.Request) {
				rec := httptest.NewRecorder()
				pass(rec, r)
				var page struct {
					Entries []map[string]any `json:"entries"`
				}
				d := json.NewDecoder(rec.Body)
				d.UseNumber()
				_ = d.Decode(&page)
				for _, e := range page.Entries {
					n, _ := e["seq"].(json.Number).Int64()
					e["seq"] = n + 5
				}
				out.Header().Set("Content-Type", "application/json")
				_ = json.NewEncoder(out).Encode(page)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			dead, live := w.issued(), w.issued()
			g := w.guard()
			w.polled(w.revoke(lineage.SelectToken, dead.ID.String(), lineage.Cut))
			w.on("/revocations", disturb(w))
			g.sees(w.revoke(lineage.SelectToken, w.issued().ID.String(), lineage.Cut)) // the poll under way ends
			later := w.issued()
			last := w.revoke(lineage.SelectToken, later.ID.String(), lineage.Cut)
			require.NoError(t, g.Until(t.Context(), func() bool { return !g.State().Known }))
			g.refused(live, tokenboundary.ErrUnavailable, "the revocation feed is lost")
			g.refused(dead, verify.ErrInactive, "revoked: token")
			w.on("/revocations", nil)
			w.recover(g)
			g.sees(last)
			g.good(live)
			g.refused(dead, verify.ErrInactive, "revoked: token")
			g.refused(later, verify.ErrInactive, "revoked: token")
		})
	}
}

func firstPage(w *world) string {
	var entries []lineage.Revocation
	for e, err := range w.g.Revocations(w.Context(), ops, 0) {
		require.NoError(w, err)
		entries = append(entries, e)
	}
	require.NotEmpty(w, entries)
	raw, err := json.Marshal(map[string]any{"entries": entries[:1]})
	require.NoError(w, err)
	return string(raw)
}

// TestAFeedThatBeginsAnew, because the store was restored, is read anew, and what it does not hold any more is forgotten
// but for what it killed in the meantime.
func TestAFeedThatBeginsAnew(t *testing.T) {
	w := newWorld(t)
	g := w.guard()
	dead, live := w.issued(), w.issued()
	g.sees(w.revoke(lineage.SelectToken, dead.ID.String(), lineage.Cut))
	before := g.State().Position
	require.NoError(t, w.g.RenewFeed(t.Context(), ops))
	require.NoError(t, g.Until(t.Context(), func() bool { return !g.State().Known }))
	w.revoke(lineage.SelectToken, w.issued().ID.String(), lineage.Cut)
	w.recover(g)
	require.NoError(t, g.Until(t.Context(), func() bool { return g.State().Position > before+2 }), "another epoch")
	g.good(live)
	g.refused(dead, verify.ErrInactive, "revoked: token")
}

// TestAVerifierOfTheSameProcess needs no HTTP.
func TestAVerifierOfTheSameProcess(t *testing.T) {
	w := newWorld(t)
	keys, err := w.mint.JWKS(t.Context())
	require.NoError(t, err)
	g := w.guard(func(c *verify.Config) {
		c.JWKS, c.JWKSURI = keys, ""
		c.Boundary = verify.Local{Governor: w.g, Client: clients["crm"], Clock: w.clock}
	})
	tok, beside := w.issued(), w.issued(over("staging"))
	g.good(tok)
	g.sees(w.revoke(lineage.SelectConnection, "prod", lineage.Cut))
	g.refused(tok, verify.ErrInactive, "the boundary says so")
	g.good(beside)
	g.Used(g.good(beside), "cases:read")
	g.Flush(t.Context())
	require.Equal(t, uint64(1), w.uses(beside)[0].Count)
	require.NoError(t, w.g.RenewFeed(t.Context(), ops))
	require.NoError(t, g.Until(t.Context(), func() bool { return !g.State().Known }))
	w.recover(g)
	g.good(beside)
	g.stop()

	forbidden := w.idle(func(c *verify.Config) {
		c.Boundary = verify.Local{Governor: w.g, Client: clients["bot"], Clock: w.clock}
	})
	forbidden.run()
	forbidden.refused(beside, tokenboundary.ErrUnavailable, "has not been read")
}

// TestMuchIsReadInPages, also where each entry is as long as it can be.
func TestMuchIsReadInPages(t *testing.T) {
	w := newWorld(t)
	tok := w.issued()
	for i := range 2500 {
		w.revoke(lineage.SelectClient, fmt.Sprint(strings.Repeat("é", 250), i), lineage.Cut)
	}
	last := w.revoke(lineage.SelectToken, tok.ID.String(), lineage.Cut)
	g := w.guard()
	require.Equal(t, last, g.State().Position)
	require.Equal(t, 2501, g.State().Entries)
	g.refused(tok, verify.ErrInactive, "revoked: token")
}

// TestABoundaryThatDoesNotWait is not asked again and again.
func TestABoundaryThatDoesNotWait(t *testing.T) {
	w := newWorld(t)
	w.on("/revocations", serves("application/json", `{"entries":[]}`))
	g := w.guard()
	require.LessOrEqual(t, w.times("/revocations"), 3)
	g.good(w.issued())
	g.stop()
	require.LessOrEqual(t, w.times("/revocations"), 3, "no time has passed")
}
