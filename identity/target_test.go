package identity

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTargetURIsOfOneForm(t *testing.T) {
	for want, list := range map[string][]string{
		"https://a.example/": {
			"https://a.example", "https://a.example/", "HTTPS://A.Example:443", "https://a.example:/", "https://a.example?q=/x",
			"https://a.example#f", "https://a.example/?q#f", "https://a.example/.", "https://a.example/..", "https://a.example/./",
			"https://a.example/b/..", "https://a.example/%2e%2E/", "https://a.example#?x", "https://a.example/x/../y/..",
		},
		"https://a.example/token": {
			"https://a.example/token", "https://a.example/%74oken", "https://a.example/./token", "https://a.example/b/../token",
			"https://a.example/../token", "https://a.example/b/./../token?x=%zz",
		},
		"https://a.example/a/c/":         {"https://a.example/a/b/../c/.", "https://a.example/a/c/", "https://a.example/a/c/d/.."},
		"https://a.example/a//c":         {"https://a.example/a//c", "https://a.example/a/b/..//c"},
		"https://a.example/%2F%C3%BC~":   {"https://a.example/%2f%c3%bc~", "https://a.example/%2F%C3%BC%7E"},
		"https://a.example/a:b@c;d,e=f!": {"https://a.example/a:b@c;d,e=f!"},
		"http://a.example:8443/t":        {"http://A.EXAMPLE:8443/t", "hTTp://a.example:8443/x/../t"},
		"http://a.example/t":             {"http://a.example:80/t", "http://a.example/t"},
		"https://[::1]/t":                {"https://[::1]:443/t", "https://[::1]/t"},
		"https://a.example:80/":          {"https://a.example:80"},
	} {
		for _, raw := range list {
			got, err := targetURI(raw)
			require.NoError(t, err, raw)
			require.Equal(t, want, got, raw)
		}
	}
}

func TestTargetURIsThatDiffer(t *testing.T) {
	seen := map[string]string{}
	for _, raw := range []string{
		"https://a.example/token", "http://a.example/token", "https://a.example:444/token", "https://a.example./token",
		"https://a.example/Token", "https://a.example/token/", "https://a.example//token", "https://a.example/a%2Ftoken",
		"https://a.example/a/token", "https://a.example/token%3Fx", "https://a.example/token%23", "https://b.example/token",
		"https://a.example/a%252Ftoken", "https://a.example/token;x", "https://a.example:0444/token",
	} {
		got, err := targetURI(raw)
		require.NoError(t, err, raw)
		require.Empty(t, seen[got], raw)
		seen[got] = raw
	}
}

func TestTargetURIRefuses(t *testing.T) {
	_, err := targetURI("https://a.example/" + strings.Repeat("a", 2000))
	require.NoError(t, err, "positive control")
	for _, raw := range []string{
		"", "/token", "token", "//a.example/token", "https:", "https:/token", "https:token", "https://", "https:///token", "https://:443/",
		"ftp://a.example/", "javascript:x", "https://me@a.example/", "https://me:pw@a.example/", "https://@a.example/",
		"https://a.example/a b", "https://a.example/\\token", "https://a.example\\@b.example/", "https://a.example/ü", "https://ä.example/",
		"https://a.example/%", "https://a.example/%4", "https://a.example/%zz", "https://%61.example/", "https://%C3%A4.example/", "https://%E2%84%AA.example/", "https://a.example%ff/", "https://[fe80::1%25en0]/",
		"https://a.example:x/", "https://a.example:-1/", "https://[::1/", "https://a.example/\n", "https://a.example/{x}", "https://a.example/<",
		"https://a.example/" + strings.Repeat("a", 2048),
	} {
		got, err := targetURI(raw)
		require.ErrorIs(t, err, errTarget, raw)
		require.Empty(t, got)
	}
}

// FuzzTargetURI holds that the form of a URL is its own form, and that query and fragment change nothing.
func FuzzTargetURI(f *testing.F) {
	for _, raw := range []string{"https://a.example/b/../%74oken?q#f", "HTTP://[::1]:80", "https://a.example//..//%2e", "https://h:/%2f"} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		one, err := targetURI(raw)
		if err != nil {
			return
		}
		for _, again := range []string{one, one + "?q=/../x", one + "#f"} {
			got, err := targetURI(again)
			if len(again) > 2048 {
				continue
			}
			require.NoError(t, err)
			require.Equal(t, one, got)
		}
	})
}
