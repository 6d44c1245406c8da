package hostile

import (
	"iter"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Classes of reasons for which a token is refused.
const (
	form      = "form"      // is not the one canonical spelling of anything
	header    = "header"    // names no algorithm or type that is accepted, or has what no header may have
	key       = "key"       // names or brings a key that is not accepted
	payload   = "payload"   // is no unambiguous JSON object
	claims    = "claims"    // says what is not acceptable
	signature = "signature" // does not verify
)

var classes = []struct {
	name string
	why  *regexp.Regexp
}{
	{form, regexp.MustCompile(`not in compact form|segments|base64url is not canonical|too long|longer than any token`)},
	{header, regexp.MustCompile(`header|algorithm is not a|typ is not|typ names no type|type of token|alg is not|no key id|names no key`)},
	{key, regexp.MustCompile(`no such key|unknown key|not an acceptable key`)},
	{payload, regexp.MustCompile(`token: payload: `)},
	{signature, regexp.MustCompile(`signature`)},
	{claims, regexp.MustCompile(`claim|issuer|trust domain|no client with keys|SPIFFE|service account|missing or impossible|audience|expired`)},
}

// classOf returns the class of a refusal, which must have one.
func classOf(t *testing.T, err error) string {
	t.Helper()
	for _, c := range classes {
		if c.why.MatchString(err.Error()) {
			return c.name
		}
	}
	require.Fail(t, "no class", err.Error())
	return ""
}

// bySegment is why a token can be refused of which one segment is changed within the alphabet.
var bySegment = [][]string{
	{form, header, key, signature}, // signature: a type in another case is the same type
	{form, payload, claims, signature},
	{form, signature},
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// mutants returns every small change of a text with the place where it is: each bit and each byte changed, each byte
// left out, bytes put in, and both ends cut off.
func mutants(raw string) iter.Seq2[int, string] {
	const put, other = "A.=\n\xff", "Q._=+/ \x00"
	return func(yield func(int, string) bool) {
		for i := range len(raw) + 1 {
			before, after := raw[:i], raw[i:]
			all := []string{before, after}
			for n := range len(put) {
				all = append(all, before+put[n:n+1]+after)
			}
			if after != "" {
				all = append(all, before+after[1:])
				for n := range len(other) {
					all = append(all, before+other[n:n+1]+after[1:])
				}
				for bit := range 8 {
					all = append(all, before+string([]byte{raw[i] ^ 1<<bit})+after[1:])
				}
			}
			for _, mutant := range all {
				if mutant != raw && !yield(i, mutant) {
					return
				}
			}
		}
	}
}

// No small change of a token's text is another token, and no two texts are the same one. (s to n-s is no small change.)
func TestNoMutantOfATokenIsAccepted(t *testing.T) {
	for _, d := range doors(t) {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			raw, id := d.accepted(t)
			secret := strings.Split(raw, ".")[1][:20]
			met := map[string]int{}
			for i, mutant := range mutants(raw) {
				_, err := d.open(mutant)
				if err == nil {
					t.Fatalf("changed at %d, it is accepted: %q", i, mutant)
				}
				class := classOf(t, err)
				if !slices.Contains(allowed(raw, mutant, i), class) || strings.Contains(err.Error(), secret) {
					t.Fatalf("changed at %d: %q: %v", i, mutant, err)
				}
				met[class]++
			}
			t.Logf("%d bytes: refused by %v", len(raw), met)
			require.Greater(t, met[form], 3000)
			require.Greater(t, met[header], 100)
			require.Greater(t, met[signature], 500, "control: mutants get as far as the signature")
			again, err := d.open(raw)
			require.NoError(t, err)
			require.Equal(t, id, again)
		})
	}
}

// allowed returns the classes of reasons for which a mutant may be refused.
func allowed(raw, mutant string, at int) []string {
	if strings.ContainsFunc(mutant, outside) || strings.Count(mutant, ".") != 2 {
		return []string{form}
	}
	if len(mutant) < len(raw)-1 { // an end was cut off, and three segments are left
		if strings.HasPrefix(raw, mutant) {
			return bySegment[2]
		}
		return bySegment[0]
	}
	if strings.IndexByte(mutant, '.') != strings.IndexByte(raw, '.') || strings.LastIndexByte(mutant, '.') != strings.LastIndexByte(raw, '.') {
		return slices.Concat(bySegment...)
	}
	return bySegment[strings.Count(raw[:at], ".")]
}

func outside(c rune) bool { return !strings.ContainsRune(alphabet+".", c) }
