package front_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/internal/front"
)

func TestParseAsTakesOnlyTheTypesThatAreExpected(t *testing.T) {
	const other = "type of token is not accepted here"
	for name, c := range map[string]struct {
		typ   string // the member as written, with its comma
		types []string
		why   string // empty: accepted
	}{
		"the type":              {`,"typ":"at+jwt"`, []string{"at+jwt"}, ""},
		"one of several":        {`,"typ":"JWT"`, []string{"", "jwt"}, ""},
		"in capitals":           {`,"typ":"AT+JWT"`, []string{"at+jwt"}, ""},
		"full media type":       {`,"typ":"Application/at+JWT"`, []string{"at+jwt"}, ""},
		"absent, as expected":   {``, []string{"", "jwt"}, ""},
		"absent":                {``, []string{"at+jwt"}, other},
		"a proof":               {`,"typ":"dpop+jwt"`, []string{"", "jwt", "at+jwt"}, other},
		"an event":              {`,"typ":"secevent+jwt"`, []string{"", "jwt", "at+jwt"}, other},
		"prefix twice":          {`,"typ":"application/application/at+jwt"`, []string{"at+jwt"}, other},
		"another top level":     {`,"typ":"text/at+jwt"`, []string{"at+jwt"}, other},
		"with a parameter":      {`,"typ":"at+jwt;v=1"`, []string{"at+jwt"}, other},
		"expected in capitals":  {`,"typ":"JWT"`, []string{"JWT"}, other},
		"nothing is expected":   {`,"typ":"at+jwt"`, nil, other},
		"absent, none expected": {``, nil, other},
	} {
		t.Run(name, func(t *testing.T) {
			tok, err := front.ParseAs(compact(`{"alg":"ES256"`+c.typ+`}`, payload), c.types...)
			if c.why == "" {
				require.NoError(t, err)
				require.Contains(t, c.types, tok.Typ)
				return
			}
			require.ErrorContains(t, err, c.why)
			require.Zero(t, tok)
		})
	}
}

// A check that costs less comes first, so that the costly ones are not to be had for free.
func TestChecksComeInTheOrderOfTheirCost(t *testing.T) {
	const good, brokenJSON = `{"alg":"ES256","typ":"at+jwt"}`, `{"`
	signed := func(header, payload, signature string) string {
		return b64.EncodeToString([]byte(header)) + "." + payload + "." + signature
	}
	body := b64.EncodeToString([]byte(brokenJSON))
	for _, c := range []struct{ raw, why string }{
		{signed(brokenJSON, "!", "AAA"), "compact form"},
		{signed(brokenJSON, "AAAAA", "AAA.AAA"), "more than three"},
		{signed(brokenJSON, "AAAAA", "AAA"), "header: "},
		{signed(`{"alg":"none"}`, "AAAAA", "AAA"), "algorithm"},
		{signed(`{"alg":"ES256","typ":"jwt"}`, "AAAAA", "AAA"), "type of token"},
		{signed(good, "AAAAA", "AAB"), "not canonical"},
		{signed(good, body, "AAB"), "not canonical"},
		{signed(good, body, "AAA"[:2]), "payload: "},
	} {
		_, err := front.ParseAs(c.raw, "at+jwt")
		require.ErrorContains(t, err, c.why)
	}
}
