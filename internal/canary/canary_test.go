package canary_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/internal/canary"
)

const (
	odd    = "päss \"w\\ord\"+<of> 100%&\u2028"
	jws    = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwczovL2IuZXhhbXBsZSJ9.c2lnbmF0dXJlLW9mLWEtdG9rZW4tdGhhdC1uby1vbmUtZWxzZS1oYXM"
	opaque = "tbr_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAzq8nTnX2vJrVQ0mYxkPlKsdB7uHf5aEwGi"
)

// leaks says what is found of the secrets in a text.
func leaks(text string, secrets ...string) []string {
	k := &canary.Keeper{}
	k.Plant("secret", secrets...)
	k.See("place", text)
	return k.Leaks()
}

// TestTheSearchFindsASecretInEverySpelling: the search itself is what every other test relies on.
func TestTheSearchFindsASecretInEverySpelling(t *testing.T) {
	for _, secret := range []string{odd, jws, opaque, "just-sixteen-byt"} {
		mustJSON := func(v any) string { raw, err := json.Marshal(v); require.NoError(t, err); return string(raw) }
		r, err := http.NewRequest(http.MethodGet, "/", nil)
		require.NoError(t, err)
		r.SetBasicAuth(url.QueryEscape("a client"), url.QueryEscape(secret))
		for name, text := range map[string]string{
			"itself":            secret,
			"inside":            "a log line with " + secret + " in it",
			"query":             "?a=" + url.QueryEscape(secret) + "&b",
			"path":              "/x/" + url.PathEscape(secret) + "/y",
			"JSON":              mustJSON(map[string]string{"a": secret}),
			"JSON in JSON":      mustJSON(mustJSON([]string{secret})),
			"Go":                fmt.Sprintf("%#v", []string{secret}),
			"Go, ASCII":         fmt.Sprintf("%+q", secret),
			"hexadecimal":       fmt.Sprintf("%x", secret),
			"HEXADECIMAL":       strings.ToUpper(hex.EncodeToString([]byte("x" + secret))),
			"base64":            base64.StdEncoding.EncodeToString([]byte(secret)),
			"base64, shifted":   base64.StdEncoding.EncodeToString([]byte("1" + secret + "1")),
			"base64, shifted 2": base64.RawURLEncoding.EncodeToString([]byte("12" + secret + "12")),
			"Basic":             r.Header.Get("Authorization"),
			"an error":          canary.Forms(errors.Join(fmt.Errorf("a: %w", errors.New(secret)), errors.New("b")))[0],
		} {
			require.Len(t, leaks(text, secret), 1, "%q as %s", secret, name)
			require.NotContains(t, leaks(text, secret)[0], secret, "and does not leak it again")
		}
	}
}

func TestTheSearchFindsPartsThatNothingElseHas(t *testing.T) {
	for name, text := range map[string]string{
		"the signature":            strings.Split(jws, ".")[2],
		"its beginning":            strings.Split(jws, ".")[2][:20],
		"its end":                  jws[len(jws)-20:],
		"its middle":               jws[len(jws)-50 : len(jws)-18],
		"cut off":                  jws[:len(jws)-8],
		"the end of an opaque one": opaque[len(opaque)-20:],
		"encoded":                  base64.RawURLEncoding.EncodeToString([]byte("x" + jws[len(jws)-20:])),
	} {
		require.NotEmpty(t, leaks(text, jws, opaque), name)
	}
}

// TestTheSearchFindsNothingElse: what is no secret of a token may stand anywhere.
func TestTheSearchFindsNothingElse(t *testing.T) {
	header, payload, _ := strings.Cut(jws, ".")
	for name, text := range map[string]string{
		"nothing": "", "a header": header, "claims": strings.Split(payload, ".")[0], "a name": opaque[:47],
		"half a secret": odd[:8], "another": strings.Replace(odd, "100", "101", 1), "another signature": strings.ToUpper(jws),
	} {
		require.Empty(t, leaks(text, jws, opaque, odd), name)
	}
	require.Empty(t, leaks("short", "short"), "what is too short is ignored")
}

func TestAKeeperSaysWhetherItSawAnything(t *testing.T) {
	k := canary.Watch(t)
	secrets, seen := k.Counts()
	require.Zero(t, secrets+seen)
	k.Plant("a", odd)
	_, err := k.Writer("log").Write([]byte("a line"))
	require.NoError(t, err)
	secrets, seen = k.Counts()
	require.Equal(t, []int{1, 7}, []int{secrets, seen})
}

// TestFormsShowWhatATypeHides: a type that hides itself in one form, and not in another, does not hide itself.
func TestFormsShowWhatATypeHides(t *testing.T) {
	require.NotEmpty(t, leaks(strings.Join(canary.Forms(half{jws}), "\n"), jws), "it forgets JSON")
	require.NotEmpty(t, leaks(strings.Join(canary.Forms(fmt.Errorf("x: %w", leaky{jws})), "\n"), jws), "it tells in %+v")
	require.Empty(t, leaks(strings.Join(canary.Forms(struct{ A string }{"x"}), "\n"), jws))
}

type half struct{ Secret string }

func (half) String() string   { return "hidden" }
func (half) GoString() string { return "hidden" }

type leaky struct{ secret string }

func (leaky) Error() string { return "hidden" }

func (l leaky) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte("leaky " + l.secret)) }
