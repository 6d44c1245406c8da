package canon

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// accepted maps spellings of a resource to the form in which they are compared.
var accepted = map[string]string{
	"https://crm.example.com":              "https://crm.example.com",
	"https://crm.example.com/":             "https://crm.example.com/",
	"HTTPS://CRM.Example.COM/":             "https://crm.example.com/",
	"https://crm.example.com:443/":         "https://crm.example.com/",
	"http://crm.example.com:80":            "http://crm.example.com",
	"https://crm.example.com:80/":          "https://crm.example.com:80/",
	"http://crm.example.com:443/":          "http://crm.example.com:443/",
	"https://crm.example.com:8443/a":       "https://crm.example.com:8443/a",
	"https://crm.example.com/Cases":        "https://crm.example.com/Cases",
	"https://crm.example.com/a//b":         "https://crm.example.com/a//b",
	"https://crm.example.com/a/...":        "https://crm.example.com/a/...",
	"https://crm.example.com/.well-known":  "https://crm.example.com/.well-known",
	"https://crm.example.com/a;v=1/b":      "https://crm.example.com/a;v=1/b",
	"https://crm.example.com?Tenant=A":     "https://crm.example.com?Tenant=A",
	"https://crm.example.com/?q=../x":      "https://crm.example.com/?q=../x",
	"https://crm.example.com/a%20b":        "https://crm.example.com/a%20b",
	"https://crm.example.com/%C3%A9":       "https://crm.example.com/%C3%A9",
	"https://crm.example.com/a%3Fb":        "https://crm.example.com/a%3Fb",
	"https://crm.example.com/a%25b":        "https://crm.example.com/a%25b",
	"https://[2001:DB8::1]:443/":           "https://[2001:db8::1]/",
	"https://[2001:db8::1]:8443/":          "https://[2001:db8::1]:8443/",
	"https://10.0.0.1:8443/":               "https://10.0.0.1:8443/",
	"Spiffe://Acme.example/Agents/Bot":     "spiffe://acme.example/Agents/Bot",
	"urn:example:CRM":                      "urn:example:CRM",
	"URN:example:CRM":                      "urn:example:CRM",
	"mcp+https://tools.example.com:443/m":  "mcp+https://tools.example.com:443/m",
	"https://crm.example.com/a@b:c,d=e&f!": "https://crm.example.com/a@b:c,d=e&f!",
}

// refused holds, for each rule, spellings that it must stop.
var refused = map[string][]string{
	"empty or relative": {"", "crm", "/cases", "//crm.example.com/", "crm.example.com/", "./a", "?a", ":", "https:"},
	"no authority":      {"https:crm", "https:/crm", "http:///crm", "https://", "https:///", "https://?q", "file:///etc"},
	"scheme":            {"1https://crm/", "ht_tp://crm/", "+https://crm/", " https://crm/", "ht[p://crm/", "\x00:a"},
	"fragment":          {"https://crm.example.com/#a", "https://crm.example.com#", "urn:a#b"},
	"user information":  {"https://bob@crm.example.com/", "https://bob:pw@crm.example.com/", "https://@crm.example.com/"},
	"dot segment": {
		"https://crm.example.com/.", "https://crm.example.com/..", "https://crm.example.com/a/../b",
		"https://crm.example.com/./a", "https://crm.example.com/a/..?q", "https://crm.example.com/a/..;/b",
		"https://crm.example.com/a/.;x=1/b", "spiffe://acme.example/a/../b", "urn:a/../b",
	},
	"backslash": {`https://crm.example.com\a`, `https:\\crm.example.com\`, `https://crm.example.com/a\..\b`},
	"needless percent-encoding": {
		"https://crm.example.com/%61", "https://crm.example.com/%41", "https://crm.example.com/%30",
		"https://crm.example.com/%2E%2E/a", "https://crm.example.com/%7E", "https://crm.example.com/%5F%2D",
	},
	"a separator in disguise":    {"https://crm.example.com/a%2Fb", "https://crm.example.com/a%5Cb"},
	"control characters":         {"https://crm.example.com/%00", "https://crm.example.com/%0A", "https://crm.example.com/%7F", "https://crm.example.com/\n", "https://crm.example.com/\x7f", "https://crm.example.com/\t"},
	"malformed percent-encoding": {"https://crm.example.com/%", "https://crm.example.com/%2", "https://crm.example.com/%zz", "https://crm.example.com/%c3%a9", "https://crm.example.com/%C3%a9"},
	"not a URI character": {
		"https://crm.example.com/a b", "https://crm.example.com/é", "https://crm.exämple.com/", "https://crm.example.com/<a>",
		`https://crm.example.com/"a"`, "https://crm.example.com/{a}", "https://crm.example.com/a|b", "https://crm.example.com/^`",
		"https://crm.example.com/\xff",
	},
	"host": {
		"https://crm%2Eexample.com/", "https://crm,example.com/", "https://crm;a/", "https://[::1/", "https://::1]/", "https://[]/",
		"https://[::g]/", "https://a[::1]/", "https://[::1]a/", "https://[fe80::1%25eth0]/", "https://a:b:c/",
	},
	"port": {
		"https://crm.example.com:", "https://crm.example.com:/", "https://crm.example.com:0443/", "https://crm.example.com:0/",
		"https://crm.example.com:443443/", "https://crm.example.com:44x/", "https://crm.example.com:-1/", "https://:443/",
	},
}

func TestResourceHasOneForm(t *testing.T) {
	for in, want := range accepted {
		got, err := Resource(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got)
		again, err := Resource(got)
		require.NoError(t, err, got)
		require.Equal(t, got, again, "a canonical form is its own canonical form")
		requireSameMeaning(t, in, got)
	}
}

func TestResourceRefusesSecondSpellings(t *testing.T) {
	for rule, list := range refused {
		for _, in := range list {
			_, err := Resource(in)
			require.ErrorIs(t, err, errResource, "%s: %q", rule, in)
		}
	}
}

func TestDistinctResourcesStayDistinct(t *testing.T) {
	distinct := []string{
		"https://a.example", "https://a.example/", "http://a.example/", "https://a.example./", "https://a.example//",
		"https://a.example/A", "https://a.example/a", "https://a.example/a/", "https://a.example/?", "https://a.example?",
		"https://a.example:8443/", "https://a.example/a%20", "https://a.example/a+", "https://b.example/", "urn:a", "urn:A",
	}
	seen := map[string]string{}
	for _, in := range distinct {
		got, err := Resource(in)
		require.NoError(t, err, in)
		require.Empty(t, seen[got], "%q and %q have one form", in, seen[got])
		seen[got] = in
	}
}

func TestResourceIsBounded(t *testing.T) {
	prefix := "https://crm.example.com/"
	longest := prefix + strings.Repeat("a", MaxResource-len(prefix))
	_, err := Resource(longest)
	require.NoError(t, err)
	_, err = Resource(longest + "a")
	require.ErrorIs(t, err, errResource)
}

func TestResourcesIsASet(t *testing.T) {
	got, err := Resources([]string{"https://b.example/", "HTTPS://A.example/", "https://a.example:443/"})
	require.NoError(t, err)
	require.Equal(t, []string{"https://a.example/", "https://b.example/"}, got)

	_, err = Resources([]string{"https://a.example/", "https://a.example/#f"})
	require.ErrorIs(t, err, errResource, "one bad resource refuses the list")

	many := make([]string, MaxResources+1)
	for i := range many {
		many[i] = "https://a.example/"
	}
	_, err = Resources(many)
	require.ErrorContains(t, err, "too many resources")
	got, err = Resources(many[1:])
	require.NoError(t, err)
	require.Len(t, got, 1)

	got, err = Resources(nil)
	require.NoError(t, err)
	require.Empty(t, got)
}

// requireSameMeaning checks with an independent parser that canonicalising changed nothing but case and default port.
func requireSameMeaning(t *testing.T, in, out string) {
	t.Helper()
	a, err := url.Parse(in)
	require.NoError(t, err, in)
	b, err := url.Parse(out)
	require.NoError(t, err, out)
	require.Equal(t, strings.ToLower(a.Scheme), b.Scheme)
	require.Equal(t, strings.ToLower(a.Hostname()), b.Hostname())
	require.Equal(t, effectivePort(a), effectivePort(b))
	require.Equal(t, a.EscapedPath(), b.EscapedPath())
	require.Equal(t, a.Opaque, b.Opaque)
	require.Equal(t, a.RawQuery, b.RawQuery)
	require.Equal(t, a.ForceQuery, b.ForceQuery)
}

func effectivePort(u *url.URL) string {
	defaults := map[string]string{"http": "80", "https": "443"}
	if p := u.Port(); p != "" {
		return p
	}
	return defaults[strings.ToLower(u.Scheme)]
}

func FuzzResource(f *testing.F) {
	for in := range accepted {
		f.Add(in)
	}
	for _, list := range refused {
		for _, in := range list {
			f.Add(in)
		}
	}
	f.Fuzz(func(t *testing.T, in string) {
		got, err := Resource(in)
		if err != nil {
			require.Empty(t, got)
			return
		}
		again, err := Resource(got)
		require.NoError(t, err)
		require.Equal(t, got, again)
		require.LessOrEqual(t, len(got), len(in))
		if u, err := url.Parse(in); err == nil {
			require.Nil(t, u.User)
			require.Empty(t, u.Fragment)
			requireSameMeaning(t, in, got)
		}
	})
}
