package identity_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/identity"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

func TestASourceNamesOnlyPartiesOfItsOwnSpace(t *testing.T) {
	sources, err := identity.Sources(household(t)...)
	require.NoError(t, err)
	const other = "spiffe://acme.example/agents/other"
	for name, c := range map[string]struct {
		act m
		why string // empty: accepted
	}{
		"its own":                     {m{"sub": other}, ""},
		"its own inside":              {m{"sub": other, "act": m{"sub": other + "/b"}}, ""},
		"a person":                    {m{"sub": "alice"}, "not in the name space of its source"},
		"a person inside":             {m{"sub": other, "act": m{"sub": "alice"}}, "not in the name space of its source"},
		"a partner's person":          {m{"sub": "corp|alice"}, "not in the name space of its source"},
		"another domain":              {m{"sub": "spiffe://acme.example.evil/a"}, "not in the name space of its source"},
		"the domain itself":           {m{"sub": "spiffe://acme.example"}, "not in the name space of its source"},
		"a person, as the provider's": {m{"sub": "alice", "iss": idp}, "of another issuer"},
	} {
		t.Run(name, func(t *testing.T) {
			cred := svid(t, esKey, svidHeader, with(svidClaims, m{"act": c.act}))
			if c.why == "" {
				require.Equal(t, other, accepts(t, sources[2], cred).Actors[0].ID)
				return
			}
			refuses(t, sources[2], cred, c.why)
		})
	}
}

func TestAnAccessTokenIsNoIDToken(t *testing.T) {
	s := source(t, identity.OIDC, oidcConfig(t))
	accepts(t, s, idToken(t, alice)) // positive control
	for _, change := range []m{{"scope": "calendar.read"}, {"scp": []string{"calendar.read"}}, {"scope": ""}} {
		cred := idToken(t, with(alice, change))
		refuses(t, s, cred, "an access token is no ID token")
		cred.Type = tokenboundary.TypeJWT
		accepts(t, s, cred) // where its own end bounds what is made of it
	}
}

// TestASpentAssertionStaysSpentWhateverTheLeewayOfItsSource: a boundary forgets a spent id by its own leeway, so one that
// the source would still accept after that must not come through.
func TestASpentAssertionStaysSpentWhateverTheLeewayOfItsSource(t *testing.T) {
	clk := newClock()
	cfg := clientsConfig(t)
	cfg.Clock, cfg.Leeway = clk, time.Minute
	s := source(t, identity.Clients, cfg)
	g, err := tokenboundary.New(tokenboundary.Config{
		Issuer: boundary, Store: memory.New(), Clock: clk, Identities: []tokenboundary.IdentitySource{s},
		Clients: tokenboundary.ClientMap{"support-bot": {ID: "support-bot", Kind: tokenboundary.KindAgent, Grants: []tokenboundary.Grant{tokenboundary.ClientCredentials}, Connections: []string{"prod"}}},
		Policy: tokenboundary.PolicyFunc(func(_ context.Context, f tokenboundary.Facts) (tokenboundary.Verdict, error) {
			return tokenboundary.Verdict{
				Effect: tokenboundary.Allow, Path: "/agents", Resources: f.Resources, Lifetime: time.Minute, Depth: 1,
				Access: []lineage.Access{{Resource: f.Resources[0], Scopes: f.Scopes}},
			}, nil
		}),
	})
	require.NoError(t, err)
	use := func(cred tokenboundary.Credential) error {
		d, err := g.Decide(t.Context(), tokenboundary.Request{
			Grant: tokenboundary.ClientCredentials, Client: cred, Resource: []string{"https://crm.example/"}, Scopes: []string{"read"},
			Enforce: tokenboundary.CapScopes | tokenboundary.CapResources | tokenboundary.CapLifetime,
		})
		if err == nil {
			require.Equal(t, tokenboundary.Allow, d.Effect)
		}
		return err
	}
	one, two := asserted(t, "", nil, assertion), asserted(t, "", nil, with(assertion, m{"jti": "j2"}))
	require.NoError(t, use(one))
	require.ErrorIs(t, use(one), tokenboundary.ErrUnauthenticated, "spent")
	clk.Add(time.Minute + leeway)
	_, err = g.Revoke(t.Context(), tokenboundary.Client{ID: "ops", Kind: tokenboundary.KindOperator},
		lineage.Revocation{Selector: lineage.Selector{Kind: lineage.SelectSubject, Value: "nobody"}}) // the store knows the time
	require.NoError(t, err)
	for _, cred := range []tokenboundary.Credential{one, two} {
		accepts(t, s, cred)
		require.ErrorIs(t, use(cred), tokenboundary.ErrUnauthenticated)
	}
	require.NoError(t, use(asserted(t, "", nil, with(assertion, m{"jti": "j3", "exp": at(2 * time.Minute)}))))
}
