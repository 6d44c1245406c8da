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

// bundle is a trust domain's bundle as SPIRE writes it, with an X.509 authority beside the JWT authorities.
func bundle(t testing.TB) string {
	raw := string(jwks(t,
		published{esKey, "es", "jwt-svid"}, published{rsKey, "rs", "jwt-svid"}, published{edKey, "ed", "jwt-svid"},
		published{rogue, "", "x509-svid"}, published{ecKey(), "sig", "sig"},
	))
	return file(t, []byte(strings.TrimSuffix(raw, "}")+`,"spiffe_sequence":12,"spiffe_refresh_hint":300}`))
}

func spiffeConfig(t testing.TB) identity.SPIFFEConfig {
	return identity.SPIFFEConfig{
		TrustDomain: "acme.example", BundleFile: bundle(t), Audience: boundary, Clock: newClock(), Leeway: leeway,
	}
}

var (
	svidHeader = m{"alg": "ES256", "kid": "es", "typ": "JWT"}
	svidClaims = m{"sub": agentID, "aud": []string{boundary}, "exp": at(time.Minute), "iat": at(-time.Minute)}
)

func svid(t testing.TB, key crypto.Signer, header m, claims any) tokenboundary.Credential {
	return tokenboundary.Credential{Type: tokenboundary.TypeJWT, Value: token(t, key, header, claims)}
}

func TestSPIFFEPrincipal(t *testing.T) {
	s := source(t, identity.SPIFFE, spiffeConfig(t))
	want := tokenboundary.Principal{
		Party:   lineage.Party{ID: agentID, Issuer: "spiffe://acme.example", Kind: "workload"},
		Session: lineage.Session{Kind: "workload"},
		Issued:  start.Add(-time.Minute), Expires: start.Add(time.Minute), Identity: true,
	}
	require.Equal(t, want, accepts(t, s, svid(t, esKey, svidHeader, svidClaims)))
	want.Issued = time.Time{}
	require.Equal(t, want, accepts(t, s, svid(t, esKey, svidHeader, with(svidClaims, m{"iat": nil}))), "older than everything")

	cfg := spiffeConfig(t)
	cfg.Session = "agent"
	p := accepts(t, source(t, identity.SPIFFE, cfg), svid(t, esKey, svidHeader, svidClaims))
	require.Equal(t, []string{"agent", "agent"}, []string{p.Party.Kind, p.Session.Kind})
}

func TestSPIFFERules(t *testing.T) {
	s := source(t, identity.SPIFFE, spiffeConfig(t))
	h := func(change m) m { return with(svidHeader, change) }
	for _, typ := range []any{nil, "JWT", "JOSE", "jose"} {
		accepts(t, s, svid(t, esKey, h(m{"typ": typ}), svidClaims))
	}
	accepts(t, s, svid(t, rsKey, m{"alg": "RS256", "kid": "rs"}, svidClaims))
	accepts(t, s, svid(t, rsKey, m{"alg": "PS256", "kid": "rs"}, svidClaims))
	c := func(change m) m { return with(svidClaims, change) }
	for name, x := range map[string]struct {
		cred tokenboundary.Credential
		why  string
	}{
		"EdDSA":           {svid(t, edKey, m{"alg": "EdDSA", "kid": "ed"}, svidClaims), "algorithm is not accepted"},
		"Ed25519":         {svid(t, edKey, m{"alg": "Ed25519", "kid": "ed"}, svidClaims), "algorithm is not accepted"},
		"access token":    {svid(t, esKey, h(m{"typ": "at+jwt"}), svidClaims), "type of token"},
		"WIT-SVID":        {svid(t, esKey, h(m{"typ": "wit+jwt"}), svidClaims), "type of token"},
		"no kid":          {svid(t, esKey, h(m{"kid": nil}), svidClaims), "names no key"},
		"unknown kid":     {svid(t, esKey, h(m{"kid": "x"}), svidClaims), "no such key"},
		"X.509 authority": {svid(t, rogue, h(m{"kid": "es"}), svidClaims), "does not verify"},
		"key of no SVID":  {svid(t, esKey, h(m{"kid": "sig"}), svidClaims), "no such key"},
		"no aud":          {svid(t, esKey, svidHeader, c(m{"aud": nil})), "aud is missing"},
		"other aud":       {svid(t, esKey, svidHeader, c(m{"aud": "https://other.example"})), "another audience"},
		"no exp":          {svid(t, esKey, svidHeader, c(m{"exp": nil})), "exp is missing"},
		"expired":         {svid(t, esKey, svidHeader, c(m{"exp": at(-5 * time.Second)})), "expired"},
		"iat future":      {svid(t, esKey, svidHeader, c(m{"iat": at(6 * time.Second)})), "from the future"},
		"iat string":      {svid(t, esKey, svidHeader, c(m{"iat": "0"})), "iat is not a time"},
		"nbf future":      {svid(t, esKey, svidHeader, c(m{"nbf": at(6 * time.Second)})), "not valid yet"},
		"bound to a key":  {svid(t, esKey, svidHeader, c(m{"cnf": m{}})), "bound to a key"},
		"no path":         {svid(t, esKey, svidHeader, c(m{"sub": "spiffe://acme.example/"})), "not a SPIFFE ID"},
		"dot segment":     {svid(t, esKey, svidHeader, c(m{"sub": "spiffe://acme.example/a/../b"})), "not a SPIFFE ID"},
		"escape":          {svid(t, esKey, svidHeader, c(m{"sub": "spiffe://acme.example/%61"})), "not a SPIFFE ID"},
		"query":           {svid(t, esKey, svidHeader, c(m{"sub": agentID + "?x"})), "not a SPIFFE ID"},
		"trailing slash":  {svid(t, esKey, svidHeader, c(m{"sub": agentID + "/"})), "not a SPIFFE ID"},
		"long":            {svid(t, esKey, svidHeader, c(m{"sub": agentID + strings.Repeat("x", 512)})), "sub is not usable"},
		"malformed act":   {svid(t, esKey, svidHeader, c(m{"act": "x"})), "act is not an object"},
	} {
		t.Run(name, func(t *testing.T) { refuses(t, s, x.cred, x.why) })
	}
	passes(t, s, tokenboundary.Credential{Type: tokenboundary.TypeIDToken, Value: token(t, esKey, svidHeader, svidClaims)})
	for _, sub := range []any{nil, 1, "alice", "spiffe://acme.example", "spiffe://other.example/a", "spiffe://acme.example.evil/a",
		"spiffe://ACME.example/a", "SPIFFE://acme.example/a", "spiffe://acme.example:443/a", "spiffe://u@acme.example/a"} {
		passes(t, s, svid(t, esKey, svidHeader, c(m{"sub": sub})))
	}
}

func TestSPIFFERefusesConfig(t *testing.T) {
	for why, change := range map[string]func(*identity.SPIFFEConfig){
		"TrustDomain is required": func(c *identity.SPIFFEConfig) { c.TrustDomain = "" },
		"TrustDomain":             func(c *identity.SPIFFEConfig) { c.TrustDomain = "spiffe://acme.example" },
		"name of a trust domain":  func(c *identity.SPIFFEConfig) { c.TrustDomain = "ACME.example" },
		"Audience is required":    func(c *identity.SPIFFEConfig) { c.Audience = "" },
		"BundleFile is required":  func(c *identity.SPIFFEConfig) { c.BundleFile = "" },
		"Session must be":         func(c *identity.SPIFFEConfig) { c.Session = "robot" },
		"Leeway must be":          func(c *identity.SPIFFEConfig) { c.Leeway = time.Hour },
		"private key":             func(c *identity.SPIFFEConfig) { c.BundleFile = file(t, []byte(`{"keys":[{"kty":"EC","d":"x"}]}`)) },
	} {
		cfg := spiffeConfig(t)
		change(&cfg)
		_, err := identity.SPIFFE(cfg)
		require.ErrorContains(t, err, why)
	}
}

func TestParseID(t *testing.T) {
	for _, ok := range []string{
		"spiffe://acme.example", agentID, "spiffe://a/b", "spiffe://a_b-c.9/A.b_c-9", "spiffe://a/...", "spiffe://a/.b",
		"spiffe://" + strings.Repeat("a", 255) + "/b", "spiffe://a/" + strings.Repeat("b", 2048-11),
	} {
		id, err := identity.ParseID(ok)
		require.NoError(t, err, ok)
		require.Equal(t, ok, id.String())
	}
	for _, bad := range []string{
		"", "spiffe://", "spiffe:///a", "spiffe:/a/b", "SPIFFE://a/b", "https://a/b", " spiffe://a/b", "spiffe://a/b ", "spiffe://A/b",
		"spiffe://a/", "spiffe://a//b", "spiffe://a/b/", "spiffe://a/./b", "spiffe://a/../b", "spiffe://a/b/..", "spiffe://a/%62",
		"spiffe://a:1/b", "spiffe://u@a/b", "spiffe://a/b?c", "spiffe://a?c", "spiffe://a/b#c", "spiffe://a#c", "spiffe://a/b:c",
		"spiffe://a/é", "spiffe://é/a", "spiffe://a/b\n", "spiffe://a/\xff", "spiffe://a\\b", "spiffe://a/*", "spiffe://[::1]/a",
		"spiffe://" + strings.Repeat("a", 256) + "/b", "spiffe://a/" + strings.Repeat("b", 2048-10),
	} {
		id, err := identity.ParseID(bad)
		require.ErrorContains(t, err, "not a SPIFFE ID", bad)
		require.Zero(t, id)
	}
}

// FuzzParseID holds that an id has one spelling, in an alphabet in which nothing can be hidden.
func FuzzParseID(f *testing.F) {
	f.Add(agentID)
	f.Add("spiffe://acme.example")
	f.Add("spiffe://a/../b")
	f.Add("spiffe://a:1/%62")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := identity.ParseID(s)
		if err != nil {
			require.Zero(t, id)
			return
		}
		require.Equal(t, s, id.String())
		require.NotContains(t, id.Path+"/", "//")
		require.NotContains(t, id.Path+"/", "/../")
		require.Empty(t, strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789.-_:/"))
		require.LessOrEqual(t, strings.Count(s, ":"), 1)
	})
}
