package hostile

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/internal/front"
)

// count is how many tests of JOSE end in which way. None of them signs a JSON object, so that all would be refused by
// package front; what is counted is the verdict on everything else.
type count map[string]int

// verdictsOf runs the signatures of a file, apart by what their authors say of them.
func verdictsOf(t *testing.T, file string) (valid, invalid count) {
	t.Helper()
	valid, invalid = count{}, count{}
	for _, g := range loadWeb(t, file) {
		set, keyErr := g.keys()
		for _, v := range g.Tests {
			if v.JWS == nil {
				continue
			}
			why := verify(text(v.JWS), set, keyErr)
			if v.Result == "valid" {
				valid[why]++
			} else {
				require.NotEmpty(t, why, "%s, %d is accepted: %s", file, v.ID, v.Comment)
				invalid[why]++
			}
			_, err := front.Parse(text(v.JWS))
			require.Error(t, err, "a text is no token")
			if why == accepted {
				require.Contains(t, []string{payload, form}, classOf(t, err), "%v", err) // form: an empty payload
			}
		}
	}
	return valid, invalid
}

const accepted = ""

// Refused on purpose among the valid ones: HMAC ("algorithm is not allowed"), base64url with a character that it does
// not have ("not in compact form"), and a key that is for another algorithm, or one that does not exist ("no such key").
func TestWycheproofSignatures(t *testing.T) {
	valid, invalid := verdictsOf(t, "json_web_signature_test.json")
	require.Equal(t, count{accepted: 32, "algorithm is not allowed": 9, "no such key": 4, "not in compact form": 1}, valid)
	require.Equal(t, count{
		"signature does not verify": 292, "fewer than three segments": 29, "more than three segments": 2,
		"not in compact form": 8, "algorithm is not allowed": 12, "header has a member that is not a string": 1,
		"no such key": 11,
	}, invalid)
}

// Keys that are weak, ambiguous or no points are refused for that; a key for another purpose is not there.
func TestWycheproofKeys(t *testing.T) {
	valid, invalid := verdictsOf(t, "json_web_key_test.json")
	require.Equal(t, count{accepted: 1, "algorithm is not allowed": 4}, valid)
	require.Equal(t, count{
		"key: RSA key is shorter than 2048 bits": 1, "key: RSA key of a kind that can be factored": 1,
		"key: RSA key with an impossible modulus or exponent": 1, "key: coordinate of the wrong form": 1,
		"key: modulus of the wrong form": 1, "key: point is not on the curve": 1, "no such key": 4,
		"algorithm is not allowed": 11,
	}, invalid)
}

func TestWycheproofMixed(t *testing.T) {
	valid, invalid := verdictsOf(t, "json_web_crypto_test.json")
	require.Equal(t, count{accepted: 2, "algorithm is not allowed": 2}, valid)
	require.Equal(t, count{
		"signature does not verify": 6, "fewer than three segments": 25, "more than three segments": 2,
		"not in compact form": 1, "algorithm is not allowed": 7, "header has a member that is not a string": 1,
		"key: RSA key of a kind that can be factored": 1, "no such key": 2,
	}, invalid)
}

// Nothing private and nothing symmetric is taken for a public key.
func TestWycheproofPrivateKeysAreRefused(t *testing.T) {
	public, private := 0, 0
	for _, file := range []string{"json_web_signature_test.json", "json_web_key_test.json", "json_web_crypto_test.json", "json_web_encryption_test.json"} {
		for _, g := range loadWeb(t, file) {
			if g.private() {
				set, err := keySet(g.Private)
				require.ErrorContains(t, err, "contains a private key")
				require.Zero(t, set.Len())
				private++
			}
			if g.public() {
				if set, err := keySet(g.Public); err == nil {
					public += set.Len()
				}
			}
		}
	}
	require.Equal(t, 87, private)
	require.Equal(t, 19, public, "control: public keys are accepted")
}

// Whatever is encrypted is refused for its form, valid or not, before any of it is decoded.
func TestWycheproofEncryptionIsRefusedWhole(t *testing.T) {
	for file, want := range map[string]int{"json_web_encryption_test.json": 139, "json_web_crypto_test.json": 34} {
		seen := 0
		for _, g := range loadWeb(t, file) {
			for _, v := range g.Tests {
				if v.JWE == nil {
					continue
				}
				seen++
				_, err := front.Parse(text(v.JWE))
				require.Error(t, err)
				require.Equal(t, form, classOf(t, err), "%s, %d: %v", file, v.ID, err)
				_, _, err = front.ParseProof(text(v.JWE))
				require.Error(t, err)
				require.Equal(t, form, classOf(t, err))
			}
		}
		require.Equal(t, want, seen, file)
	}
}
