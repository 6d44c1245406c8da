package mint

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
)

// jkt is the thumbprint of a client's key (RFC 9449, section 6.1).
const jkt = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"

// other is that of somebody else's.
var other = id("another key")

// reader is a node, or a resource server.
type reader interface {
	Verify(ctx context.Context, raw string) (tokenboundary.Claims, error)
}

// boundClaims are those of a token that is bound to a key, and not to be relied on for more than half a minute.
func boundClaims(kid string) tokenboundary.Claims {
	c := claims(kid)
	c.Confirm, c.Recheck = &tokenboundary.Confirm{Thumbprint: jkt}, 30
	return c
}

func TestBoundAndUnboundTokensVerify(t *testing.T) {
	w := newWorld(t)
	m := w.open()
	v := w.verifier(m)
	for end, edit := range map[string]func(*tokenboundary.Claims){
		`,"amr":["pwd","otp"]}`:                                          func(c *tokenboundary.Claims) { c.Confirm, c.Recheck = nil, 0 },
		`,"amr":["pwd","otp"],"cnf":{"jkt":"` + jkt + `"}}`:              func(c *tokenboundary.Claims) { c.Recheck = 0 },
		`,"amr":["pwd","otp"],"recheck":30}`:                             func(c *tokenboundary.Claims) { c.Confirm = nil },
		`,"amr":["pwd","otp"],"cnf":{"jkt":"` + jkt + `"},"recheck":30}`: func(*tokenboundary.Claims) {},
	} {
		want := boundClaims(w.key(m))
		edit(&want)
		raw, err := m.Mint(t.Context(), want)
		require.NoError(t, err)
		_, payload := parts(t, raw)
		require.True(t, strings.HasSuffix(payload, end), payload)
		for _, verify := range []reader{m, v} {
			got, err := verify.Verify(t.Context(), raw)
			require.NoError(t, err)
			require.Equal(t, want.Confirm, got.Confirm)
			require.Equal(t, want.Recheck, got.Recheck)
		}
	}
}

func TestHostileBinding(t *testing.T) {
	w := newWorld(t)
	m := w.open()
	v := w.verifier(m)
	raw, err := m.Mint(t.Context(), boundClaims(w.key(m)))
	require.NoError(t, err)
	header, payload := parts(t, raw)
	const cnf, recheck = `"cnf":{"jkt":"` + jkt + `"}`, `"recheck":30`
	for name, c := range map[string]struct{ old, new, want string }{
		"as minted":          {cnf, cnf, ""},
		"cnf null":           {cnf, `"cnf":null`, "one form"},
		"cnf empty":          {cnf, `"cnf":{}`, "impossible: cnf"},
		"cnf string":         {cnf, `"cnf":"` + jkt + `"`, "wrong type"},
		"cnf list":           {cnf, `"cnf":[` + `{"jkt":"` + jkt + `"}]`, "wrong type"},
		"cnf twice":          {cnf, `"cnf":{"jkt":"` + other + `"},` + cnf, "one form"},
		"cnf of other case":  {cnf, `"Cnf":{"jkt":"` + jkt + `"}`, "one form"},
		"cnf in both cases":  {cnf, `"CNF":{"jkt":"` + other + `"},` + cnf, "one form"},
		"cnf misspelt":       {cnf, `"cfn":{"jkt":"` + jkt + `"}`, "one form"},
		"cnf in front":       {`"iss":`, cnf + `,"iss":`, "one form"},
		"jkt twice":          {`{"jkt":`, `{"jkt":"` + other + `","jkt":`, "one form"},
		"jkt of other case":  {`"jkt"`, `"JKT"`, "one form"},
		"jkt misspelt":       {`"jkt"`, `"jtk"`, "impossible: cnf"},
		"jkt null":           {`"` + jkt + `"`, `null`, "impossible: cnf"},
		"jkt empty":          {`"` + jkt + `"`, `""`, "impossible: cnf"},
		"jkt number":         {`"` + jkt + `"`, `7`, "wrong type"},
		"jkt short":          {jkt, jkt[:42], "impossible: cnf"},
		"jkt long":           {jkt, jkt + "A", "impossible: cnf"},
		"jkt padded":         {jkt, jkt + "=", "impossible: cnf"},
		"jkt trailing bits":  {jkt, jkt[:42] + "J", "impossible: cnf"},
		"jkt other alphabet": {"NYy-D", "NYy+D", "impossible: cnf"},
		"jkt broken":         {jkt, jkt[:20] + `\n` + jkt[20:], "impossible: cnf"},
		"jkt escaped":        {jkt, `\u0030` + jkt[1:], "one form"},
		"a certificate too":  {`{"jkt":`, `{"x5t#S256":"` + other + `","jkt":`, "one form"},
		"only a certificate": {`"jkt"`, `"x5t#S256"`, "impossible: cnf"},
		"recheck zero":       {recheck, `"recheck":0`, "one form"},
		"recheck negative":   {recheck, `"recheck":-30`, "impossible: recheck"},
		"recheck string":     {recheck, `"recheck":"30"`, "wrong type"},
		"recheck fraction":   {recheck, `"recheck":30.0`, "wrong type"},
		"recheck exponent":   {recheck, `"recheck":3e1`, "wrong type"},
		"recheck huge":       {recheck, `"recheck":9223372036854775808`, "wrong type"},
		"recheck null":       {recheck, `"recheck":null`, "one form"},
		"recheck twice":      {recheck, `"recheck":3600,` + recheck, "one form"},
		"recheck by case":    {recheck, `"Recheck":30`, "one form"},
		"recheck misspelt":   {recheck, `"re_check":30`, "one form"},
		"the other order":    {cnf + "," + recheck, recheck + "," + cnf, "one form"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, payload, c.old, "the edit applies")
			hostile := forge(t, m, header, strings.Replace(payload, c.old, c.new, 1))
			for _, verify := range []reader{m, v} {
				got, err := verify.Verify(t.Context(), hostile)
				if c.want == "" {
					require.NoError(t, err)
					continue
				}
				require.ErrorIs(t, err, ErrToken)
				require.ErrorContains(t, err, c.want)
				require.Zero(t, got)
			}
		})
	}
}

func TestMintRefusesAnImpossibleBinding(t *testing.T) {
	w := newWorld(t)
	m := w.open()
	for want, spoil := range map[string]func(*tokenboundary.Claims){
		"":                    func(*tokenboundary.Claims) {},
		"impossible: cnf":     func(c *tokenboundary.Claims) { c.Confirm.Thumbprint = "" },
		"impossible: recheck": func(c *tokenboundary.Claims) { c.Recheck = -1 },
	} {
		in := boundClaims(w.key(m))
		spoil(&in)
		_, err := m.Mint(t.Context(), in)
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, tokenboundary.ErrInvalid)
		require.ErrorContains(t, err, want)
	}
}
