package broker_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/broker"
)

// discardLog is what servers of tests say.
var discardLog = log.New(io.Discard, "", 0)

// upstream is the system behind a proxy: it keeps what it was sent, byte for byte.
type upstream struct {
	*httptest.Server
	bytes atomic.Int64 // that came on any connection

	mu     sync.Mutex
	got    []*http.Request
	bodies []string
	answer http.HandlerFunc
}

func newUpstream(t testing.TB) *upstream {
	u := &upstream{}
	u.Server = httptest.NewUnstartedServer(http.HandlerFunc(u.serve))
	u.Listener = countingListener{u.Listener, &u.bytes}
	u.Config.ErrorLog = discardLog
	u.Start()
	t.Cleanup(u.Close)
	return u
}

func (u *upstream) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	u.mu.Lock()
	u.got, u.bodies = append(u.got, r), append(u.bodies, string(body))
	answer := u.answer
	u.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	_, _ = io.WriteString(w, "fine")
}

func (u *upstream) on(h http.HandlerFunc) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.answer = h
}

// requests returns what came since it was asked the last time.
func (u *upstream) requests() []*http.Request {
	u.mu.Lock()
	defer u.mu.Unlock()
	out := u.got
	u.got = nil
	return out
}

type countingListener struct {
	net.Listener
	n *atomic.Int64
}

func (l countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return countingConn{c, l.n}, nil
}

type countingConn struct {
	net.Conn
	n *atomic.Int64
}

func (c countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// front is a proxy that is served, and the system behind it.
type front struct {
	*world
	up    *upstream
	proxy *broker.Proxy
	addr  string // behind Strict
	lax   string // without it
	tok   tb.Token
}

var proxyRoutes = []broker.Route{
	{Methods: []string{"GET", "HEAD"}, Path: "/v1/invoices/*", Scopes: []string{"read"}},
	{Methods: []string{"POST"}, Path: "/v1/invoices", Scopes: []string{"write"}},
	{Methods: []string{"GET"}, Path: "/files/**", Scopes: []string{"read"}},
}

// proxied is a world with a proxy in front of a system, on real sockets.
func proxied(t testing.TB, change ...func(*world, *broker.ProxyConfig)) *front {
	f := &front{world: newWorld(t), up: newUpstream(t)}
	to, err := url.Parse(f.up.URL)
	require.NoError(t, err)
	cfg := broker.ProxyConfig{
		Upstream: to, Routes: proxyRoutes, Inject: map[string]string{"Authorization": "Basic {username}:{password}", "X-Api-Key": "key {password}"},
	}
	for _, c := range change {
		c(f.world, &cfg)
	}
	cfg.Broker = f.Broker
	f.proxy, err = broker.NewProxy(cfg)
	require.NoError(t, err)
	f.addr, f.lax = f.serve(f.proxy, broker.Strict), f.serve(f.proxy, func(l net.Listener) net.Listener { return l })
	f.tok = f.task("bot")
	return f
}

func (f *front) serve(h http.Handler, wrap func(net.Listener) net.Listener) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(f, err)
	s := &http.Server{Handler: h, ErrorLog: discardLog} //nolint:gosec // a test
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(wrap(l))
	}()
	f.Cleanup(func() {
		_ = s.Close()
		<-done
	})
	return l.Addr().String()
}

// reply is an answer to a request on a socket.
type reply struct {
	*http.Response
	body string
	err  error // where it is not whole
}

// raw sends bytes as they are, and reads one answer. In the text, TOKEN stands for the token.
func (f *front) raw(addr, text string) reply {
	f.Helper()
	c, err := net.Dial("tcp", addr)
	require.NoError(f, err)
	defer c.Close() //nolint:errcheck // it was read
	_, err = io.WriteString(c, strings.ReplaceAll(text, "TOKEN", f.tok.Value()))
	require.NoError(f, err)
	method, _, _ := strings.Cut(text, " ")
	return read(f, bufio.NewReader(c), method)
}

func read(t testing.TB, from *bufio.Reader, method string) reply {
	t.Helper()
	resp, err := http.ReadResponse(from, &http.Request{Method: method})
	if err != nil {
		return reply{Response: &http.Response{Body: http.NoBody}, err: err}
	}
	body, err := io.ReadAll(resp.Body)
	return reply{resp, string(body), err}
}

// request is the text of a request with a good token.
func request(line string, headers ...string) string {
	return line + " HTTP/1.1\r\nHost: proxy.example\r\nAuthorization: Bearer TOKEN\r\n" + lines(headers) + "\r\n"
}

func lines(headers []string) (out string) {
	for _, h := range headers {
		out += h + "\r\n"
	}
	return out
}

// get asks for what is allowed, and expects that it is.
func (f *front) get(headers ...string) reply {
	f.Helper()
	out := f.raw(f.addr, request("GET /v1/invoices/7", headers...))
	require.Equal(f, 200, out.StatusCode, out.body)
	require.Len(f, f.up.requests(), 1, "control")
	return out
}

// refuses sends what must be refused, and expects that nothing of it comes through.
func (f *front) refuses(addr, text string, status int, why string) reply {
	f.Helper()
	before := f.up.bytes.Load()
	out := f.raw(addr, text)
	require.Equal(f, status, out.StatusCode, out.body)
	require.Contains(f, out.body, why)
	require.Empty(f, f.up.requests())
	require.Equal(f, before, f.up.bytes.Load(), "nothing comes through")
	require.NotContains(f, fmt.Sprint(out.Header)+out.body, "password of")
	return out
}

// dump is an answer with all that it has.
func (r reply) dump() string {
	var b bytes.Buffer
	_ = r.Header.Write(&b)
	return b.String() + r.body
}
