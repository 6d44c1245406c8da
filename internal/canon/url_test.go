package canon

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSecureURL(t *testing.T) {
	for _, good := range []string{
		"https://a.example", "https://a.example:8443/jwks?a=b%23c", "HTTPS://a.example/", "http://127.0.0.1:9/", "http://[::1]:9/",
		"http://localhost/",
	} {
		u, err := SecureURL(good)
		require.NoError(t, err, good)
		require.NotEmpty(t, u.Hostname())
	}
	for _, bad := range []string{
		"", "a.example", "/canary", "//a.example/", "https:a.example", "https://", "https:///canary", "https://:443/", "https://a.example/%zz",
		"http://a.example/", "http://127.0.0.1.example/", "http://localhost.example/", "http://169.254.169.254/",
		"ftp://a.example/", "file:///canary", "https://canary@a.example/", "https://u:canary@a.example/", "https://@a.example/",
		"https://a.example/#canary", "https://a.example/#", "https://a.example#", "https://a.example/ \n",
	} {
		u, err := SecureURL(bad)
		require.ErrorIs(t, err, errURL, "%q", bad)
		require.NotContains(t, err.Error(), "canary")
		require.Nil(t, u)
	}
}
