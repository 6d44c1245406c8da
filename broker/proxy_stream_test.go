package broker_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/broker"
	"github.com/tokenboundary/tokenboundary/store/storetest"
)

// stream is an answer that does not end by itself.
type stream struct {
	*front
	more chan string   // what the system says next
	gone chan struct{} // the system was told that nobody wants it
	body *bufio.Reader
}

func streaming(f *front) *stream {
	s := &stream{front: f, more: make(chan string), gone: make(chan struct{})}
	f.up.on(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		for {
			w.(http.Flusher).Flush()
			select {
			case text := <-s.more:
				_, _ = io.WriteString(w, text)
			case <-r.Context().Done():
				close(s.gone)
				return
			}
		}
	})
	req, err := http.NewRequestWithContext(f.ctx, http.MethodGet, "http://"+f.addr+"/v1/invoices/7", nil)
	require.NoError(f, err)
	req.Header.Set("Authorization", "Bearer "+f.tok.Value())
	resp, err := http.DefaultClient.Do(req)
	require.NoError(f, err)
	require.Equal(f, 200, resp.StatusCode)
	f.Cleanup(func() { _ = resp.Body.Close() })
	s.body = bufio.NewReader(resp.Body)
	s.says("data: 1\n")
	return s
}

// says expects that a line comes through at once.
func (s *stream) says(text string) {
	s.Helper()
	s.more <- text
	line, err := s.body.ReadString('\n')
	require.NoError(s, err)
	require.Equal(s, text, line)
}

// isCut expects that the stream breaks off on both sides.
func (s *stream) isCut() {
	s.Helper()
	_, err := io.ReadAll(s.body)
	require.ErrorIs(s, err, io.ErrUnexpectedEOF, "the caller does not take it for the whole")
	<-s.gone
	require.NotContains(s, s.log.String(), "password of")
}

// TestAStreamIsCut when the token, or what is above it, dies: at once where Run sees it, and within a second by the proxy
// itself. One of another task goes on.
func TestAStreamIsCut(t *testing.T) {
	for name, cut := range map[string]func(*front){
		"the task completes": func(f *front) { f.set(f.tok, tb.TaskCompleted) },
		"the token is cut":   func(f *front) { f.cut("token:" + f.tok.ID.String()) },
		"the task rests":     func(f *front) { f.set(f.tok, tb.TaskSuspended) },
	} {
		t.Run(name, func(t *testing.T) {
			f := proxied(t)
			ctx, stop := context.WithCancel(f.ctx)
			ended := make(chan error)
			go func() { ended <- f.Run(ctx) }()
			s := streaming(f)
			f.clock.Add(time.Second) // the proxy looks, and Run
			s.says("data: 2\n")
			cut(f)
			s.isCut()
			stop()
			<-ended
		})
		t.Run(name+", without Run", func(t *testing.T) {
			f := proxied(t)
			s := streaming(f)
			f.clock.Add(time.Second)
			s.says("data: 2\n")
			cut(f)
			f.clock.Add(time.Second)
			s.isCut()
		})
	}
	f := proxied(t)
	s := streaming(f)
	f.clock.Add(5 * time.Minute) // it expires
	stop := f.goesOn()
	s.isCut()
	stop()

	f = proxied(t)
	s = streaming(f)
	other := f.task("bot")
	f.set(other, tb.TaskCompleted)
	f.clock.Add(time.Second)
	s.says("data: 3\n")
}

// goesOn lets the time go on, a second at a time.
func (f *front) goesOn() (stop func()) {
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ended:
				return
			default:
				f.clock.Add(time.Second)
			}
		}
	}()
	return func() {
		close(ended)
		<-done
	}
}

// TestAStreamIsCutWhereNothingIsKnown of the lease: the store is away.
func TestAStreamIsCutWhereNothingIsKnown(t *testing.T) {
	var broken *storetest.Faulty
	f := proxied(t, func(w *world, _ *broker.ProxyConfig) {
		broken = storetest.FailOn(w.store, storetest.Get, errors.New("boom")).Set(false)
		w.store = broken
		w.restart()
	})
	s := streaming(f)
	f.clock.Add(time.Second)
	s.says("data: 2\n")
	broken.Set(true)
	f.clock.Add(time.Second)
	s.isCut()
	f.up.requests()
	f.refuses(f.addr, request("GET /v1/invoices/7"), 503, "cannot be decided")
	broken.Set(false)
	f.up.on(nil)
	f.get()
}

// TestACallerThatDoesNotRead is cut all the same: what would wait for it to read ends.
func TestACallerThatDoesNotRead(t *testing.T) {
	f := proxied(t)
	gone, ended := make(chan struct{}), make(chan struct{})
	f.up.on(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "a part")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		close(gone)
	})
	caller, served := net.Pipe() // has room for nothing
	l := &oneConn{conns: make(chan net.Conn, 1), closed: make(chan struct{})}
	l.conns <- served
	s := &http.Server{ErrorLog: discardLog, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { //nolint:gosec // a test
		defer close(ended)
		f.proxy.ServeHTTP(w, r)
	})}
	go func() { _ = s.Serve(broker.Strict(l)) }()
	defer s.Close() //nolint:errcheck // a test
	_, err := io.WriteString(caller, strings.ReplaceAll(request("GET /v1/invoices/7"), "TOKEN", f.tok.Value()))
	require.NoError(t, err)
	first := make([]byte, 1)
	_, err = io.ReadFull(caller, first)
	require.NoError(t, err, "the answer has begun")
	f.cut("token:" + f.tok.ID.String())
	f.clock.Add(time.Second)
	<-gone
	<-ended
}

// oneConn is a listener of connections that are there already.
type oneConn struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *oneConn) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (*oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// TestAnUploadIsCut: a caller that sends no more of its body holds nothing open.
func TestAnUploadIsCut(t *testing.T) {
	f := proxied(t)
	began, gone := make(chan struct{}), make(chan struct{})
	f.up.Config.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		_, _ = io.ReadAll(r.Body)
		close(gone)
	})
	c, err := net.Dial("tcp", f.addr)
	require.NoError(t, err)
	defer c.Close() //nolint:errcheck // it was used
	_, err = io.WriteString(c, strings.ReplaceAll(request("POST /v1/invoices", "Content-Length: 5"), "TOKEN", f.tok.Value())+"he")
	require.NoError(t, err)
	<-began
	f.cut("token:" + f.tok.ID.String())
	f.clock.Add(time.Second)
	<-gone
	out := read(t, bufio.NewReader(c), http.MethodPost)
	require.Equal(t, 401, out.StatusCode)
	require.Contains(t, out.body, "invalid_token")
	require.NotContains(t, fmt.Sprint(out.Header), "password of")
}
