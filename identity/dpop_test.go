package identity_test

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"time"

	gojose "github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/identity"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

// The proof of RFC 9449, section 5 (figure 5), and the thumbprint of its key (figure 9).
const (
	rfcProof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19" +
		".eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ" +
		".2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
	rfcKey    = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
	keyIssuer = "urn:ietf:params:oauth:jwk-thumbprint:sha-256"
	tokenURL  = boundary + "/token"
)

var proofClaims = m{"jti": "p1", "htm": "POST", "htu": tokenURL, "iat": at(0)}

// jwkOf is a public key as a proof carries it, with changes.
func jwkOf(t testing.TB, key any, change m) m {
	t.Helper()
	var out m
	require.NoError(t, json.Unmarshal(must(json.Marshal(gojose.JSONWebKey{Key: key})), &out))
	return with(out, change)
}

// proof is a proof for POST tokenURL, whatever it says itself.
func proof(t testing.TB, key crypto.Signer, header m, claims any) tokenboundary.Credential {
	t.Helper()
	h := with(m{"typ": "dpop+jwt", "alg": "ES256", "jwk": jwkOf(t, key.Public(), nil)}, header)
	return presented(token(t, key, h, claims))
}

func presented(value string) tokenboundary.Credential {
	return tokenboundary.Credential{Type: tokenboundary.TypeDPoP, Value: value, Method: "POST", URL: tokenURL}
}

// thumbprint is that of RFC 7638, written by hand.
func thumbprint(jwk m) string {
	text := ""
	for _, name := range []string{"crv", "e", "kty", "n", "x", "y"} {
		if v, ok := jwk[name]; ok {
			text += `,"` + name + `":"` + v.(string) + `"`
		}
	}
	sum := sha256.Sum256([]byte("{" + text[1:] + "}"))
	return b64.EncodeToString(sum[:])
}

func dpop(t testing.TB) (*identity.Source, func(time.Duration)) {
	clk := newClock()
	return source(t, identity.DPoP, identity.DPoPConfig{Clock: clk, Leeway: leeway}), func(d time.Duration) { clk.Set(start.Add(d)) }
}

func TestDPoPOfTheRFC(t *testing.T) {
	issued, clk := time.Unix(1562262616, 0).UTC(), newClock()
	clk.Set(issued)
	s := source(t, identity.DPoP, identity.DPoPConfig{Clock: clk})
	cred := tokenboundary.Credential{
		Type: tokenboundary.TypeDPoP, Value: rfcProof, Method: "POST", URL: "https://server.example.com/token",
	}
	require.Equal(t, tokenboundary.Principal{
		Party: lineage.Party{ID: rfcKey, Issuer: keyIssuer}, Key: rfcKey,
		Issued: issued, Expires: issued.Add(time.Minute), Once: "-BwC3ESc6acc2lTc",
	}, accepts(t, s, cred))
	clk.Add(59 * time.Second)
	accepts(t, s, cred)
	clk.Add(time.Second)
	refuses(t, s, cred, "too old")
}

func TestDPoPKeys(t *testing.T) {
	s, _ := dpop(t)
	for alg, key := range map[string]crypto.Signer{"ES256": esKey, "EdDSA": edKey, "Ed25519": edKey, "RS256": rsKey, "PS256": rsKey} {
		require.Contains(t, identity.DPoPAlgorithms(), alg)
		p := accepts(t, s, proof(t, key, m{"alg": alg}, proofClaims))
		require.Equal(t, thumbprint(jwkOf(t, key.Public(), nil)), p.Key, alg)
		require.Equal(t, p.Key, p.Party.ID)
	}
	named := jwkOf(t, esKey.Public(), m{"kid": "admin", "use": "sig", "alg": "ES256", "key_ops": []string{"verify"}, "ext": true})
	p := accepts(t, s, proof(t, esKey, m{"jwk": named}, proofClaims))
	require.Equal(t, thumbprint(jwkOf(t, esKey.Public(), nil)), p.Key, "what the key is counts, not what is said of it")
	require.NotEqual(t, p.Key, accepts(t, s, proof(t, rogue, nil, proofClaims)).Key)
}

func TestDPoPHeaderRefused(t *testing.T) {
	s, _ := dpop(t)
	accepts(t, s, proof(t, esKey, nil, proofClaims)) // positive control
	long := jwkOf(t, &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 4096, 1), E: 65537}, nil)
	for name, c := range map[string]struct {
		header m
		why    string
	}{
		"typ JWT":            {m{"typ": "JWT"}, "typ is not dpop+jwt"},
		"typ at+jwt":         {m{"typ": "at+jwt"}, "typ is not dpop+jwt"},
		"typ in full":        {m{"typ": "application/dpop+jwt"}, "typ is not dpop+jwt"},
		"no typ":             {m{"typ": nil}, "typ is not dpop+jwt"},
		"alg none":           {m{"alg": "none"}, "algorithm is not allowed"},
		"alg HS256":          {m{"alg": "HS256"}, "algorithm is not allowed"},
		"alg not in list":    {m{"alg": "RS512"}, "algorithm is not allowed for this key"},
		"alg of another key": {m{"alg": "EdDSA"}, "algorithm is not allowed for this key"},
		"no key":             {m{"jwk": nil}, "header has no key"},
		"another's key":      {m{"jwk": jwkOf(t, rogue.Public(), nil)}, "does not verify"},
		"key of other type":  {m{"jwk": jwkOf(t, rsKey.Public(), nil)}, "algorithm is not allowed for this key"},
		"private key":        {m{"jwk": jwkOf(t, esKey, nil)}, "contains a private key"},
		"shared secret":      {m{"jwk": m{"kty": "oct", "k": "c2VjcmV0"}}, "contains a private key"},
		"key is a string":    {m{"jwk": "key"}, "not a JSON object"},
		"keys are a list":    {m{"jwk": []m{jwkOf(t, esKey.Public(), nil)}}, "not a JSON object"},
		"certificate in key": {m{"jwk": jwkOf(t, esKey.Public(), m{"x5c": []string{"AAAA"}})}, "not allowed"},
		"key for encryption": {m{"jwk": jwkOf(t, esKey.Public(), m{"use": "enc"})}, "cannot verify"},
		"long RSA key":       {m{"jwk": long, "alg": "RS256"}, "longer than 4096"},
		"kid":                {m{"kid": "es"}, "member that is not allowed"},
		"certificate":        {m{"x5c": []string{"AAAA"}}, "member that is not allowed"},
		"key by URL":         {m{"jku": "https://evil.example/"}, "member that is not allowed"},
		"certificate by URL": {m{"x5u": "https://evil.example/"}, "member that is not allowed"},
		"critical":           {m{"crit": []string{"exp"}}, "member that is not allowed"},
	} {
		t.Run(name, func(t *testing.T) { refuses(t, s, proof(t, esKey, c.header, proofClaims), c.why) })
	}
	good := proof(t, esKey, nil, proofClaims).Value
	for value, why := range map[string]string{
		"":                                    "fewer than three",
		good + "," + good:                     "compact form",
		good[:strings.LastIndex(good, ".")+1]: "fewer than three",
		idToken(t, alice).Value:               "header has no key",
		strings.Repeat("A", 9000):             "too long",
	} {
		refuses(t, s, presented(value), why)
	}
}

func TestDPoPClaimsRefused(t *testing.T) {
	s, _ := dpop(t)
	accepts(t, s, proof(t, esKey, nil, with(proofClaims, m{"nonce": "of another server", "iss": "app"}))) // positive control
	for name, c := range map[string]struct {
		change m
		why    string
	}{
		"no jti":          {m{"jti": nil}, "jti is missing"},
		"jti empty":       {m{"jti": ""}, "jti is missing"},
		"jti number":      {m{"jti": 7}, "jti is not a string"},
		"jti long":        {m{"jti": strings.Repeat("j", 513)}, "jti is not usable"},
		"jti control":     {m{"jti": "a\x00"}, "jti is not usable"},
		"no htm":          {m{"htm": nil}, "htm or htu is missing"},
		"htm other":       {m{"htm": "GET"}, "another method"},
		"htm lower case":  {m{"htm": "post"}, "another method"},
		"htm list":        {m{"htm": []string{"POST"}}, "htm or htu is missing"},
		"no htu":          {m{"htu": nil}, "htm or htu is missing"},
		"htu other path":  {m{"htu": boundary + "/introspect"}, "another URL"},
		"htu other host":  {m{"htu": "https://boundary.example.evil/token"}, "another URL"},
		"htu only path":   {m{"htu": "/token"}, "another URL"},
		"htu with user":   {m{"htu": "https://me@boundary.example/token"}, "another URL"},
		"htu long":        {m{"htu": tokenURL + "?" + strings.Repeat("q", 2048)}, "another URL"},
		"for a token":     {m{"ath": "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"}, "use of an access token"},
		"for no token":    {m{"ath": nil, "htu": ""}, "htm or htu is missing"},
		"ath empty":       {m{"ath": ""}, "use of an access token"},
		"no iat":          {m{"iat": nil}, "iat is missing"},
		"iat string":      {m{"iat": "now"}, "iat is not a time"},
		"iat future":      {m{"iat": at(6 * time.Second)}, "from the future"},
		"iat old":         {m{"iat": at(-60 * time.Second)}, "too old"},
		"iat zero":        {m{"iat": 0}, "too old"},
		"iat negative":    {m{"iat": -1}, "iat is not a time"},
		"exp past":        {m{"exp": at(0)}, "expired"},
		"exp string":      {m{"exp": "never"}, "exp is not a time"},
		"nbf future":      {m{"nbf": at(6 * time.Second)}, "not valid yet"},
		"other case":      {m{"jti": nil, "JTI": "p1"}, "jti is missing"},
		"other case, htm": {m{"htm": nil, "HTM": "POST"}, "htm or htu is missing"},
	} {
		t.Run(name, func(t *testing.T) { refuses(t, s, proof(t, esKey, nil, with(proofClaims, c.change)), c.why) })
	}
	refuses(t, s, proof(t, esKey, nil, `{"jti":"p1","jti":"p2"}`), "duplicate")
}

// A proof is for a token request or for a resource, and never for both.
func TestDPoPAtAResource(t *testing.T) {
	s := source(t, identity.DPoP, identity.DPoPConfig{Clock: newClock(), Resource: true})
	atResource := with(proofClaims, m{"ath": "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"})
	accepts(t, s, proof(t, esKey, nil, atResource))
	refuses(t, s, proof(t, esKey, nil, proofClaims), "ath is missing")
	refuses(t, s, proof(t, esKey, nil, with(proofClaims, m{"ath": ""})), "ath is missing")
	refuses(t, s, proof(t, esKey, nil, with(proofClaims, m{"ath": 7})), "ath is not a string")
	refuses(t, s, proof(t, esKey, nil, with(atResource, m{"htm": "GET"})), "another method")
	tokens, _ := dpop(t)
	refuses(t, tokens, proof(t, esKey, nil, atResource), "use of an access token")
}

func TestDPoPIsForOneRequest(t *testing.T) {
	s, move := dpop(t)
	cred := proof(t, esKey, nil, proofClaims)
	for _, url := range []string{tokenURL + "?a=b", "HTTPS://Boundary.Example:443/%74oken", boundary + "/x/../token"} {
		cred.URL = url
		accepts(t, s, cred)
	}
	for why, change := range map[string]tokenboundary.Credential{
		"another method": {Method: "GET", URL: tokenURL}, "another URL": {Method: "POST", URL: boundary + "/Token"},
		"not known which request": {URL: tokenURL}, "known which request": {Method: "POST"}, "which request": {Method: "POST", URL: "/token"},
	} {
		refuses(t, s, tokenboundary.Credential{Type: cred.Type, Value: cred.Value, Method: change.Method, URL: change.URL}, why)
	}
	for d, why := range map[time.Duration]string{
		-leeway: "", -leeway - 1: "from the future", time.Minute - 1: "", time.Minute: "too old", 24 * time.Hour: "too old",
	} {
		move(d)
		if cred = proof(t, esKey, nil, proofClaims); why == "" {
			accepts(t, s, cred)
			continue
		}
		refuses(t, s, cred, why)
	}
}

func TestDPoPConfigIsChecked(t *testing.T) {
	for why, cfg := range map[string]identity.DPoPConfig{
		"MaxAge": {MaxAge: -1}, "MaxAge must be": {MaxAge: time.Second - 1}, "from 1s to 5m": {MaxAge: 5*time.Minute + 1},
		"Leeway": {Leeway: -1}, "Leeway must be": {Leeway: time.Hour},
	} {
		_, err := identity.DPoP(cfg)
		require.ErrorContains(t, err, "identity: DPoPConfig: ")
		require.ErrorContains(t, err, why)
	}
	s := source(t, identity.DPoP, identity.DPoPConfig{Clock: newClock(), MaxAge: 10 * time.Second})
	accepts(t, s, proof(t, esKey, nil, with(proofClaims, m{"iat": at(-9 * time.Second)})))
	refuses(t, s, proof(t, esKey, nil, with(proofClaims, m{"iat": at(-10 * time.Second)})), "too old")
	source(t, identity.DPoP, identity.DPoPConfig{})
}

// A proof is taken only as a proof, and nothing else is taken as one, in whatever order the sources stand.
func TestAProofIsNothingElse(t *testing.T) {
	s, _ := dpop(t)
	list := append(household(t), s)
	sources, err := identity.Sources(list...)
	require.NoError(t, err)
	p, err := ask(t, sources, proof(t, esKey, nil, proofClaims))
	require.NoError(t, err)
	require.Equal(t, keyIssuer, p.Party.Issuer)
	require.Empty(t, p.Party.Kind)
	require.False(t, p.Identity)
	require.Nil(t, p.Authority)

	for _, other := range list[:len(list)-1] {
		passes(t, other, proof(t, esKey, nil, proofClaims))
	}
	for _, typ := range []string{"", "DPoP", tokenboundary.TypeJWT, tokenboundary.TypeIDToken, tokenboundary.TypeAccessToken, tokenboundary.TypeClientAssertion} {
		cred := proof(t, esKey, nil, proofClaims)
		cred.Type = typ
		passes(t, s, cred)
	}
	// One that says everything that an ID token or an assertion of a known key says is still refused as one.
	for typ, claims := range map[string]m{tokenboundary.TypeIDToken: alice, tokenboundary.TypeJWT: alice, tokenboundary.TypeClientAssertion: assertion} {
		cred := proof(t, esKey, nil, with(claims, m{"jti": "p1", "htm": "POST", "htu": tokenURL, "iat": at(0)}))
		accepts(t, s, cred)
		cred.Type = typ
		_, err := ask(t, sources, cred)
		require.ErrorContains(t, err, "not a string", "a header with a key")
	}

	twice := oidcConfig(t)
	twice.Issuer = keyIssuer
	for _, rival := range []*identity.Source{s, source(t, identity.OIDC, twice)} {
		_, err = identity.Sources(s, rival)
		require.ErrorContains(t, err, `two sources for issuer "`+keyIssuer+`"`)
	}
}

// TestAProofIsNobody: even where somebody is registered under the thumbprint of a key, its proof is no client, no subject
// and no actor. In its own place it is good once.
func TestAProofIsNobody(t *testing.T) {
	s, _ := dpop(t)
	key := accepts(t, s, proof(t, esKey, nil, proofClaims)).Key
	bot := tokenboundary.Client{
		ID: "bot", Kind: tokenboundary.KindAgent, Grants: []tokenboundary.Grant{tokenboundary.Exchange}, Connections: []string{"prod"},
		Actors: []string{key}, Binding: tokenboundary.BindingOptional,
	}
	named := bot
	named.ID = key
	g, err := tokenboundary.New(tokenboundary.Config{
		Issuer: boundary, Store: memory.New(), Clock: newClock(),
		Identities: must(identity.Sources(s, source(t, identity.OIDC, oidcConfig(t)))),
		Clients:    tokenboundary.ClientMap{"bot": bot, key: named},
		Policy: tokenboundary.PolicyFunc(func(_ context.Context, f tokenboundary.Facts) (tokenboundary.Verdict, error) {
			return tokenboundary.Verdict{
				Effect: tokenboundary.Allow, Path: "/agents", Resources: f.Resources, Lifetime: time.Minute, Depth: 2,
				Access: []lineage.Access{{Resource: f.Resources[0], Scopes: f.Scopes}},
			}, nil
		}),
	})
	require.NoError(t, err)
	none := tokenboundary.Credential{}
	decide := func(subject, actor, held tokenboundary.Credential) tokenboundary.Decision {
		d, err := g.Decide(t.Context(), tokenboundary.Request{
			Grant:   tokenboundary.Exchange,
			Client:  tokenboundary.Credential{Verified: &tokenboundary.Principal{Party: lineage.Party{ID: "bot", Issuer: boundary}, Identity: true}},
			Subject: subject, Actor: actor, Proof: held, Resource: []string{"https://crm.example/"}, Scopes: []string{"read"},
			Enforce: tokenboundary.CapScopes | tokenboundary.CapResources | tokenboundary.CapLifetime,
		})
		require.NoError(t, err)
		return d
	}
	refused := func(code tokenboundary.Code, why string, d tokenboundary.Decision) {
		t.Helper()
		require.Equal(t, tokenboundary.Deny, d.Effect)
		require.Equal(t, code, d.Code)
		require.NotEmpty(t, d.Reasons)
		require.Contains(t, d.Reasons[len(d.Reasons)-1].Why, why)
	}
	fresh := func(jti string) tokenboundary.Credential {
		return proof(t, esKey, nil, with(proofClaims, m{"jti": jti}))
	}
	person, held := idToken(t, alice), fresh("p2")
	require.Equal(t, tokenboundary.Allow, decide(person, none, held).Effect, "positive control")
	refused(tokenboundary.CodeInvalidProof, "used before", decide(person, none, held))
	refused(tokenboundary.CodeInvalidProof, "another URL", decide(person, none, proof(t, esKey, nil, with(proofClaims, m{"htu": boundary}))))
	refused(tokenboundary.CodeInvalidProof, "not a proof", decide(person, none, person))
	refused(tokenboundary.CodeInvalidRequest, "is no token", decide(fresh("p3"), none, none))
	refused(tokenboundary.CodeInvalidRequest, "is no token", decide(person, fresh("p4"), none))
	for _, id := range []string{"", key, "bot"} {
		cred := fresh("p5")
		cred.ID = id
		_, err = g.Authenticate(t.Context(), cred)
		require.ErrorIs(t, err, tokenboundary.ErrUnauthenticated)
	}
}

// FuzzDPoP holds that what is accepted proves the key in its header, and is what it says.
func FuzzDPoP(f *testing.F) {
	s, _ := dpop(f)
	for alg, key := range map[string]crypto.Signer{"ES256": esKey, "EdDSA": edKey, "PS256": rsKey} {
		f.Add(proof(f, key, m{"alg": alg}, proofClaims).Value)
	}
	f.Add(rfcProof)
	f.Add(proof(f, esKey, m{"jwk": jwkOf(f, esKey, nil)}, proofClaims).Value)
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := s.Identify(t.Context(), presented(raw))
		if err != nil {
			require.Zero(t, p)
			return
		}
		seg := strings.Split(raw, ".")
		require.Len(t, seg, 3)
		var header, claims m
		require.NoError(t, json.Unmarshal(must(b64.DecodeString(seg[0])), &header))
		require.NoError(t, json.Unmarshal(must(b64.DecodeString(seg[1])), &claims))
		require.Equal(t, thumbprint(header["jwk"].(m)), p.Key)
		require.Equal(t, claims["jti"], p.Once)
		require.Equal(t, "POST", claims["htm"])
		require.True(t, p.Expires.After(start) && p.Expires.Sub(p.Issued) == time.Minute)
	})
}
