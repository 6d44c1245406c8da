package broker_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/broker"
)

// TestAnAnswerHandsOverNoSession: of its headers only those pass that are known to be harmless, and those that are configured.
func TestAnAnswerHandsOverNoSession(t *testing.T) {
	f := proxied(t, func(_ *world, cfg *broker.ProxyConfig) { cfg.ResponseHeaders = []string{"x-page"} })
	f.up.on(func(w http.ResponseWriter, _ *http.Request) {
		for _, name := range []string{
			"Set-Cookie", "Set-Cookie2", "Www-Authenticate", "Proxy-Authenticate", "Authentication-Info", "Authorization", "Alt-Svc", "Refresh", "Clear-Site-Data",
			"X-Auth-Token", "X-Accel-Redirect", "X-Sendfile", "Access-Control-Allow-Origin", "Connection", "Keep-Alive", "Upgrade", "Content-Location", "Server", "Via",
			"Strict-Transport-Security", "Nel", "Reporting-Endpoints", "Service-Worker-Allowed", "Sourcemap",
		} {
			w.Header().Set(name, "x")
		}
		w.Header().Set("X-Page", "2")
		w.Header().Set("Etag", `"e"`)
		w.Header().Set("Content-Type", "text/csv")
		w.Header().Set("Date", "Sun, 01 Mar 2026 12:00:00 GMT")
		w.WriteHeader(http.StatusUnauthorized)
	})
	out := f.raw(f.addr, request("GET /v1/invoices/7"))
	require.Equal(t, 401, out.StatusCode)
	require.Equal(t, http.Header{
		"X-Page": {"2"}, "Etag": {`"e"`}, "Content-Type": {"text/csv"}, "Date": {"Sun, 01 Mar 2026 12:00:00 GMT"}, "Content-Length": {"0"},
	}, out.Header)
}

// TestAnAnswerIsReadAsOne: what is no final answer of HTTP is none, interim answers and trailers stay behind, and so does the
// credential where the system puts it into a header. Of what it says nothing is logged.
func TestAnAnswerIsReadAsOne(t *testing.T) {
	for name, c := range map[string]struct {
		raw    string // SECRET is the credential
		status int
		body   string
		header http.Header
		cut    bool
	}{
		"good":           {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nAge: 1\r\n\r\nfine", 200, "fine", http.Header{"Content-Length": {"4"}, "Age": {"1"}}, false},
		"100":            {"HTTP/1.1 100 Continue\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine", 200, "fine", http.Header{"Content-Length": {"4"}}, false},
		"103":            {"HTTP/1.1 103 Early Hints\r\nSet-Cookie: a=b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine", 200, "fine", http.Header{"Content-Length": {"4"}}, false},
		"101":            {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", 502, "", nil, false},
		"trailers":       {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Age\r\n\r\n4\r\nfine\r\n0\r\nAge: 7\r\nSet-Cookie: a=b\r\n\r\n", 200, "fine", http.Header{}, false},
		"listed":         {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: age, keep-alive\r\nAge: 1\r\n\r\nfine", 200, "fine", http.Header{"Content-Length": {"4"}}, false},
		"the credential": {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nEtag: \"SECRET\"\r\nLink: <BASIC>\r\nAge: 1\r\n\r\nfine", 200, "fine", http.Header{"Content-Length": {"4"}, "Age": {"1"}}, false},
		"999":            {"HTTP/1.1 999 SECRET\r\nContent-Length: 4\r\n\r\nfine", 502, "", nil, false},
		"no status":      {"HTTP/1.1 SECRET\r\n\r\n", 502, "", nil, false},
		"no HTTP":        {"SECRET\r\n\r\n", 502, "", nil, false},
		"a bad header":   {"HTTP/1.1 200 OK\r\nSECRET\r\n\r\n", 502, "", nil, false},
		"a bad length":   {"HTTP/1.1 200 OK\r\nContent-Length: SECRET\r\n\r\n", 502, "", nil, false},
		"two lengths":    {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nfine", 502, "", nil, false},
		"nothing":        {"", 502, "", nil, false},
		"half a head":    {"HTTP/1.1 200 OK\r\nAge: 1", 502, "", nil, false},
		"half a body":    {"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nfine", 0, "", nil, true},
		"half a chunk":   {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nfine", 0, "", nil, true},
		"too long":       {"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n", 502, "", nil, false},
		"longer":         {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n" + strings.Repeat("x", 0x65) + "\r\n0\r\n\r\n", 0, "", nil, true},
		"long enough":    {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + strings.Repeat("x", 100), 200, strings.Repeat("x", 100), http.Header{"Content-Length": {"100"}}, false},
		"a long header":  {"HTTP/1.1 200 OK\r\nAge: " + strings.Repeat("SECRET", 70<<10/6) + "\r\n\r\n", 502, "", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			system := answering(t, c.raw)
			f := proxied(t, func(_ *world, cfg *broker.ProxyConfig) { cfg.Upstream, cfg.MaxResponse = system, 100 })
			out := f.raw(f.addr, request("GET /v1/invoices/7"))
			if c.cut {
				require.ErrorIs(t, out.err, io.ErrUnexpectedEOF)
				return
			}
			require.NoError(t, out.err)
			require.Equal(t, c.status, out.StatusCode)
			if c.status == 502 {
				require.Contains(t, out.body, "gave no acceptable answer")
			} else {
				require.Equal(t, c.body, out.body)
				out.Header.Del("Date") // of the server
				if c.header["Content-Length"] == nil {
					require.Equal(t, []string{"chunked"}, out.TransferEncoding)
				}
				require.Equal(t, c.header, out.Header)
			}
			require.Empty(t, out.Trailer)
			secret := f.secret()
			require.NotContains(t, out.dump()+f.log.String(), secret)
			require.NotContains(t, out.dump()+f.log.String(), base64.StdEncoding.EncodeToString([]byte("lease-")))
		})
	}
}

// secret is the one password that was made.
func (f *front) secret() string {
	f.legacy.mu.Lock()
	defer f.legacy.mu.Unlock()
	for _, password := range f.legacy.accounts {
		return password
	}
	return "password of"
}

// answering is a system that answers every request with bytes, in which SECRET and BASIC stand for the credential that came, and
// closes the connection.
func answering(t testing.TB, raw string) *url.URL {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r, err := http.ReadRequest(bufio.NewReader(c))
			if err == nil {
				_, password, _ := r.BasicAuth()
				text := strings.ReplaceAll(raw, "SECRET", password)
				_, _ = io.WriteString(c, strings.ReplaceAll(text, "BASIC", strings.TrimPrefix(r.Header.Get("Authorization"), "Basic ")))
			}
			_ = c.(*net.TCPConn).CloseWrite()
			_ = c.Close()
		}
	}()
	return &url.URL{Scheme: "http", Host: l.Addr().String()}
}

// TestARedirect is followed by nobody. One on the same host is answered with its path, and any other not at all.
func TestARedirect(t *testing.T) {
	f := proxied(t)
	host := strings.TrimPrefix(f.up.URL, "http://")
	status, place := 0, []string(nil)
	f.up.on(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Location"] = place
		w.WriteHeader(status)
	})
	ask := func(to int, places ...string) reply {
		status, place = to, places
		out := f.raw(f.addr, request("GET /v1/invoices/7"))
		require.Len(t, f.up.requests(), 1, "it is not followed")
		return out
	}
	for to, want := range map[string]string{
		"/files/a?b=c": "/files/a?b=c", "http://" + host + "/files/a#x": "/files/a", "8": "/v1/invoices/8", "//" + host + "/files/a": "/files/a",
		"HTTP://" + host + "/x": "/x", "?a=b": "/v1/invoices/7?a=b", "../": "/v1/",
	} {
		for _, code := range []int{301, 302, 303, 307, 308, 201} {
			out := ask(code, to)
			require.Equal(t, code, out.StatusCode, to)
			require.Equal(t, []string{want}, out.Header["Location"], to)
		}
	}
	for _, to := range []string{
		"http://evil.example/", "https://" + host + "/files/a", "//evil.example/a", "http://" + host + "@evil.example/", "http://u:p@" + host + "/", "/\\evil.example",
		"http:\\\\evil.example", "javascript:alert(1)", "http:opaque", "///evil.example", "/files/a%2fb", "http://" + host + ":1/", "http://127.0.0.1.evil.example/",
	} {
		out := ask(302, to)
		require.Equal(t, 502, out.StatusCode, to)
		require.Empty(t, out.Header["Location"])
		out = ask(201, to)
		require.Equal(t, 201, out.StatusCode, to)
		require.Empty(t, out.Header["Location"], "it is left out where it is not what the answer is about")
	}
	require.Equal(t, 502, ask(302, "/a", "/b").StatusCode)
	require.Equal(t, 304, ask(304).StatusCode, "control")
}

// TestASystemThatIsAway: one that cannot be reached, and one that is slow.
func TestASystemThatIsAway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	f := proxied(t, func(_ *world, cfg *broker.ProxyConfig) {
		cfg.Upstream = &url.URL{Scheme: "http", Host: l.Addr().String()}
	})
	require.Equal(t, 502, f.raw(f.addr, request("GET /v1/invoices/7")).StatusCode)
	require.Contains(t, f.log.String(), "it cannot be reached")

	f = proxied(t, func(_ *world, cfg *broker.ProxyConfig) { cfg.Timeout = 1 })
	hold := make(chan struct{})
	f.up.on(func(http.ResponseWriter, *http.Request) { <-hold })
	require.Equal(t, 504, f.raw(f.addr, request("GET /v1/invoices/7")).StatusCode)
	close(hold)
	require.Contains(t, f.log.String(), "no answer came in time")
}

// TestRequestsAreBounded before anything of them is sent.
func TestRequestsAreBounded(t *testing.T) {
	f := proxied(t, func(_ *world, cfg *broker.ProxyConfig) { cfg.MaxRequest = 5 })
	f.get()
	f.refuses(f.addr, request("POST /v1/invoices", "Content-Length: 6")+"hello!", 413, "too long")
	require.Equal(t, 200, f.raw(f.addr, request("POST /v1/invoices", "Content-Length: 5")+"hello").StatusCode, "control")
}

// TestRequestHeadersThatAreConfigured pass, and what is injected is never the caller's.
func TestRequestHeadersThatAreConfigured(t *testing.T) {
	f := proxied(t, func(_ *world, cfg *broker.ProxyConfig) {
		cfg.RequestHeaders = []string{"x-api-version", "x-api-key"}
		cfg.Inject = map[string]string{"x-api-key": "{password}"}
	})
	f.raw(f.addr, request("GET /v1/invoices/7", "X-Api-Version: 3", "X-Api-Key: mine", "X-Other: 1"))
	got := f.up.requests()[0].Header
	require.Equal(t, http.Header{"X-Api-Version": {"3"}, "X-Api-Key": {f.secret()}}, got)
	require.NotContains(t, fmt.Sprint(got), "mine")
}

// TestASystemIsAuthenticated: by the certificates that are configured, or not spoken to.
func TestASystemIsAuthenticated(t *testing.T) {
	system := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Header.Get("X-Api-Key")) }))
	system.Config.ErrorLog = discardLog
	system.StartTLS()
	t.Cleanup(system.Close)
	for status, roots := range map[int]*x509.CertPool{200: system.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, 502: x509.NewCertPool()} {
		f := proxied(t, func(_ *world, cfg *broker.ProxyConfig) {
			to, err := url.Parse(system.URL)
			require.NoError(t, err)
			cfg.Upstream, cfg.TLS = to, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
		})
		out := f.raw(f.addr, request("GET /v1/invoices/7"))
		require.Equal(t, status, out.StatusCode)
		require.Equal(t, status == 200, strings.Contains(out.body, "key password of"), "what is in a body is the system's own")
	}
}
