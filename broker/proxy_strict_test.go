package broker

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// FuzzHeads: requests that are accepted are split by net/http where they were split here, and none of them has a
// Transfer-Encoding; in how many pieces they come makes no difference.
func FuzzHeads(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\nHost: x\n\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: +3\r\n\r\nabc",
		"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: 1\r\ncontent-length: 1\r\n\r\na", "\r\nGET / HTTP/1.1\r\n\r\n",
		"GET  / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nA : b\r\n\r\n", "GET / HTTP/1.1\rA\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length:\t2 \r\n\r\nab",
	} {
		f.Add([]byte(s), uint8(1))
	}
	f.Fuzz(func(t *testing.T, raw []byte, piece uint8) {
		var h, byPiece heads
		good := h.accept(raw)
		n := 0
		for n < len(raw) {
			part := raw[n:min(len(raw), n+int(piece)+1)]
			m := byPiece.accept(part)
			if n += m; m < len(part) {
				break
			}
		}
		require.Equal(t, good, n)
		require.Equal(t, h.bad, byPiece.bad)
		if h.bad || h.inHead || h.body > 0 || len(h.line) > 0 || h.cr {
			return
		}
		count, heads := 0, bytes.Count(raw, []byte("\r\n\r\n"))
		from := bufio.NewReader(bytes.NewReader(raw))
		for {
			r, err := http.ReadRequest(from)
			if err == io.EOF { //nolint:errorlint // exactly: between two requests
				break
			}
			if err != nil {
				return // net/http refuses more
			}
			count++
			require.Empty(t, r.TransferEncoding)
			body, err := io.ReadAll(r.Body)
			require.NoError(t, err)
			require.Len(t, body, int(max(r.ContentLength, 0)))
		}
		require.LessOrEqual(t, count, heads)
		require.NotEqual(t, len(raw) > 0, count == 0)
	})
}

// TestTokensAreRememberedWithinBounds: those that are used stay.
func TestTokensAreRememberedWithinBounds(t *testing.T) {
	var m tokens
	digest := func(n int) (out [sha256.Size]byte) {
		return sha256.Sum256([]byte{byte(n), byte(n >> 8), byte(n >> 16)})
	}
	used := known{id: lineage.IDOf([]byte("used"))}
	m.put(digest(0), used)
	for n := range 3 * maxKnown {
		m.put(digest(n+1), known{})
		got, found := m.get(digest(0))
		require.True(t, found)
		require.Equal(t, used, got)
		require.LessOrEqual(t, len(m.young)+len(m.old), 2*maxKnown)
	}
	_, found := m.get(digest(1))
	require.False(t, found)
}

// TestALineIsBounded: what never ends is not kept.
func TestALineIsBounded(t *testing.T) {
	var h heads
	require.Equal(t, 4, h.accept([]byte("GET ")))
	require.LessOrEqual(t, h.accept([]byte(strings.Repeat("a", 1<<20))), maxLine)
	require.True(t, h.bad)
	require.Zero(t, h.accept([]byte("x")), "and nothing follows")
}
