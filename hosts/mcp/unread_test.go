package mcp_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	governed "github.com/tokenboundary/tokenboundary/hosts/mcp"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// counted is a body that counts how often it is read.
type counted struct {
	io.Reader
	reads int
}

func (c *counted) Read(p []byte) (int, error) {
	c.reads++
	return c.Reader.Read(p)
}

func (c *counted) Close() error { return nil }

// unlistened is the guard in front of another MCP server, with nothing before it that reads bodies.
func (w *world) unlistened() http.Handler {
	server := mcp.NewServer(&mcp.Implementation{Name: "crm", Version: "1"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "read"}, w.tool("read"))
	return w.guard.Handler(server, &mcp.StreamableHTTPOptions{Stateless: true})
}

// give sends a body to a handler, and counts.
func give(h http.Handler, header http.Header, body io.Reader) (*httptest.ResponseRecorder, int) {
	c := &counted{Reader: body}
	r := httptest.NewRequest(http.MethodPost, "/mcp", c)
	r.Header = header
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec, c.reads
}

// endless is a body that would never end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func TestABodyIsNotReadBeforeItsTokenIsVerified(t *testing.T) {
	w := newWorld(t)
	h, task := w.unlistened(), w.task("triage", all...)
	live, dead := w.token(task, "cases:read"), w.token(w.task("report", all...), "cases:read")
	w.revoke(lineage.SelectToken, w.claimsOf(dead).ID)
	basic, bound := with(""), with("")
	basic.Set("Authorization", "Basic eDp5")
	bound.Set("Authorization", "DPoP "+live)
	for name, c := range map[string]struct {
		header    http.Header
		challenge string
		failed    string
	}{
		"no token":        {with(""), `Bearer scope="mcp", resource_metadata=`, ""},
		"another scheme":  {basic, `Bearer scope="mcp", resource_metadata=`, ""},
		"garbage":         {with("garbage"), `Bearer error="invalid_token"`, "invalid_token: "},
		"revoked":         {with(dead), `Bearer error="invalid_token"`, "invalid_token: "},
		"without a proof": {bound, `DPoP error="invalid_dpop_proof"`, "invalid_dpop_proof: "},
	} {
		t.Run(name, func(t *testing.T) {
			rec, reads := give(h, c.header, endless{})
			require.Equal(t, http.StatusUnauthorized, rec.Code)
			require.Zero(t, reads)
			require.Contains(t, rec.Header().Get("WWW-Authenticate"), c.challenge)
			if c.failed == "" {
				require.Empty(t, rec.Body.String())
				return
			}
			require.Contains(t, rec.Body.String(), `"message":"`+c.failed)
			require.NotContains(t, rec.Body.String(), `"id"`, "which call it was is not known")
		})
	}
	rec, reads := give(h, with(live), strings.NewReader(calls("read")))
	require.Equal(t, http.StatusOK, rec.Code, "control")
	require.Contains(t, rec.Body.String(), "read for alice")
	require.Positive(t, reads)
	rec, reads = give(h, with(live), endless{})
	require.Equal(t, http.StatusRequestEntityTooLarge, rec.Code, "control: it is read, within its bound")
	require.Positive(t, reads)
	rec, _ = give(h, with(live), io.MultiReader(strings.NewReader("{"), broken{}))
	require.Equal(t, http.StatusBadRequest, rec.Code)
}

// A refusal that does not say which call it is for fails the call of a governed client, and the connection of a plain one.
func TestARefusedTokenFailsAloneInAGovernedClient(t *testing.T) {
	w := newWorld(t)
	token := w.token(w.task("triage", "mcp", "cases:read"), "mcp", "cases:read")
	plain := new(bearer).set(token)
	s := w.open(&http.Client{Transport: plain})
	w.works(s, nil, "read")
	plain.set("garbage")
	w.denied(s, nil, "read", "Unauthorized")
	plain.set(token)
	w.denied(s, nil, "read", "Unauthorized")

	var spoil atomic.Bool
	s = w.connect(func(c *governed.ClientConfig) { c.Base = spoiling{&spoil} })
	task := w.task("report", all...)
	w.works(s, task, "read")
	spoil.Store(true)
	require.ErrorIs(t, w.denied(s, task, "read", "status 401"), tb.ErrDenied)
	spoil.Store(false)
	w.works(s, task, "read")
}

// spoiling puts another token into what it sends.
type spoiling struct{ on *atomic.Bool }

func (s spoiling) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.on.Load() {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer garbage")
	}
	return http.DefaultTransport.RoundTrip(r)
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("it breaks off") }

// A client that announces a body and sends none of it has its answer.
func TestARefusalDoesNotWaitForABody(t *testing.T) {
	w := newWorld(t)
	server := httptest.NewServer(w.unlistened())
	t.Cleanup(server.Close)
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close() //nolint:errcheck // what it says does not matter
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
	_, err = fmt.Fprintf(conn, "POST /mcp HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer garbage\r\nContent-Length: 4000000\r\n\r\n", server.Listener.Addr())
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	require.Contains(t, resp.Header.Get("WWW-Authenticate"), `error="invalid_token"`)
}

// claimsOf returns what a token says that is good.
func (w *world) claimsOf(token string) tb.Claims {
	w.Helper()
	c, err := w.verifier.Verify(w.Context(), token)
	require.NoError(w, err)
	return c
}

// slow is a body that calls a function once it has been read.
type slow struct {
	io.Reader
	then func()
}

func (s *slow) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err == io.EOF && s.then != nil {
		s.then()
		s.then = nil
	}
	return n, err
}

// Who sends slowly gains nothing: the token has to be good when the call begins.
func TestATokenThatEndsWhileTheBodyIsReadIsRefused(t *testing.T) {
	for name, end := range map[string]func(*world, string){
		"revoked": func(w *world, token string) { w.revoke(lineage.SelectToken, w.claimsOf(token).ID) },
		"expired": func(w *world, _ string) { w.clock.Add(7 * time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			h, task := w.unlistened(), w.task("triage", all...)
			token := w.token(task, "cases:read")
			rec, _ := give(h, with(token), &slow{strings.NewReader(calls("read")), func() {}})
			require.Equal(t, http.StatusOK, rec.Code, "control")
			require.Len(t, w.reached(), 1)
			rec, _ = give(h, with(token), &slow{strings.NewReader(calls("read")), func() { end(w, token) }})
			require.Equal(t, http.StatusUnauthorized, rec.Code)
			require.Contains(t, rec.Body.String(), `"message":"invalid_token: `)
			require.Contains(t, rec.Body.String(), `"id":7`, "the call was read")
			require.Len(t, w.reached(), 1)
		})
	}
}
