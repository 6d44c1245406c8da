package identity_test

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/identity"
	"github.com/tokenboundary/tokenboundary/lineage"
)

const secret = "canary-secret-of-crm"

func clientsConfig(t testing.TB) identity.ClientsConfig {
	hash := sha256.Sum256([]byte(secret + "2"))
	return identity.ClientsConfig{
		Issuer: boundary, Clock: newClock(), Leeway: leeway,
		Clients: []identity.ClientAuth{
			{ID: "crm", Secret: secret},
			{ID: "ops", SecretHash: hash[:]},
			{ID: "support-bot", JWKSFile: idpKeys(t)},
			{ID: "researcher", JWKSFile: file(t, jwks(t, published{rogue, "es", ""})), Algs: []string{"ES256"}},
			{ID: "off"},
		},
	}
}

func TestClientSecret(t *testing.T) {
	s := source(t, identity.Clients, clientsConfig(t))
	cred := func(id, value string) tokenboundary.Credential {
		return tokenboundary.Credential{Type: tokenboundary.TypeClientSecret, ID: id, Value: value}
	}
	require.Equal(t, tokenboundary.Principal{Party: lineage.Party{ID: "crm", Issuer: boundary}, Identity: true}, accepts(t, s, cred("crm", secret)))
	require.Equal(t, "ops", accepts(t, s, cred("ops", secret+"2")).Party.ID)
	for name, c := range map[string]tokenboundary.Credential{
		"wrong":            cred("crm", secret+"x"),
		"prefix":           cred("crm", secret[:len(secret)-1]),
		"empty":            cred("crm", ""),
		"another's":        cred("ops", secret),
		"unknown client":   cred("nobody", secret),
		"no client":        cred("", secret),
		"case of id":       cred("CRM", secret),
		"hash as secret":   cred("ops", string(clientsConfig(t).Clients[1].SecretHash)),
		"client with keys": cred("support-bot", secret),
		"without a method": cred("off", secret),
		"without, empty":   cred("off", ""),
	} {
		t.Run(name, func(t *testing.T) { refuses(t, s, c, "client or secret is wrong") })
	}
	for _, typ := range []string{"", tokenboundary.TypeJWT, tokenboundary.TypeIDToken, tokenboundary.TypeAccessToken, "none"} {
		passes(t, s, tokenboundary.Credential{Type: typ, ID: "crm", Value: secret})
	}
}

var assertion = m{"iss": "support-bot", "sub": "support-bot", "aud": boundary, "exp": at(time.Minute), "jti": "j1"}

func asserted(t testing.TB, id string, header m, claims any) tokenboundary.Credential {
	return tokenboundary.Credential{Type: tokenboundary.TypeClientAssertion, ID: id, Value: token(t, esKey, with(esHeader, header), claims)}
}

func TestClientAssertion(t *testing.T) {
	s := source(t, identity.Clients, clientsConfig(t))
	want := tokenboundary.Principal{
		Party: lineage.Party{ID: "support-bot", Issuer: boundary}, Expires: start.Add(time.Minute), Identity: true, Once: "j1",
	}
	require.Equal(t, want, accepts(t, s, asserted(t, "", nil, assertion)))
	require.Equal(t, want, accepts(t, s, asserted(t, "support-bot", nil, with(assertion, m{"aud": []string{boundary}}))))
	want.Issued = start.Add(-time.Second)
	require.Equal(t, want, accepts(t, s, asserted(t, "", nil, with(assertion, m{"iat": at(-time.Second), "nbf": at(-time.Second)}))))
	accepts(t, s, asserted(t, "", nil, with(assertion, m{"exp": at(5*time.Minute + 5*time.Second)})))
	for _, typ := range []any{nil, "jwt", "client-authentication+jwt", "application/client-authentication+jwt"} {
		accepts(t, s, asserted(t, "", m{"typ": typ}, assertion))
	}
}

func TestClientAssertionRefused(t *testing.T) {
	s := source(t, identity.Clients, clientsConfig(t))
	accepts(t, s, asserted(t, "", nil, assertion)) // positive control
	for name, c := range map[string]struct {
		change m
		why    string
	}{
		"token endpoint":    {m{"aud": boundary + "/token"}, "another audience"},
		"second aud":        {m{"aud": []string{boundary, "https://other.example"}}, "another audience as well"},
		"aud twice":         {m{"aud": []string{boundary, boundary}}, "another audience as well"},
		"no aud":            {m{"aud": nil}, "aud is missing"},
		"sub of another":    {m{"sub": "researcher"}, "sub is not the client"},
		"no sub":            {m{"sub": nil}, "sub is not the client"},
		"iss of another":    {m{"iss": "researcher", "sub": "researcher"}, "does not verify"},
		"unknown":           {m{"iss": "nobody", "sub": "nobody"}, "no client with keys"},
		"with a secret":     {m{"iss": "crm", "sub": "crm"}, "no client with keys"},
		"without a method":  {m{"iss": "off", "sub": "off"}, "no client with keys"},
		"no iss":            {m{"iss": nil}, "no client with keys"},
		"iss number":        {m{"iss": 1}, "iss is not a string"},
		"no exp":            {m{"exp": nil}, "exp is missing"},
		"expired":           {m{"exp": at(-5 * time.Second)}, "expired"},
		"far ahead":         {m{"exp": at(5*time.Minute + 6*time.Second)}, "too far ahead"},
		"no jti":            {m{"jti": nil}, "jti is missing"},
		"jti empty":         {m{"jti": ""}, "jti is missing"},
		"jti number":        {m{"jti": 1}, "jti is not a string"},
		"jti long":          {m{"jti": strings.Repeat("j", 513)}, "jti is not usable"},
		"iat future":        {m{"iat": at(6 * time.Second)}, "from the future"},
		"iat string":        {m{"iat": "now"}, "iat is not a time"},
		"nbf future":        {m{"nbf": at(6 * time.Second)}, "not valid yet"},
		"bound to a key":    {m{"cnf": m{}}, "bound to a key"},
		"sub of other case": {m{"sub": "Support-Bot"}, "sub is not the client"},
	} {
		t.Run(name, func(t *testing.T) { refuses(t, s, asserted(t, "", nil, with(assertion, c.change)), c.why) })
	}
	for _, typ := range []string{"at+jwt", "dpop+jwt", "secevent+jwt", "JOSE"} {
		refuses(t, s, asserted(t, "", m{"typ": typ}, assertion), "type of token")
	}
	refuses(t, s, asserted(t, "researcher", nil, assertion), "of another client")
	refuses(t, s, tokenboundary.Credential{Type: tokenboundary.TypeClientAssertion, Value: "x"}, "fewer than three")
	rs := with(assertion, m{"iss": "researcher", "sub": "researcher"})
	refuses(t, s, tokenboundary.Credential{Type: tokenboundary.TypeClientAssertion, Value: token(t, rsKey, m{"alg": "RS256"}, rs)}, "algorithm is not accepted")
}

func TestClientsRefusesConfig(t *testing.T) {
	for why, a := range map[string]identity.ClientAuth{
		"client id is missing": {Secret: secret},
		"not unique":           {ID: "crm", Secret: secret},
		"shorter than 16":      {ID: "new", Secret: "canary"},
		"not a SHA-256":        {ID: "new", SecretHash: []byte("canary")},
		"more than one way":    {ID: "new", Secret: secret, JWKSFile: "x"},
		"more than one":        {ID: "new", Secret: secret, SecretHash: make([]byte, 32)},
		"exclude each other":   {ID: "new", JWKSFile: "x", JWKSURI: "https://x.example/"},
		"no such file":         {ID: "new", JWKSFile: "absent"},
		"not supported":        {ID: "new", JWKSFile: "absent", Algs: []string{"none"}},
	} {
		cfg := clientsConfig(t)
		cfg.Clients = append(cfg.Clients, a)
		_, err := identity.Clients(cfg)
		require.ErrorContains(t, err, why)
		require.NotContains(t, err.Error(), "canary")
	}
	_, err := identity.Clients(identity.ClientsConfig{Clients: clientsConfig(t).Clients})
	require.ErrorContains(t, err, "Issuer is required")
	_, err = identity.Clients(identity.ClientsConfig{Issuer: boundary, Leeway: -1})
	require.ErrorContains(t, err, "Leeway")
}

func TestClientAuthHidesItsSecret(t *testing.T) {
	cfg := clientsConfig(t)
	var out strings.Builder
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "client", cfg.Clients[0])
	fmt.Fprintf(&out, "%v %+v %#v %s", cfg.Clients[0], cfg.Clients, cfg.Clients[0], cfg.Clients)
	require.Contains(t, out.String(), "client(crm)")
	require.NotContains(t, out.String(), "canary")
}
