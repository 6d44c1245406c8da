package broker_test

import (
	"bufio"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What the routes of the tests permit, said in another way.
var permitted = map[string]*regexp.Regexp{
	"GET": regexp.MustCompile(`^/(v1/invoices/[^/]+|files/.*)$`), "HEAD": regexp.MustCompile(`^/v1/invoices/[^/]+$`), "POST": regexp.MustCompile(`^/v1/invoices$`),
}

// TestWhatIsSentIsWhatWasDecided: of random requests, in the spellings that attackers use, each comes through exactly as it was
// sent, and as one that is permitted, or not at all; what is plain and permitted comes through.
func TestWhatIsSentIsWhatWasDecided(t *testing.T) {
	f := proxied(t)
	r := rand.New(rand.NewPCG(20, 26))
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	segment := func() string {
		if r.IntN(2) == 0 {
			return pick("a", "7", "a%20b", "x:y", "(c)")
		}
		return pick("v1", "v1", "invoices", "invoices", "files", "files", "7", "a", "", ".", "..", "%2e%2e", "..%2f", "%2f", "a%2fb", "%5c", "\\", "a;b", "a%3bb", "%61", "a%20b",
			"%C3%A9", "%c3%a9", "*", "**", "a:b", "~", "%00", "%0d%0aX:y", "...", "%252e", "%", "é", "A", "%25", "(x)", "@evil.example", "a#b", "a%23")
	}
	forwarded, plain := 0, 0
	for i := range 3000 {
		method := pick("GET", "GET", "GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE", "get", "CONNECT", "OPTIONS", "TRACE", "G\tET", "GET:")
		target := pick("", "", "", "", "", "", "", "", "http://evil.example", "//evil.example", "@", "?", "*")
		switch r.IntN(3) {
		case 0, 1:
			target += pick("/v1/invoices/", "/files/", "/files/x/", "/v1/invoices") + pick("7", "", segment())
		default:
			for range 1 + r.IntN(4) {
				target += "/" + segment()
			}
		}
		target += pick("", "", "", "", "?a=b", "?a=b", "?", "?a=%2F", "?a;b", "?_method=PUT", "?%", "?a=b?c", "?\\", "?a#b")
		var headers []string
		for range r.IntN(3) {
			headers = append(headers, pick("X-HTTP-Method-Override: PUT", "X-Original-URL: /admin", "X-Forwarded-Host: evil.example", "Host: evil.example", "Connection: close",
				"X-Forwarded-For: 1", "Upgrade: h2c", "Transfer-Encoding: chunked", "Content-Length: 0", "Content-Length: 1", "X-Api-Key: mine", "Cookie: a=b", "Accept: */*"))
		}
		text := strings.ReplaceAll(request(method+" "+target, headers...), "TOKEN", f.tok.Value())
		name := method + " " + target
		if slices.Contains(headers, "Content-Length: 1") {
			text += "x"
		}
		addr := []string{f.addr, f.lax}[i%2]
		c, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		_, err = io.WriteString(c, text)
		require.NoError(t, err)
		out := read(t, bufio.NewReader(c), strings.Fields(method)[0])
		require.NoError(t, c.Close())

		raw, query, _ := strings.Cut(target, "?")
		decoded, bad := url.PathUnescape(raw)
		allowed := bad == nil && permitted[method] != nil && permitted[method].MatchString(decoded) && path.Clean(decoded) == strings.TrimSuffix(decoded, "/") &&
			!strings.ContainsAny(decoded, "\\;#%")
		got := f.up.requests()
		if len(got) == 0 {
			isPlain := allowed && raw == decoded && !strings.Contains(raw, "é") && (query == "" || query == "a=b") && len(headers) == 0
			require.False(t, isPlain, "%q is plain and permitted: %d %s", name, out.StatusCode, out.body)
			continue
		}
		require.Len(t, got, 1, name)
		require.True(t, allowed, name)
		require.Equal(t, []string{method, target, strings.TrimPrefix(f.up.URL, "http://")}, []string{got[0].Method, got[0].RequestURI, got[0].Host})
		require.Contains(t, got[0].Header.Get("X-Api-Key"), "key password of lease-")
		for name := range got[0].Header {
			require.Contains(t, []string{"Accept", "Authorization", "X-Api-Key", "Content-Length"}, name)
		}
		require.Equal(t, 200, out.StatusCode)
		forwarded++
		plain += one(len(headers) == 0)
	}
	require.Greater(t, min(forwarded, 3*plain), 100, "control")
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}
