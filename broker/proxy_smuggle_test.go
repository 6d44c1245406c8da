package broker_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNothingIsSmuggled: what two readers of HTTP could split in two ways is refused, and nothing of it comes through. Of what
// net/http itself puts in order before any handler sees it (lax is 200), Strict sees to it that it does not come so far.
func TestNothingIsSmuggled(t *testing.T) {
	f := proxied(t)
	const second = "GET /v1/invoices/8 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer TOKEN\r\n\r\n"
	post := func(body string, headers ...string) string { return request("POST /v1/invoices", headers...) + body }
	for name, c := range map[string]struct {
		text   string
		strict int
		lax    int
	}{
		"CL.TE":                  {post("0\r\n\r\n"+second, "Content-Length: 5", "Transfer-Encoding: chunked"), 400, 411},
		"TE.CL":                  {post("5\r\nhello\r\n0\r\n\r\n", "Transfer-Encoding: chunked", "Content-Length: 4"), 400, 411},
		"TE alone":               {post("0\r\n\r\n", "Transfer-Encoding: chunked"), 400, 411},
		"a chunk extension":      {post("5;a=\"b\"\r\nhello\r\n0\r\n\r\n", "Transfer-Encoding: chunked"), 400, 411},
		"an LF in an extension":  {post("5;\nxx\r\n0\r\n\r\n", "Transfer-Encoding: chunked"), 400, 411},
		"a trailer":              {post("0\r\nX-A: b\r\n\r\n", "Transfer-Encoding: chunked", "Trailer: X-A"), 400, 411},
		"TE unknown":             {post("0\r\n\r\n", "Transfer-Encoding: xchunked"), 400, 501},
		"TE identity":            {post("0\r\n\r\n", "Transfer-Encoding: identity"), 400, 501},
		"TE twice":               {post("0\r\n\r\n", "Transfer-Encoding: chunked", "Transfer-Encoding: identity"), 400, 501},
		"TE with a space":        {post("0\r\n\r\n", "Transfer-Encoding : chunked"), 400, 400},
		"TE in a tab":            {post("0\r\n\r\n", "Transfer-Encoding:\tchunked"), 400, 411},
		"TE folded":              {post("0\r\n\r\n", "Transfer-Encoding:", " chunked"), 400, 411},
		"TE in HTTP/1.0":         {strings.Replace(post("0\r\n\r\n", "Transfer-Encoding: chunked"), "HTTP/1.1", "HTTP/1.0", 1), 400, 505},
		"HTTP/1.0":               {strings.Replace(request("GET /v1/invoices/7"), "HTTP/1.1", "HTTP/1.0", 1), 400, 505},
		"HTTP/0.9":               {"GET /v1/invoices/7\r\n\r\n", 400, 400},
		"two lengths":            {post("hello", "Content-Length: 5", "Content-Length: 4"), 400, 400},
		"one length twice":       {post("hello", "Content-Length: 5", "Content-Length: 5"), 400, 200},
		"a list of lengths":      {post("hello", "Content-Length: 5, 5"), 400, 400},
		"a length with a sign":   {post("hello", "Content-Length: +5"), 400, 400},
		"a negative length":      {post("hello", "Content-Length: -5"), 400, 400},
		"a hexadecimal length":   {post("hello", "Content-Length: 0x5"), 400, 400},
		"an empty length":        {post("hello", "Content-Length: "), 400, 400},
		"a length with a space":  {post("hello", "Content-Length : 5"), 400, 400},
		"a body of a GET":        {request("GET /v1/invoices/7", "Content-Length: 5") + "hello", 400, 400},
		"bare LF":                {strings.ReplaceAll(request("GET /v1/invoices/7"), "\r\n", "\n"), 400, 200},
		"one bare LF":            {request("GET /v1/invoices/7", "Accept: a\nX-A: b"), 400, 200},
		"LF at the end":          {strings.TrimSuffix(request("GET /v1/invoices/7"), "\r\n") + "\n", 400, 200},
		"bare CR":                {request("GET /v1/invoices/7", "Accept: a\rX-A: b"), 400, 400},
		"obs-fold":               {request("GET /v1/invoices/7", "Accept: a", " b"), 400, 200},
		"obs-fold with a tab":    {request("GET /v1/invoices/7", "Accept: a", "\tTransfer-Encoding: chunked"), 400, 200},
		"a space before all":     {" " + request("GET /v1/invoices/7"), 400, 400},
		"an empty line before":   {"\r\n" + request("GET /v1/invoices/7"), 400, 400},
		"spaces in the line":     {strings.Replace(request("GET /v1/invoices/7"), "GET ", "GET  ", 1), 400, 400},
		"a tab in the line":      {strings.Replace(request("GET /v1/invoices/7"), "GET ", "GET\t", 1), 400, 400},
		"NUL":                    {request("GET /v1/invoices/7", "Accept: a\x00b"), 400, 400},
		"a header without colon": {request("GET /v1/invoices/7", "Accept"), 400, 400},
		"a name with a space":    {request("GET /v1/invoices/7", "Acc ept: a"), 400, 400},
		"an empty name":          {request("GET /v1/invoices/7", ": a"), 400, 400},
		"two hosts":              {request("GET /v1/invoices/7", "Host: y"), 400, 400},
		"no host":                {strings.Replace(request("GET /v1/invoices/7"), "Host: proxy.example\r\n", "", 1), 400, 400},
		"a host with a path":     {strings.Replace(request("GET /v1/invoices/7"), "proxy.example", "a/b", 1), 400, 400},
		"HTTP/2":                 {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, 400},
		"an expectation":         {request("GET /v1/invoices/7", "Expect: 200-ok"), 417, 417},
	} {
		t.Run(name, func(t *testing.T) {
			f.TB = t
			f.refuses(f.addr, c.text, c.strict, "")
			if c.lax != 200 {
				f.refuses(f.lax, c.text, c.lax, "")
			} else {
				require.Equal(t, 200, f.raw(f.lax, c.text).StatusCode)
				require.Len(t, f.up.requests(), 1, "it is one request, in the one spelling of net/http")
			}
			require.Equal(t, 200, f.raw(f.addr, post("hello", "Content-Length: 5")).StatusCode, "control")
			require.Len(t, f.up.requests(), 1)
		})
	}
}

// TestRequestsOnOneConnection follow each other, with bodies between them; the first that is ambiguous ends it, and is not seen.
func TestRequestsOnOneConnection(t *testing.T) {
	f := proxied(t)
	c, err := net.Dial("tcp", f.addr)
	require.NoError(t, err)
	defer c.Close() //nolint:errcheck // it was read
	from := bufio.NewReader(c)
	body := strings.Repeat("GET / HTTP/1.1\nTransfer-Encoding: chunked\r\n\r\n", 100)
	good := strings.ReplaceAll(request("POST /v1/invoices", "Content-Length: 4500"), "TOKEN", f.tok.Value()) + body
	require.Len(t, body, 4500)
	for range 3 { // in pieces that end anywhere
		for text := good; text != ""; {
			n := min(len(text), 700)
			_, err := io.WriteString(c, text[:n])
			require.NoError(t, err)
			text = text[n:]
		}
		require.Equal(t, 200, read(t, from, http.MethodPost).StatusCode)
	}
	require.Len(t, f.up.requests(), 3)
	require.Equal(t, []string{body, body, body}, f.up.bodies)
	_, err = io.WriteString(c, strings.ReplaceAll(request("GET /v1/invoices/7", "Accept: a", " b"), "TOKEN", f.tok.Value()))
	require.NoError(t, err)
	require.Equal(t, 400, read(t, from, http.MethodGet).StatusCode)
	_, err = from.ReadByte()
	require.ErrorIs(t, err, io.EOF)
	require.Empty(t, f.up.requests())
}
