package jose_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/internal/jose"
)

// refusals are the reasons for which a key is refused, with a key for each. Wherever it can be, the canary is in it.
func refusals(t testing.TB) map[string]string {
	ec, rsaKey := jwkOf(t, p256.Public()), jwkOf(t, rsa2048.Public())
	with := func(key, member string) string { return strings.Replace(key, "{", "{"+member+`,"canary":"canary",`, 1) }
	swap := func(key, member, value string) string {
		return with(strings.Replace(key, text(t, key, member), value, 1), `"kid":"canary"`)
	}
	return map[string]string{
		"not acceptable JSON: syntax":                    `{"canary":`,
		"not acceptable JSON: duplicate member":          `{"canary":1,"canary":2}`,
		"not acceptable JSON: nested too deeply":         `{"canary":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`,
		"not a JSON object":                              `"canary"`,
		"contains a private key":                         with(ec, `"d":"canary"`),
		"member kid is empty or not a string":            with(ec, `"kid":["canary"]`),
		"member use is empty or not a string":            with(ec, `"use":""`),
		"name has a control character":                   with(ec, `"kid":"canary\u0007"`),
		"member key_ops is not a list of strings":        with(ec, `"key_ops":"canary"`),
		"no key type":                                    `{"kid":"canary"}`,
		"is a symmetric key":                             `{"kty":"oct","kid":"canary"}`,
		"coordinate of the wrong form":                   swap(ec, "x", "canary"),
		"point is not on the curve":                      swap(ec, "x", text(t, ec, "y")),
		"public key of the wrong form":                   `{"kty":"OKP","crv":"Ed25519","x":"canary"}`,
		"public key of small order":                      `{"kty":"OKP","crv":"Ed25519","kid":"canary","x":"` + strings.Repeat("A", 43) + `"}`,
		"modulus of the wrong form":                      swap(rsaKey, "n", "canary="),
		"exponent of the wrong form":                     strings.Replace(rsaKey, `"AQAB"`, `"canarycanary"`, 1),
		"RSA key is shorter than 2048 bits":              swap(rsaKey, "n", "canary__"),
		"RSA key is longer than 8192 bits":               jwkOf(t, modulus(8193)),
		"RSA key with an impossible modulus or exponent": strings.Replace(rsaKey, `"AQAB"`, `"AA"`, 1),
		"RSA key of a kind that can be factored":         jwkOf(t, weakModulus()),
		"too long":                                       `{"canary":"` + strings.Repeat("canary", jose.MaxKeySet/6) + `"}`,
	}
}

func TestEveryRefusalOfAKeyHasItsReason(t *testing.T) {
	for why, key := range refusals(t) {
		set, err := jose.ParseKeySet([]byte(`{"keys":[` + key + `]}`))
		require.ErrorContains(t, err, why)
		require.NotContains(t, err.Error(), "canary")
		require.Zero(t, set.Len())
		if len(key) > jose.MaxKey {
			continue
		}
		one, err := jose.ParseKey([]byte(key))
		require.ErrorContains(t, err, "not an acceptable key: "+why)
		require.NotContains(t, err.Error(), "canary")
		require.Zero(t, one)
	}
}

// Reasons that have a case in the tables of ParseKey and ParseKeySet.
var elsewhere = []string{
	"has a member that is not allowed", "cannot verify signatures here", "RSA key is longer than %d bits",
	"no array of keys", "too many keys", "key %d: key id is not unique", "key %d", "is missing or malformed", "syntax",
}

func TestTheTableOfReasonsIsComplete(t *testing.T) {
	reason := regexp.MustCompile(`errors\.New\("([^"]+)"|Errorf\("%w: ([^"]+)"`)
	whole := strings.Join(append([]string{}, elsewhere...), "\n")
	for why := range refusals(t) {
		whole += "\n" + why
	}
	found := 0
	for _, f := range []string{"key.go", "keyset.go", "proof.go"} {
		source, err := os.ReadFile(f)
		require.NoError(t, err)
		for _, m := range reason.FindAllStringSubmatch(string(source), -1) {
			why := strings.TrimSuffix(m[1]+m[2], ": %w")
			if why == "%w" || strings.HasPrefix(why, "not an acceptable") {
				continue
			}
			require.Contains(t, whole, strings.TrimSpace(why), f)
			found++
		}
	}
	require.Greater(t, found, 20, "control: the reasons are found")
}
