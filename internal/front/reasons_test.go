package front_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/internal/front"
)

const canary = "canary"

// carrying is a payload that says something secret.
const carrying = `{"canary":"canary"}`

// refusals are the reasons of this package with a text that is refused for each. All of them hold the canary, in the
// text or encoded.
var refusals = map[string][]string{
	"too long":                                           {strings.Repeat(canary, canon.MaxToken)},
	"not in compact form":                                {canary + " canary", canary + "=", canary + "\n", "\"canary\"", "canary,canary"},
	"more than three segments":                           {"canary.canary.canary.", "canary.canary.canary.canary.canary"},
	"fewer than three segments":                          {canary, "canary.canary", "canary..canary", ".canary.canary", "canary.canary."},
	"header is too long":                                 {compact(`{"alg":"ES256","kid":"`+strings.Repeat(canary, 400)+`"}`, carrying)},
	"signature is too long":                              {compact(header, carrying) + strings.Repeat("canary--", 200)},
	"base64url is not canonical":                         {"canarycan.canary.canary", compact(header, carrying) + "canary9"},
	"header: not a JSON object":                          {compact(`"canary"`, carrying), compact(`["canary"]`, carrying)},
	"header: not acceptable JSON: syntax":                {compact(`{"canary":`, carrying), compact(`canary`, carrying)},
	"header has more members than are allowed":           {compact(`{"canary":1,"a":1,"b":1,"c":1,"d":1,"e":1}`, carrying)},
	"header has a member that is not a string":           {compact(`{"alg":{"canary":1}}`, carrying), compact(`{"alg":"ES256","canary":1}`, carrying)},
	"header has a member that is not allowed":            {compact(`{"alg":"ES256","canary":"canary"}`, carrying)},
	"header has an unusable value":                       {compact(`{"alg":"ES256","kid":"canary\u0000"}`, carrying)},
	"algorithm is not allowed":                           {compact(`{"alg":"canary"}`, carrying)},
	"typ is not ASCII":                                   {compact(`{"alg":"ES256","typ":"canary\u00e9"}`, carrying)},
	"typ names no type":                                  {compact(`{"alg":"ES256","kid":"canary","typ":"Application/"}`, carrying)},
	"type of token is not accepted here":                 {compact(`{"alg":"ES256","typ":"canary"}`, carrying), compact(`{"alg":"ES256","kid":"canary"}`, carrying)},
	"payload: not a JSON object":                         {compact(header, `["canary"]`)},
	"payload: not acceptable JSON: syntax":               {compact(header, `{"canary":`), compact(header, `canary`)},
	"payload: not acceptable JSON: duplicate member":     {compact(header, `{"canary":1,"canary":2}`)},
	"payload: not acceptable JSON: nested too deeply":    {compact(header, strings.Repeat(`{"canary":`, 40)+"1"+strings.Repeat("}", 40))},
	"payload: not acceptable JSON: not UTF-8":            {compact(header, "{\"canary\":\"\xff\"}")},
	"payload: not acceptable JSON: unpaired surrogate":   {compact(header, `{"canary":"\ud800"}`)},
	"header has no key":                                  {proof(`{"canary":1}`)},
	"typ is not dpop+jwt":                                {proof(`{"jwk":{"canary":1},"typ":"canary"}`)},
	"header has a member that is not allowed in a proof": {proof(`{"jwk":{"canary":1},"typ":"dpop+jwt","alg":"ES256","canary":"canary"}`)},
}

// proof marks a header that is refused as that of a proof.
func proof(header string) string { return "proof " + compact(header, carrying) }

// Every refusal has one reason, which is all that it says: nothing of what was presented gets into a log.
func TestEveryRefusalHasItsReason(t *testing.T) {
	for why, texts := range refusals {
		for _, raw := range texts {
			var err error
			if raw, isProof := strings.CutPrefix(raw, "proof "); isProof {
				_, _, err = front.ParseProof(raw)
			} else {
				_, err = front.ParseAs(raw, "at+jwt")
			}
			require.EqualError(t, err, "not an acceptable token: "+why)
			require.NotContains(t, err.Error(), canary)
		}
	}
	_, err := front.ParseAs(compact(header, carrying), "at+jwt")
	require.NoError(t, err, "positive control")
	_, _, err = front.ParseProof(compact(proofHeader, carrying))
	require.NoError(t, err, "positive control")
}

// What the source can say is in the table above.
func TestTheTableOfReasonsIsComplete(t *testing.T) {
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	reason := regexp.MustCompile(`Errorf\("%w: ([^"]+)"`)
	found := 0
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		source, err := os.ReadFile(f)
		require.NoError(t, err)
		for _, m := range reason.FindAllStringSubmatch(string(source), -1) {
			why := strings.NewReplacer(": %w", "", "%s", front.ProofType).Replace(m[1])
			known := slices.ContainsFunc(slices.Collect(maps.Keys(refusals)), func(k string) bool {
				return k == why || strings.HasPrefix(k, why+": ")
			})
			require.True(t, known, "%s: %q has no case", f, why)
			found++
		}
	}
	require.Greater(t, found, 15, "control: the reasons are found")
}
