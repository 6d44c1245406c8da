package hostile

import (
	"crypto/ecdsa"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// parts returns the decoded header and payload of a token.
func parts(t *testing.T, raw string) (header, payload string) {
	t.Helper()
	segments := strings.Split(raw, ".")
	require.Len(t, segments, 3)
	return string(must(b64.DecodeString(segments[0]))), string(must(b64.DecodeString(segments[1])))
}

// mirrored returns the token with the other signature that its key verifies, (r, n-s).
func mirrored(raw string, key *ecdsa.PrivateKey) string {
	dot := strings.LastIndexByte(raw, '.')
	sig := must(b64.DecodeString(raw[dot+1:]))
	half := sig[len(sig)/2:]
	new(big.Int).Sub(key.Params().N, new(big.Int).SetBytes(half)).FillBytes(half)
	return raw[:dot+1] + b64.EncodeToString(sig)
}

// The one thing that anybody can change of a token that is signed with ECDSA leaves it what it is.
func TestTheMirroredSignatureIsTheSameToken(t *testing.T) {
	seen := 0
	for _, d := range doors(t) {
		ec, ok := keyFor(d.alg).(*ecdsa.PrivateKey)
		if !ok {
			continue
		}
		raw, id := d.accepted(t)
		other := mirrored(raw, ec)
		require.NotEqual(t, raw, other)
		again, err := d.open(other)
		require.NoError(t, err, d.name)
		require.Equal(t, id, again, d.name)
		require.Equal(t, raw, mirrored(other, ec))
		seen++
	}
	require.Equal(t, 7, seen)
}

// spellings are ways of writing a token that some decoder reads as the same one.
var spellings = map[string]func(h, p, s string) string{
	"padding at the end":     func(h, p, s string) string { return h + "." + p + "." + s + "=" },
	"two paddings":           func(h, p, s string) string { return h + "." + p + "." + s + "==" },
	"padding in the header":  func(h, p, s string) string { return h + "=." + p + "." + s },
	"padding in the payload": func(h, p, s string) string { return h + "." + p + "=." + s },
	"padded and standard":    func(h, p, s string) string { return h + "." + p + "." + standard(s) },
	"standard, unpadded":     func(h, p, s string) string { return h + "." + p + "." + strings.TrimRight(standard(s), "=") + "+" },
	"line break at the end":  func(h, p, s string) string { return h + "." + p + "." + s + "\n" },
	"CR LF inside":           func(h, p, s string) string { return h + "." + p[:4] + "\r\n" + p[4:] + "." + s },
	"line break in header":   func(h, p, s string) string { return h[:4] + "\n" + h[4:] + "." + p + "." + s },
	"space in front":         func(h, p, s string) string { return " " + h + "." + p + "." + s },
	"tab behind":             func(h, p, s string) string { return h + "." + p + "." + s + "\t" },
	"NUL behind":             func(h, p, s string) string { return h + "." + p + "." + s + "\x00" },
	"BOM in front":           func(h, p, s string) string { return "\ufeff" + h + "." + p + "." + s },
	"fullwidth letter":       func(h, p, s string) string { return h + "." + p + "." + s[1:] + "\uff21" },
	"percent encoded":        func(h, p, s string) string { return h + "%2E" + p + "." + s },
	"scheme in front":        func(h, p, s string) string { return "Bearer " + h + "." + p + "." + s },
	"in quotes":              func(h, p, s string) string { return `"` + h + "." + p + "." + s + `"` },
	"twice":                  func(h, p, s string) string { return h + "." + p + "." + s + "," + h + "." + p + "." + s },
	"dot in front":           func(h, p, s string) string { return "." + h + "." + p + "." + s },
	"dot behind":             func(h, p, s string) string { return h + "." + p + "." + s + "." },
	"no payload":             func(h, _, s string) string { return h + ".." + s },
	"no header":              func(_, p, s string) string { return "." + p + "." + s },
	"as five segments":       func(h, p, s string) string { return h + "." + p + "." + s + ".." },
	"a JWE of it":            func(h, p, s string) string { return h + "." + s + "." + s + "." + p + "." + s },
	"two signatures":         func(h, p, s string) string { return h + "." + p + "." + s + "." + s },
	"JSON, flattened": func(h, p, s string) string {
		return `{"protected":"` + h + `","payload":"` + p + `","signature":"` + s + `"}`
	},
	"JSON, general": func(h, p, s string) string {
		return `{"payload":"` + p + `","signatures":[{"protected":"` + h + `","signature":"` + s + `"}]}`
	},
	"unencoded payload": func(h, p, s string) string { return h + "." + string(must(b64.DecodeString(p))) + "." + s },
	"nothing":           func(string, string, string) string { return "" },
}

func standard(s string) string { return base64.StdEncoding.EncodeToString(must(b64.DecodeString(s))) }

func TestATokenHasOneSpelling(t *testing.T) {
	for _, d := range doors(t) {
		t.Run(d.name, func(t *testing.T) {
			raw, _ := d.accepted(t)
			s := strings.Split(raw, ".")
			for name, spell := range spellings {
				_, err := d.open(spell(s[0], s[1], s[2]))
				require.Error(t, err, name)
				class := classOf(t, err)
				if d.ours && name == "no payload" {
					class = form // what has the header of one of ours goes to its key at once
				}
				require.Equal(t, form, class, "%s: %v", name, err)
			}
			for _, other := range trailing(s) {
				_, err := d.open(other)
				require.Error(t, err, other)
				require.Contains(t, []string{form, header}, classOf(t, err), "%v", err)
			}
		})
	}
}

// trailing returns the token with each of its segments ending in bits that its bytes do not need, wherever there are any.
func trailing(segments []string) (out []string) {
	for i, s := range segments {
		unused := len(s) * 6 % 8
		last := strings.IndexByte(alphabet, s[len(s)-1])
		for bits := 1; bits < 1<<unused; bits++ {
			changed := append([]string{}, segments...)
			changed[i] = s[:len(s)-1] + alphabet[last+bits:last+bits+1]
			out = append(out, strings.Join(changed, "."))
		}
	}
	return out
}

// A token in a token is read by nobody.
func TestANestedTokenIsNone(t *testing.T) {
	for _, d := range doors(t) {
		raw, _ := d.accepted(t)
		_, err := d.open(forge(d.alg, d.header, raw))
		require.Error(t, err)
		require.Contains(t, []string{payload, claims}, classOf(t, err), "%s: %v", d.name, err)
		_, err = d.open(forge(d.alg, strings.Replace(d.header, "{", `{"cty":"JWT",`, 1), raw))
		require.Error(t, err)
		require.Equal(t, header, classOf(t, err), "%s: %v", d.name, err)
	}
}
