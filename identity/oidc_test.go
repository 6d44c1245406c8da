package identity_test

import (
	"crypto"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/identity"
	"github.com/tokenboundary/tokenboundary/lineage"
)

func oidcConfig(t testing.TB) identity.OIDCConfig {
	return identity.OIDCConfig{
		Issuer: idp, Audience: boundary, Session: "human", JWKSFile: idpKeys(t), Clock: newClock(), Leeway: leeway,
	}
}

var (
	esHeader = m{"alg": "ES256", "kid": "es", "typ": "JWT"}
	alice    = m{
		"iss": idp, "sub": "alice", "aud": boundary, "iat": at(-time.Minute), "exp": at(time.Minute), "sid": "s1",
		"auth_time": at(-time.Hour), "acr": "aal2", "amr": []string{"pwd", "otp"}, "nonce": "n", "email_verified": true,
	}
)

func idToken(t testing.TB, claims any) tokenboundary.Credential {
	return tokenboundary.Credential{Type: tokenboundary.TypeIDToken, Value: token(t, esKey, esHeader, claims)}
}

func TestOIDCPrincipal(t *testing.T) {
	s := source(t, identity.OIDC, oidcConfig(t))
	want := tokenboundary.Principal{
		Party: lineage.Party{ID: "alice", Issuer: idp, Kind: "human"},
		Session: lineage.Session{
			Kind: "human", ID: "s1", AuthTime: start.Add(-time.Hour), ACR: "aal2", AMR: []string{"pwd", "otp"},
		},
		Issued: start.Add(-time.Hour), Expires: start.Add(time.Minute), Identity: true,
	}
	require.Equal(t, want, accepts(t, s, idToken(t, alice)))

	bare := with(alice, m{"sid": nil, "auth_time": nil, "acr": nil, "amr": nil})
	want.Session, want.Issued = lineage.Session{Kind: "human"}, start.Add(-time.Minute)
	require.Equal(t, want, accepts(t, s, idToken(t, bare)))
	want.Issued = start.Add(-time.Minute)
	p := accepts(t, s, idToken(t, with(bare, m{"auth_time": at(-time.Second)})))
	require.Equal(t, start.Add(-time.Minute), p.Issued, "the oldest evidence counts")
}

func TestOIDCAccepts(t *testing.T) {
	s := source(t, identity.OIDC, oidcConfig(t))
	for name, change := range map[string]m{
		"aud list":          {"aud": []string{"https://other.example", boundary}},
		"expired in leeway": {"exp": at(-4 * time.Second)},
		"iat in leeway":     {"iat": at(4 * time.Second)},
		"nbf past":          {"nbf": at(-time.Second)},
		"nbf in leeway":     {"nbf": at(4 * time.Second)},
		"fractions":         {"iat": float64(at(-time.Minute)) + 0.5},
		"empty acr":         {"acr": ""},
	} {
		t.Run(name, func(t *testing.T) { accepts(t, s, idToken(t, with(alice, change))) })
	}
	for name, c := range map[string]struct {
		key    crypto.Signer
		header m
		typ    string
	}{
		"RS256":           {rsKey, m{"alg": "RS256", "kid": "rs"}, tokenboundary.TypeIDToken},
		"PS256":           {rsKey, m{"alg": "PS256", "kid": "rs"}, tokenboundary.TypeIDToken},
		"EdDSA":           {edKey, m{"alg": "EdDSA", "kid": "ed"}, tokenboundary.TypeIDToken},
		"Ed25519":         {edKey, m{"alg": "Ed25519", "kid": "ed"}, tokenboundary.TypeIDToken},
		"no kid":          {esKey, m{"alg": "ES256"}, tokenboundary.TypeIDToken},
		"jwt":             {esKey, m{"alg": "ES256", "kid": "es"}, tokenboundary.TypeJWT},
		"jwt typ":         {esKey, m{"alg": "ES256", "kid": "es", "typ": "application/jwt"}, tokenboundary.TypeJWT},
		"access token":    {esKey, m{"alg": "ES256", "kid": "es", "typ": "at+JWT"}, tokenboundary.TypeJWT},
		"long media type": {esKey, m{"alg": "ES256", "kid": "es", "typ": "application/at+jwt"}, tokenboundary.TypeJWT},
	} {
		t.Run(name, func(t *testing.T) {
			accepts(t, s, tokenboundary.Credential{Type: c.typ, Value: token(t, c.key, c.header, alice)})
		})
	}
}

func TestOIDCLeavesToOthers(t *testing.T) {
	s := source(t, identity.OIDC, oidcConfig(t))
	good := idToken(t, alice)
	accepts(t, s, good)
	for _, typ := range []string{"", tokenboundary.TypeAccessToken, tokenboundary.TypeClientAssertion, tokenboundary.TypeClientSecret, "other"} {
		passes(t, s, tokenboundary.Credential{Type: typ, Value: good.Value})
	}
	for _, iss := range []any{nil, "https://idp.example/", "https://IDP.example", boundary, 1, []string{idp}} {
		passes(t, s, idToken(t, with(alice, m{"iss": iss})))
	}
}

func TestOIDCRefusesClaims(t *testing.T) {
	s := source(t, identity.OIDC, oidcConfig(t))
	accepts(t, s, idToken(t, alice)) // positive control
	long := strings.Repeat("x", 513)
	for name, c := range map[string]struct {
		change m
		why    string
	}{
		"no aud":            {m{"aud": nil}, "aud is missing"},
		"aud null":          {m{"aud": (*int)(nil)}, "aud is not a list"},
		"aud empty":         {m{"aud": ""}, "another audience"},
		"aud empty list":    {m{"aud": []string{}}, "aud is missing"},
		"aud other":         {m{"aud": "https://other.example"}, "another audience"},
		"aud longer":        {m{"aud": boundary + "/"}, "another audience"},
		"aud part of a URL": {m{"aud": []string{"https://boundary.example.evil"}}, "another audience"},
		"aud number":        {m{"aud": 1}, "aud is not a list"},
		"aud mixed":         {m{"aud": []any{boundary, 1}}, "aud is not a list"},
		"aud object":        {m{"aud": m{boundary: true}}, "aud is not a list"},
		"no exp":            {m{"exp": nil}, "exp is missing"},
		"expired":           {m{"exp": at(-5 * time.Second)}, "expired"},
		"exp zero":          {m{"exp": 0}, "expired"},
		"exp string":        {m{"exp": "9999999999"}, "exp is not a time"},
		"exp null":          {m{"exp": (*int)(nil)}, "exp is not a time"},
		"exp bool":          {m{"exp": true}, "exp is not a time"},
		"exp huge":          {m{"exp": 1e12}, "exp is not a time"},
		"exp milliseconds":  {m{"exp": at(time.Minute) * 1000}, "exp is not a time"},
		"exp list":          {m{"exp": []int64{at(time.Minute)}}, "exp is not a time"},
		"no iat":            {m{"iat": nil}, "iat is missing"},
		"iat future":        {m{"iat": at(6 * time.Second)}, "from the future"},
		"iat negative":      {m{"iat": -1}, "iat is not a time"},
		"iat string":        {m{"iat": "0"}, "iat is not a time"},
		"iat after exp":     {m{"iat": at(time.Second), "exp": at(0)}, "ends before"},
		"nbf future":        {m{"nbf": at(6 * time.Second)}, "not valid yet"},
		"nbf string":        {m{"nbf": "0"}, "nbf is not a time"},
		"no sub":            {m{"sub": nil}, "sub is missing"},
		"sub empty":         {m{"sub": ""}, "sub is missing"},
		"sub number":        {m{"sub": 1}, "sub is not a string"},
		"sub control":       {m{"sub": "alice\n"}, "sub is not usable"},
		"sub NUL":           {m{"sub": "alice\x00"}, "sub is not usable"},
		"sub long":          {m{"sub": long}, "sub is not usable"},
		"sub SPIFFE":        {m{"sub": agentID}, "SPIFFE"},
		"jti number":        {m{"jti": 1}, "jti is not a string"},
		"sid number":        {m{"sid": 1}, "sid is not a string"},
		"sid control":       {m{"sid": "\u0007"}, "sid is not usable"},
		"acr list":          {m{"acr": []string{"aal2"}}, "acr is not a string"},
		"amr string":        {m{"amr": "pwd"}, "amr is not a list"},
		"amr number":        {m{"amr": []int{1}}, "amr is not a list"},
		"amr empty":         {m{"amr": []string{""}}, "amr is not a list"},
		"amr long":          {m{"amr": strings.Split(strings.Repeat("a", 17), "")}, "amr is too long"},
		"auth_time string":  {m{"auth_time": "0"}, "auth_time is not a time"},
		"auth_time future":  {m{"auth_time": at(6 * time.Second)}, "auth_time is in the future"},
		"bound to a key":    {m{"cnf": m{"jkt": "x"}}, "bound to a key"},
		"security event":    {m{"events": m{}}, "security event"},
	} {
		t.Run(name, func(t *testing.T) { refuses(t, s, idToken(t, with(alice, c.change)), c.why) })
	}
	text := func(s string) string {
		return strings.Replace(string(mustJSON(alice)), `"sub":"alice"`, s, 1)
	}
	accepts(t, s, idToken(t, text(`"sub":"alice"`)))
	refuses(t, s, idToken(t, text(`"sub":"alice","sub":"bob"`)), "duplicate")
	refuses(t, s, idToken(t, text(`"SUB":"alice"`)), "sub is missing")
	refuses(t, s, idToken(t, text(`"sub":"\ud800"`)), "surrogate")
	refuses(t, s, idToken(t, strings.Replace(text(`"sub":"a"`), `"exp":`, `"exp":1e30,"x":`, 1)), "exp is not a time")
	refuses(t, s, idToken(t, text(`"sub":"alice","x":1e400`)), "number too large")
}

func TestOIDCRefusesTokens(t *testing.T) {
	s := source(t, identity.OIDC, oidcConfig(t))
	good := idToken(t, alice)
	accepts(t, s, good) // positive control
	h := func(change m) m { return with(esHeader, change) }
	parts := strings.Split(good.Value, ".")
	other := strings.Split(idToken(t, with(alice, m{"sub": "bob"})).Value, ".")
	for name, c := range map[string]struct{ value, why string }{
		"another's key":        {token(t, rogue, esHeader, alice), "does not verify"},
		"another's key, bare":  {token(t, rogue, h(m{"kid": nil}), alice), "does not verify"},
		"unknown kid":          {token(t, esKey, h(m{"kid": "es2"}), alice), "no such key"},
		"kid of another type":  {token(t, esKey, h(m{"kid": "rs"}), alice), "no such key"},
		"kid like a path":      {token(t, esKey, h(m{"kid": "../../es"}), alice), "no such key"},
		"RSA alg, EC key":      {token(t, rsKey, m{"alg": "RS256", "kid": "es"}, alice), "no such key"},
		"alg off list":         {token(t, rsKey, m{"alg": "RS512", "kid": "rs"}, alice), "algorithm is not accepted"},
		"alg none":             {token(t, esKey, h(m{"alg": "none"}), alice), "algorithm is not allowed"},
		"alg HS256":            {token(t, esKey, h(m{"alg": "HS256"}), alice), "algorithm is not allowed"},
		"embedded key":         {token(t, rogue, h(m{"jwk": m{"kty": "EC"}}), alice), "not a string"},
		"key URL":              {token(t, rogue, h(m{"jku": "http://127.0.0.1/"}), alice), "not allowed"},
		"payload exchanged":    {parts[0] + "." + other[1] + "." + parts[2], "does not verify"},
		"signature exchanged":  {parts[0] + "." + parts[1] + "." + other[2], "does not verify"},
		"no signature":         {parts[0] + "." + parts[1] + ".", "fewer than three"},
		"padded":               {good.Value + "=", "compact form"},
		"not a token":          {"canary", "fewer than three"},
		"access token":         {token(t, esKey, h(m{"typ": "at+jwt"}), alice), "type of token"},
		"DPoP proof":           {token(t, esKey, h(m{"typ": "dpop+jwt"}), alice), "type of token"},
		"client assertion":     {token(t, esKey, h(m{"typ": "client-authentication+jwt"}), alice), "type of token"},
		"security event":       {token(t, esKey, h(m{"typ": "secevent+jwt"}), alice), "type of token"},
		"logout token":         {token(t, esKey, h(m{"typ": "logout+jwt"}), alice), "type of token"},
		"transaction token":    {token(t, esKey, h(m{"typ": "txntoken+jwt"}), alice), "type of token"},
		"SVID":                 {token(t, esKey, h(m{"typ": "JOSE"}), alice), "type of token"},
		"type twice prefixed":  {token(t, esKey, h(m{"typ": "application/application/jwt"}), alice), "type of token"},
		"type with parameters": {token(t, esKey, h(m{"typ": "jwt;x=y"}), alice), "type of token"},
	} {
		t.Run(name, func(t *testing.T) {
			refuses(t, s, tokenboundary.Credential{Type: tokenboundary.TypeIDToken, Value: c.value}, c.why)
		})
	}
	for _, typ := range []string{"client-authentication+jwt", "dpop+jwt", "secevent+jwt", "txntoken+jwt", "JOSE"} {
		refuses(t, s, tokenboundary.Credential{Type: tokenboundary.TypeJWT, Value: token(t, esKey, h(m{"typ": typ}), alice)}, "type of token")
	}
}

func TestOIDCMaxLifetime(t *testing.T) {
	cfg := oidcConfig(t)
	cfg.MaxLifetime = 2 * time.Minute
	s := source(t, identity.OIDC, cfg)
	accepts(t, s, idToken(t, alice))
	refuses(t, s, idToken(t, with(alice, m{"exp": at(time.Minute + time.Second)})), "lives too long")
}

func TestOIDCAlgorithmsAreConfigured(t *testing.T) {
	cfg := oidcConfig(t)
	cfg.Algs = []string{"RS256"}
	s := source(t, identity.OIDC, cfg)
	accepts(t, s, tokenboundary.Credential{Type: tokenboundary.TypeIDToken, Value: token(t, rsKey, m{"alg": "RS256", "kid": "rs"}, alice)})
	refuses(t, s, idToken(t, alice), "algorithm is not accepted")
	refuses(t, s, tokenboundary.Credential{Type: tokenboundary.TypeIDToken, Value: token(t, rsKey, m{"alg": "PS256", "kid": "rs"}, alice)}, "algorithm is not accepted")
}

func TestOIDCRefusesConfig(t *testing.T) {
	source(t, identity.OIDC, oidcConfig(t)) // positive control
	for why, change := range map[string]func(*identity.OIDCConfig){
		"Issuer is required":              func(c *identity.OIDCConfig) { c.Issuer = "" },
		"Audience is required":            func(c *identity.OIDCConfig) { c.Audience = "" },
		"Session must be":                 func(c *identity.OIDCConfig) { c.Session = "" },
		"JWKSFile or JWKSURI is required": func(c *identity.OIDCConfig) { c.JWKSFile = "" },
		"exclude each other":              func(c *identity.OIDCConfig) { c.JWKSURI = "https://idp.example/jwks" },
		"https URL":                       func(c *identity.OIDCConfig) { c.JWKSFile, c.JWKSURI = "", "http://idp.example/jwks" },
		"no such file":                    func(c *identity.OIDCConfig) { c.JWKSFile += ".absent" },
		"not supported":                   func(c *identity.OIDCConfig) { c.Algs = []string{"HS256"} },
		"Leeway must be":                  func(c *identity.OIDCConfig) { c.Leeway = 6 * time.Minute },
		"Leeway must be from":             func(c *identity.OIDCConfig) { c.Leeway = -1 },
		"MaxLifetime":                     func(c *identity.OIDCConfig) { c.MaxLifetime = -1 },
		"look like a SPIFFE ID":           func(c *identity.OIDCConfig) { c.SubjectPrefix = "spiffe://acme.example/users/" },
		"SubjectPrefix is not usable":     func(c *identity.OIDCConfig) { c.SubjectPrefix = "a\n" },
	} {
		cfg := oidcConfig(t)
		change(&cfg)
		_, err := identity.OIDC(cfg)
		require.ErrorContains(t, err, why)
	}
	_, err := identity.OIDC(identity.OIDCConfig{})
	require.Error(t, err)
}

// TestATokenOfAnotherIssuerIsLeftToTheNextSource, whatever its type: that is for whoever knows the issuer.
func TestATokenOfAnotherIssuerIsLeftToTheNextSource(t *testing.T) {
	s := source(t, identity.OIDC, oidcConfig(t))
	foreign := with(alice, m{"iss": "https://other.example"})
	for _, typ := range []string{"JWT", "oauth-id-jag+jwt", "txntoken+jwt", "secevent+jwt"} {
		cred := tokenboundary.Credential{
			Type:  tokenboundary.TypeJWT,
			Value: token(t, rogue, m{"alg": "ES256", "kid": "x", "typ": typ}, foreign),
		}
		_, err := s.Identify(t.Context(), cred)
		require.ErrorIs(t, err, tokenboundary.ErrNotMine, typ)
	}
}
