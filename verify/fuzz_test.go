package verify_test

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/verify"
)

var (
	challenge = regexp.MustCompile(`^(Bearer|DPoP) ([a-z_]+="[^"\\]*")((?:, [a-z_]+="[^"\\]*")*)$`)
	parameter = regexp.MustCompile(`([a-z_]+)="([^"\\]*)"`)
)

// parameters reads a challenge as a client would (RFC 9110, section 11.6.1), and each parameter once.
func parameters(t *testing.T, text string) (scheme string, out map[string]string) {
	t.Helper()
	found := challenge.FindStringSubmatch(text)
	require.NotNil(t, found, "%q", text)
	out = map[string]string{}
	for _, p := range parameter.FindAllStringSubmatch(text, -1) {
		require.NotContains(t, out, p[1])
		out[p[1]] = p[2]
	}
	return found[1], out
}

// FuzzStepUp holds that a token passes only with the authentication that is required, and that a client reads from the
// challenge exactly what is required.
func FuzzStepUp(f *testing.F) {
	f.Add("aal3 aal2", int64(60), "aal1", int64(100), int64(90), false)
	f.Add("aal2", int64(0), "aal2", int64(0), int64(0), true)
	f.Add(`a", max_age="0`, int64(1), "x", int64(1), int64(1), false)
	f.Add("a\nb \u00e9", int64(-1), "", int64(-1), int64(1), true)
	f.Add("", int64(9223372036), "", int64(1<<62), int64(0), false)
	f.Fuzz(func(t *testing.T, classes string, maxAge int64, acr string, authTime, at int64, bound bool) {
		if maxAge > 1<<33 || at < 0 || at > 1<<40 {
			return
		}
		s := verify.StepUp{MaxAge: time.Duration(maxAge) * time.Second}
		if classes != "" {
			s.ACR = strings.Split(classes, " ")
		}
		claims := tokenboundary.Claims{ACR: acr, AuthTime: authTime}
		if bound {
			claims.Confirm = &tokenboundary.Confirm{Thumbprint: "k"}
		}
		err := s.Check(claims, time.Unix(at, 0))
		var e *verify.InsufficientAuthenticationError
		switch {
		case err == nil:
			require.True(t, len(s.ACR) > 0 || s.MaxAge > 0)
			require.True(t, len(s.ACR) == 0 || slices.Contains(s.ACR, acr))
			require.True(t, maxAge <= 0 || authTime > 0 && authTime <= at+5 && at-authTime <= maxAge)
		case errors.As(err, &e):
			scheme, said := parameters(t, e.Challenge())
			require.Equal(t, bound, scheme == "DPoP")
			require.Equal(t, "insufficient_user_authentication", said["error"])
			require.Equal(t, classes, said["acr_values"])
			want := ""
			if maxAge > 0 {
				want = strconv.FormatInt(maxAge, 10)
			}
			require.Equal(t, want, said["max_age"])
			require.False(t, slices.Contains(s.ACR, acr) && maxAge == 0)
		}
	})
}
