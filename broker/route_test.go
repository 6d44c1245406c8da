package broker

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// paths are all paths of up to four segments over a small alphabet.
func paths() (out []string) {
	level := []string{""}
	for range 4 {
		var next []string
		for _, p := range level {
			for _, s := range []string{"a", "b", "c"} { // no pattern has "c": it stands for any other text
				next = append(next, p+"/"+s)
			}
		}
		for _, p := range level {
			out = append(out, p+"/")
		}
		out = append(out, next...)
		level = next
	}
	return out
}

func randomPattern(r *rand.Rand) string {
	s := ""
	for range r.IntN(4) {
		s += "/" + []string{"a", "b", "*"}[r.IntN(3)]
	}
	if s == "" || r.IntN(2) == 0 {
		s += []string{"/**", "/"}[r.IntN(2)]
	}
	return s
}

// TestPatternsAreSetsOfPaths: what covers and overlaps say is what holds of the paths, and one that two routes fit goes to the
// narrower.
func TestPatternsAreSetsOfPaths(t *testing.T) {
	r, all := rand.New(rand.NewPCG(1, 2)), paths()
	covers, overlaps, clashes := 0, 0, 0
	for range 5_000 {
		p, q := Route{[]string{"GET"}, randomPattern(r), []string{"p"}}, Route{[]string{"GET"}, randomPattern(r), []string{"q"}}
		a, err := readPattern(p.Path)
		require.NoError(t, err, p.Path)
		b, err := readPattern(q.Path)
		require.NoError(t, err, q.Path)
		inA, inB, both := 0, 0, 0
		for _, path := range all {
			x, y := a.fits(path), b.fits(path)
			inA, inB = inA+one(x), inB+one(y)
			both += one(x && y)
		}
		require.Equal(t, both == inB, a.covers(b), "%s covers %s", p.Path, q.Path)
		require.Equal(t, both == inA, b.covers(a), "%s covers %s", q.Path, p.Path)
		require.Equal(t, both > 0, a.overlaps(b), "%s overlaps %s", p.Path, q.Path)
		covers, overlaps = covers+one(a.covers(b)), overlaps+one(a.overlaps(b))
		routes, err := readRoutes([]Route{p, q})
		clash := both > 0 && (both == inA) == (both == inB)
		require.Equal(t, clash, err != nil, "%s and %s", p.Path, q.Path)
		clashes += one(clash)
		for _, path := range all {
			want := ""
			switch x, y := a.fits(path), b.fits(path); {
			case clash || !x && !y:
				continue
			case x && (!y || both == inA):
				want = p.Path
			default:
				want = q.Path
			}
			require.Equal(t, want, find(routes, "GET", path).Path, path)
			require.Nil(t, find(routes, "HEAD", path))
		}
	}
	require.Greater(t, min(covers, overlaps, clashes), 200)
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestPatternsOfPaths(t *testing.T) {
	for pattern, c := range map[string]struct{ fit, not string }{
		"/":       {"/", "/a //"},
		"/a":      {"/a", "/ /a/ /A /a/b"},
		"/a/":     {"/a/", "/a /a/b"},
		"/*":      {"/a /*", "/ /a/ /a/b"},
		"/**":     {"/ /a /a/ /a/b", ""},
		"/a/**":   {"/a/ /a/b /a/b/", "/a /b/a /ab/c"},
		"/a/*/c":  {"/a/b/c /a/*/c", "/a//c /a/b/c/ /a/c"},
		"/*/b/**": {"/a/b/ /x/b/c", "/a/b /a/c/b"},
	} {
		p, err := readPattern(pattern)
		require.NoError(t, err)
		for _, path := range strings.Fields(c.fit) {
			require.True(t, p.fits(path), "%s %s", pattern, path)
		}
		for _, path := range strings.Fields(c.not) {
			require.False(t, p.fits(path), "%s %s", pattern, path)
		}
	}
}

// FuzzTarget: a target that is read has one spelling, and is what the transport writes and the server behind it reads.
func FuzzTarget(f *testing.F) {
	for _, s := range []string{
		"/v1/invoices/7?a=b", "/a%20b/(c)/%C3%A9", "/..", "/a/%2e%2e", "//a", "/a%2Fb", "/a;b", "/?_method=x", "/a?", "/a?%zz", "/a?b;c", "/a?b?c", "/*/**", "/a/...",
		"http://x/", "/%EF%BC%8E", "/%", "/a?\xff", "/a#b", "/a?b#c", "/%5B%5D", "/a:b@c", "/~!$&'()*+,=", "/a?x=%0d%0a", "/\u00e9", "*", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := readTarget(http.MethodGet, raw)
		if err != nil {
			return
		}
		u, err := got.url("http", "host")
		require.NoError(t, err)
		require.Equal(t, raw, u.RequestURI(), "forwarded as it was decided")
		r := httptest.NewRequest(http.MethodGet, raw, nil)
		require.Equal(t, raw, r.RequestURI)
		text, err := url.PathUnescape(got.path)
		require.NoError(t, err)
		require.Equal(t, text, r.URL.Path)
		again := (&url.URL{Path: text}).EscapedPath()
		plainer, _, _ := strings.Cut(strings.NewReplacer("%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*").Replace(again), "?")
		require.Equal(t, got.path, plainer, "it has one spelling")
		clean, err := url.JoinPath("http://host", got.path)
		require.NoError(t, err)
		require.Equal(t, "http://host"+got.path, clean, "there is nothing to clean")
		require.NotContains(t, text, "\\")
		_, err = url.ParseQuery(got.query)
		require.NoError(t, err)
	})
}
