package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// host is the machine that the story takes place on: a temporary directory, and servers on loopback.
type host struct {
	dir     string
	closers []func() error
}

func newHost() (*host, error) {
	dir, err := os.MkdirTemp("", "quickstart-")
	if err != nil {
		return nil, err
	}
	h := &host{dir: dir}
	h.onClose(func() error { return os.RemoveAll(dir) })
	return h, nil
}

func (h *host) onClose(f func() error) { h.closers = append(h.closers, f) }

// close stops everything in reverse order.
func (h *host) close() error {
	var err error
	for i := len(h.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, h.closers[i]())
	}
	return err
}

// listen reserves a port on loopback and returns the URL under which it can be reached.
func (h *host) listen() (net.Listener, string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	return l, "http://" + l.Addr().String(), nil
}

// serve serves handler on a port of its own and returns its URL.
func (h *host) serve(handler http.Handler) (string, error) {
	l, url, err := h.listen()
	if err != nil {
		return "", err
	}
	h.serveOn(l, handler)
	return url, nil
}

func (h *host) serveOn(l net.Listener, handler http.Handler) {
	s := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	h.onClose(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		err := s.Shutdown(ctx)
		if served := <-done; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	})
}

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 1 << 20

// call sends a request and returns status and body.
func call(r *http.Request) (int, []byte, error) {
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return resp.StatusCode, body, err
}
