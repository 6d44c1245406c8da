package broker

import (
	"errors"
	"net"
	"strconv"
	"strings"
)

// maxLine bounds a line of a head, in bytes.
const maxLine = 32 << 10

// Strict returns a listener of which an http.Server sees only requests that every reader of HTTP/1.1 would split alike
// (RFC 9112): lines end with CR LF, no line is folded, no byte is a control character, and the body has a Content-Length, once, or is
// none. It never has a Transfer-Encoding. Anything else is an error of reading: the server answers 400 to it and closes the connection,
// and no handler sees any of it.
//
// It is for a Proxy behind another proxy, which may read what is malformed in another way than net/http does. Put it around a
// listener of TLS, not into it; NextProtos must not have h2.
func Strict(l net.Listener) net.Listener { return strictListener{l} }

type strictListener struct{ net.Listener }

// Accept implements net.Listener.
func (l strictListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &strictConn{Conn: c}, nil
}

// strictConn is read by one goroutine at a time.
type strictConn struct {
	net.Conn
	heads heads
}

// Read implements net.Conn.
func (c *strictConn) Read(p []byte) (int, error) {
	if c.heads.bad {
		return 0, errAmbiguous
	}
	n, err := c.Conn.Read(p)
	if good := c.heads.accept(p[:n]); good < n { // the head that is not, is never whole
		return good, errAmbiguous
	}
	return n, err
}

var errAmbiguous = errors.New("broker: a request that could be read in two ways")

// heads follows the heads of the requests of a connection.
type heads struct {
	line   []byte // that has begun, without what ends it
	inHead bool   // the request line is over
	cr     bool   // the last byte was one
	length int64  // of the body; -1: not said
	body   int64  // what is left of it
	bad    bool   // it has come to an end
}

// accept reads on, and returns how many bytes are unambiguous. After one that is not nothing is.
func (h *heads) accept(p []byte) (good int) {
	for good < len(p) {
		if h.body > 0 {
			n := min(h.body, int64(len(p)-good))
			h.body -= n
			good += int(n)
			continue
		}
		if h.bad = h.bad || !h.next(p[good]); h.bad {
			break
		}
		good++
	}
	return good
}

// next reads a byte of a head.
func (h *heads) next(c byte) bool {
	switch {
	case h.cr != (c == '\n'), len(h.line) > maxLine:
		return false
	case c == '\r':
		h.cr = true
		return true
	case c != '\n':
		h.line = append(h.line, c)
		return (c >= ' ' || c == '\t') && c != 0x7f
	}
	h.cr = false
	ok := h.read(string(h.line))
	h.line = h.line[:0]
	return ok
}

// read reads a line of a head.
func (h *heads) read(line string) bool {
	switch {
	case !h.inHead:
		h.inHead, h.length = true, -1
		return strings.Count(line, " ") == 2 && !strings.Contains(line, "\t") && strings.HasSuffix(line, " HTTP/1.1")
	case line == "":
		h.inHead, h.body = false, max(h.length, 0)
		return true
	}
	name, value, found := strings.Cut(line, ":")
	switch {
	case !found || !isToken(name), strings.EqualFold(name, "Transfer-Encoding"):
		return false
	case strings.EqualFold(name, "Content-Length"):
		return h.length < 0 && h.sized(strings.Trim(value, " \t"))
	}
	return true
}

func (h *heads) sized(value string) bool {
	n, err := strconv.ParseUint(value, 10, 62)
	h.length = int64(n)
	return err == nil
}
