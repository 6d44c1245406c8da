package crash

import (
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// theft is how a connection, a process or a server ends.
type theft string

const (
	killBefore theft = "process killed before it is sent"
	killAfter  theft = "process killed before the answer comes"
	cutBefore  theft = "connection cut before it is sent"
	cutAfter   theft = "connection cut before the answer comes"
	terminate  theft = "backend terminated"
	crashed    theft = "server crashed"
)

// wire stands between a child and the database. At the n-th message that the child sends, something ends.
type wire struct {
	name   string // of the application
	at     int
	theft  theft
	end    func() error
	hit    atomic.Bool
	seen   atomic.Int64
	listen net.Listener
	all    sync.WaitGroup

	mu  sync.Mutex
	err error
}

func newWire(dsn string) (*wire, string, error) {
	u, err := url.Parse(dsn)
	if err != nil {
		return nil, "", errors.New("the connection string is no URL")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	w := &wire{listen: l, name: "crash-" + l.Addr().String()}
	w.all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			w.all.Go(func() { w.carry(client, u.Host) })
		}
	})
	through, err := named(dsn, l.Addr().String(), w.name)
	return w, through, err
}

func (w *wire) close() {
	w.listen.Close() //nolint:errcheck // a test
	w.all.Wait()
}

func (w *wire) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// carry passes bytes both ways until one end closes, or something ends.
func (w *wire) carry(client net.Conn, address string) {
	defer client.Close() //nolint:errcheck // a test
	server, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return
	}
	defer server.Close() //nolint:errcheck // a test
	var silent atomic.Bool
	w.all.Go(func() {
		w.answers(client, server, &silent)
		client.Close() //nolint:errcheck // a test
	})
	buf := make([]byte, 1<<20)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		now := w.seen.Add(1) == int64(w.at)
		if now && (w.theft == killAfter || w.theft == cutAfter) {
			silent.Store(true)
		}
		if now && w.theft != killAfter && w.theft != cutAfter {
			if w.happens(); w.theft != terminate && w.theft != crashed {
				return
			}
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
		if now && silent.Load() {
			w.happens()
			client.Close()                     //nolint:errcheck // the answer must not arrive
			server.(*net.TCPConn).CloseWrite() //nolint:errcheck // a test
			io.Copy(io.Discard, server)        //nolint:errcheck // until the database has done it
			return
		}
	}
}

// answers passes on what the server says, until nothing may arrive any more.
func (w *wire) answers(client, server net.Conn, silent *atomic.Bool) {
	buf := make([]byte, 1<<16)
	for !silent.Load() {
		n, err := server.Read(buf)
		if err != nil || silent.Load() {
			return
		}
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
	}
}

// happens ends what is to end.
func (w *wire) happens() {
	w.hit.Store(true)
	if err := w.end(); err != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.err = errors.Join(w.err, err)
	}
}

// named returns a connection string with another host and an application name.
func named(dsn, host, name string) (string, error) {
	u, err := url.Parse(dsn)
	if err != nil {
		return "", errors.New("the connection string is no URL")
	}
	q := u.Query()
	q.Set("application_name", name)
	u.Host, u.RawQuery = host, q.Encode()
	return u.String(), nil
}
