package hostile

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/identity"
	"github.com/tokenboundary/tokenboundary/internal/jose"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

// door is a place where a token comes in, with the token that it is for.
type door struct {
	name string
	// alg, header and payload are those of a token that is accepted.
	alg, header, payload string
	// open returns all that is believed of a token, in one text.
	open func(raw string) (identity string, err error)
	// ours is set where the boundary takes back its own tokens, of which it knows the spelling.
	ours bool
}

func (d door) token() string { return forge(d.alg, d.header, d.payload) }

// accepted returns a token that the door accepts, and what it believes of it.
func (d door) accepted(t *testing.T) (raw, id string) {
	t.Helper()
	raw = d.token()
	id, err := d.open(raw)
	require.NoError(t, err, "positive control")
	require.NotEmpty(t, id)
	return raw, id
}

// doors returns every door, once for each algorithm that matters there.
func doors(t *testing.T) []door {
	list := []door{dpop(t, "ES256"), dpop(t, "EdDSA"), assertion(t), svid(t), kubernetes(t), offline(t)}
	for _, alg := range []string{"ES256", "EdDSA", "RS256", "PS256"} {
		list = append(list, minted(t, alg))
	}
	for _, alg := range []string{"ES256", "ES384", "EdDSA", "RS256", "PS256"} {
		list = append(list, idToken(t, alg))
	}
	return list
}

// openMint returns a Mint whose private key is one of these tests.
func openMint(t *testing.T, alg string) (m *mint.Mint, kid string) {
	t.Helper()
	m, err := mint.Open(t.Context(), mint.Config{
		Issuer: boundary, Store: memory.New(), Alg: alg, Signer: keyFor(alg), Clock: newClock(),
	})
	require.NoError(t, err)
	kid, err = m.Key(t.Context())
	require.NoError(t, err)
	return m, kid
}

func minted(t *testing.T, alg string) door {
	m, kid := openMint(t, alg)
	d := ourToken(t, m, alg, kid)
	d.open = claimsOf(t, m)
	return d
}

// offline is the verifier of a resource server, which has only the key set.
func offline(t *testing.T) door {
	m, kid := openMint(t, "ES256")
	set, err := m.JWKS(t.Context())
	require.NoError(t, err)
	v, err := mint.NewVerifier(mint.VerifierConfig{Issuer: boundary, Audience: resource, JWKS: set, Clock: newClock()})
	require.NoError(t, err)
	d := ourToken(t, m, "ES256", kid)
	d.name, d.open = "verifier of a resource", claimsOf(t, v)
	return d
}

func claimsOf(t *testing.T, v interface {
	Verify(context.Context, string) (tokenboundary.Claims, error)
}) func(string) (string, error) {
	return func(raw string) (string, error) {
		c, err := v.Verify(t.Context(), raw)
		if err != nil {
			return "", refused(c, err)
		}
		return string(must(json.Marshal(c))) + c.Key, nil
	}
}

// refused returns err, if nothing of what was refused is returned beside it.
func refused(what any, err error) error {
	if !reflect.ValueOf(what).IsZero() {
		panic("it is believed and refused")
	}
	return err
}

// ourToken is what the mint itself makes, taken apart.
func ourToken(t *testing.T, m *mint.Mint, alg, kid string) door {
	t.Helper()
	id := func(s string) string { sum := sha256.Sum256([]byte(s)); return b64.EncodeToString(sum[:]) }
	raw, err := m.Mint(t.Context(), tokenboundary.Claims{
		Issuer: boundary, Subject: "alice", Audience: tokenboundary.Audience{resource}, ExpiresAt: at(time.Minute),
		IssuedAt: at(0), ID: id("token"), ClientID: "support-bot", Scope: "cases:read", Grant: id("grant"),
		Act: &tokenboundary.Act{Subject: "support-bot"}, Lineage: []string{id("grant")}, Key: kid,
	})
	require.NoError(t, err)
	header, payload := parts(t, raw)
	return door{name: "minted " + alg, alg: alg, header: header, payload: payload, ours: true}
}

// from is a door of an identity source.
func from(t *testing.T, name, alg, header, payload string, s *identity.Source, err error, cred tokenboundary.Credential) door {
	t.Helper()
	require.NoError(t, err)
	return door{name: name, alg: alg, header: header, payload: payload, open: func(raw string) (string, error) {
		cred.Value = raw
		p, err := s.Identify(t.Context(), cred)
		if err != nil {
			return "", refused(p, err)
		}
		return string(must(json.Marshal(p))), nil
	}}
}

func idToken(t *testing.T, alg string) door {
	s, err := identity.OIDC(identity.OIDCConfig{
		Issuer: idp, Audience: boundary, Session: "human", Clock: newClock(),
		JWKSFile: jwks(t, "sig", "ES256", "ES384", "EdDSA", "RS256", "PS256"),
	})
	return from(t, "ID token "+alg, alg, object("alg", alg, "kid", alg, "typ", "JWT"),
		object("iss", idp, "sub", "alice", "aud", boundary, "exp", at(time.Hour), "iat", at(0), "sid", "s1"),
		s, err, tokenboundary.Credential{Type: tokenboundary.TypeIDToken})
}

func assertion(t *testing.T) door {
	s, err := identity.Clients(identity.ClientsConfig{Issuer: boundary, Clock: newClock(), Clients: []identity.ClientAuth{
		{ID: "support-bot", JWKSFile: jwks(t, "sig", "ES256", "EdDSA", "RS256")},
	}})
	return from(t, "client assertion", "ES256", object("alg", "ES256", "kid", "ES256", "typ", "client-authentication+jwt"),
		object("iss", "support-bot", "sub", "support-bot", "aud", boundary, "exp", at(time.Minute), "jti", "a1"),
		s, err, tokenboundary.Credential{Type: tokenboundary.TypeClientAssertion})
}

func svid(t *testing.T) door {
	s, err := identity.SPIFFE(identity.SPIFFEConfig{
		TrustDomain: "acme.example", BundleFile: jwks(t, "jwt-svid", "ES256", "RS256"), Audience: boundary, Clock: newClock(),
	})
	return from(t, "JWT-SVID", "ES256", object("alg", "ES256", "kid", "ES256", "typ", "JOSE"),
		object("sub", "spiffe://acme.example/agents/bot", "aud", boundary, "exp", at(time.Hour)),
		s, err, tokenboundary.Credential{Type: tokenboundary.TypeJWT})
}

func kubernetes(t *testing.T) door {
	s, err := identity.Kubernetes(identity.KubernetesConfig{
		Issuer: cluster, Audience: boundary, JWKSFile: jwks(t, "sig", "RS256"), Clock: newClock(),
	})
	return from(t, "service account token", "RS256", object("alg", "RS256", "kid", "RS256"),
		object("iss", cluster, "sub", "system:serviceaccount:crm:bot", "aud", []string{boundary}, "exp", at(time.Hour), "iat", at(0)),
		s, err, tokenboundary.Credential{Type: tokenboundary.TypeJWT})
}

func dpop(t *testing.T, alg string) door {
	s, err := identity.DPoP(identity.DPoPConfig{Clock: newClock()})
	var set struct{ Keys []map[string]any }
	require.NoError(t, json.Unmarshal(must(jose.Marshal([]jose.Key{{Public: keyFor(alg).Public()}})), &set))
	return from(t, "DPoP proof "+alg, alg, object("typ", "dpop+jwt", "alg", alg, "jwk", set.Keys[0]),
		object("jti", "p1", "htm", "POST", "htu", tokenURL, "iat", at(0)),
		s, err, tokenboundary.Credential{Type: tokenboundary.TypeDPoP, Method: "POST", URL: tokenURL})
}
