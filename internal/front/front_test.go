package front_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/internal/front"
)

var b64 = base64.RawURLEncoding

func compact(header, payload string) string {
	return b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(payload)) + "." + b64.EncodeToString([]byte("sig!"))
}

const header, payload = `{"alg":"ES256","kid":"k1","typ":"application/AT+jwt"}`, `{"iss":"https://idp.example"}`

func TestParseAcceptsTheCanonicalForm(t *testing.T) {
	raw := compact(header, payload)
	tok, err := front.Parse(raw)
	require.NoError(t, err)
	require.Equal(t, front.Token{
		Alg: "ES256", Kid: "k1", Typ: "at+jwt", Payload: []byte(payload),
		Claims:       canon.Members{{Name: "iss", Value: json.RawMessage(`"https://idp.example"`)}},
		SigningInput: []byte(raw[:strings.LastIndexByte(raw, '.')]), Signature: []byte("sig!"), Raw: raw,
	}, tok)
	for _, alg := range front.Algorithms() {
		tok, err := front.Parse(compact(`{"alg":"`+alg+`"}`, payload))
		require.NoError(t, err, alg)
		require.Equal(t, alg, tok.Alg)
		require.Empty(t, tok.Kid+tok.Typ)
	}
}

func TestParseRefuses(t *testing.T) {
	good := compact(header, payload)
	_, err := front.Parse(good)
	require.NoError(t, err, "positive control")
	long := strings.Repeat("a", canon.MaxName+1)
	deep := strings.Repeat(`{"a":`, canon.MaxNesting+1) + "1" + strings.Repeat("}", canon.MaxNesting+1)
	cases := map[string]struct{ raw, why string }{
		"empty":              {"", "fewer than three"},
		"one segment":        {"aaaa", "fewer than three"},
		"two segments":       {"aaaa.bbbb", "fewer than three"},
		"no signature":       {"aaaa.bbbb.", "fewer than three"},
		"no payload":         {"aaaa..bbbb", "fewer than three"},
		"JWE":                {"a.b.c.d.e", "more than three"},
		"trailing dot":       {good + ".", "more than three"},
		"JSON serialisation": {`{"payload":"e30","signature":"c2ln"}`, "compact form"},
		"leading space":      {" " + good, "compact form"},
		"line break":         {good[:10] + "\n" + good[10:], "compact form"},
		"carriage return":    {good + "\r", "compact form"},
		"padding":            {good + "=", "compact form"},
		"standard alphabet":  {good + "+/", "compact form"},
		"trailing bits":      {good[:len(good)-1] + "R", "not canonical"}, // "c2lnIQ" ends in four unused bits
		"odd length":         {good + "AAA", "not canonical"},
		"too long":           {good + strings.Repeat("A", canon.MaxToken), "too long"},
		"header no object":   {compact(`["ES256"]`, payload), "not a JSON object"},
		"header null":        {compact(`null`, payload), "not a JSON object"},
		"header trailing":    {compact(header+`{}`, payload), "syntax"},
		"no alg":             {compact(`{"kid":"k1"}`, payload), "algorithm is not allowed"},
		"alg none":           {compact(`{"alg":"none"}`, payload), "algorithm is not allowed"},
		"alg HS256":          {compact(`{"alg":"HS256"}`, payload), "algorithm is not allowed"},
		"alg lower case":     {compact(`{"alg":"es256"}`, payload), "algorithm is not allowed"},
		"alg of encryption":  {compact(`{"alg":"RSA-OAEP"}`, payload), "algorithm is not allowed"},
		"alg null":           {compact(`{"alg":null}`, payload), "not a string"},
		"alg twice":          {compact(`{"alg":"none","alg":"ES256"}`, payload), "duplicate"},
		"alg escaped twice":  {compact(`{"alg":"ES256","\u0061lg":"none"}`, payload), "duplicate"},
		"case variant":       {compact(`{"alg":"ES256","Alg":"none"}`, payload), "not allowed"},
		"only case variant":  {compact(`{"ALG":"ES256"}`, payload), "member that is not allowed"},
		"kid number":         {compact(`{"alg":"ES256","kid":1}`, payload), "not a string"},
		"kid object":         {compact(`{"alg":"ES256","kid":{}}`, payload), "not a string"},
		"kid empty":          {compact(`{"alg":"ES256","kid":""}`, payload), "unusable value"},
		"kid control":        {compact(`{"alg":"ES256","kid":"a\u0000b"}`, payload), "unusable value"},
		"kid long":           {compact(`{"alg":"ES256","kid":"`+long+`"}`, payload), "unusable value"},
		"typ empty":          {compact(`{"alg":"ES256","typ":""}`, payload), "unusable value"},
		"typ only prefix":    {compact(`{"alg":"ES256","typ":"application/"}`, payload), "names no type"},
		"typ Kelvin sign":    {compact(`{"alg":"ES256","typ":"to\u212aen"}`, payload), "not ASCII"},
		"typ with a space":   {compact(`{"alg":"ES256","typ":"at+jwt "}`, payload), "not ASCII"},
		"six members":        {compact(`{"alg":"ES256","kid":"a","typ":"b","x5t":"c","x5t#S256":"d","cty":"e"}`, payload), "more members"},
		"header not UTF-8":   {compact("{\"alg\":\"ES256\",\"kid\":\"\xff\"}", payload), "UTF-8"},
		"header BOM":         {compact("\ufeff"+header, payload), "syntax"},
		"header NUL":         {compact(header+"\x00", payload), "syntax"},
		"kid surrogate":      {compact(`{"alg":"ES256","kid":"\udead"}`, payload), "surrogate"},
		"header deep":        {compact(`{"alg":`+strings.Repeat("[", 1000), payload), "header: not acceptable JSON"},
		"payload not UTF-8":  {compact(header, "{\"a\":\"\xff\"}"), "UTF-8"},
		"payload array":      {compact(header, `[]`), "not a JSON object"},
		"payload string":     {compact(header, `"x"`), "not a JSON object"},
		"payload null":       {compact(header, `null`), "not a JSON object"},
		"payload no JSON":    {compact(header, `{`), "syntax"},
		"payload trailing":   {compact(header, `{} {}`), "syntax"},
		"payload BOM":        {compact(header, "\ufeff{}"), "syntax"},
		"payload duplicate":  {compact(header, `{"sub":"a","sub":"b"}`), "duplicate"},
		"nested duplicate":   {compact(header, `{"act":[{"sub":"a","sub":"b"}]}`), "duplicate"},
		"half surrogate":     {compact(header, `{"sub":"\ud800"}`), "surrogate"},
		"payload deep":       {compact(header, deep), "too deeply"},
	}
	for _, member := range []string{"crit", "jwk", "jku", "x5c", "x5u", "zip", "b64", "enc", "cty", "nonce", "iss"} {
		cases["header "+member] = struct{ raw, why string }{compact(`{"alg":"ES256","`+member+`":"a"}`, payload), "member that is not allowed"}
	}
	for name, value := range map[string]string{"crit": `["b64"]`, "jwk": `{"kty":"EC"}`, "b64": "false"} {
		cases["header typed "+name] = struct{ raw, why string }{compact(`{"alg":"ES256","`+name+`":`+value+`}`, payload), "not a string"}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			tok, err := front.Parse(c.raw)
			require.ErrorContains(t, err, c.why)
			require.Zero(t, tok)
		})
	}
}

// FuzzParse holds that whatever passes has one spelling: it is what its parts are written back to.
func FuzzParse(f *testing.F) {
	f.Add(compact(header, payload))
	f.Add(compact(`{"alg":"EdDSA","typ":"JWT"}`, `{"aud":["a","b"],"exp":1e9,"act":{"sub":"x"}}`))
	f.Add(compact(`{"alg":"ES256","crit":["b64"]}`, `{}`))
	f.Add("a.b.c.d.e")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Fuzz(func(t *testing.T, raw string) {
		tok, err := front.Parse(raw)
		if err != nil {
			require.Zero(t, tok)
			return
		}
		parts := strings.Split(raw, ".")
		require.Len(t, parts, 3)
		require.Equal(t, raw, string(tok.SigningInput)+"."+b64.EncodeToString(tok.Signature))
		require.Equal(t, parts[1], b64.EncodeToString(tok.Payload))
		require.Contains(t, front.Algorithms(), tok.Alg)
		_, err = canon.Object(tok.Payload)
		require.NoError(t, err)
	})
}
