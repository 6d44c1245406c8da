package identity_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/identity"
)

const partner = "https://partner.example"

// household makes the sources of a boundary: a provider without a prefix, one with, a cluster, a trust domain, clients.
func household(t testing.TB) []*identity.Source {
	corp := oidcConfig(t)
	corp.Issuer, corp.SubjectPrefix = partner, "corp|"
	return []*identity.Source{
		source(t, identity.OIDC, oidcConfig(t)), source(t, identity.OIDC, corp), source(t, identity.SPIFFE, spiffeConfig(t)),
		source(t, identity.Kubernetes, kubernetesConfig(t)), source(t, identity.Clients, clientsConfig(t)),
	}
}

// ask tries the sources in order, as a Governor does.
func ask(t testing.TB, sources []tokenboundary.IdentitySource, cred tokenboundary.Credential) (tokenboundary.Principal, error) {
	t.Helper()
	p, err := tokenboundary.Principal{}, tokenboundary.ErrNotMine
	for _, s := range sources {
		if p, err = s.Identify(t.Context(), cred); err == nil {
			return p, nil
		}
		require.Zero(t, p)
		if !errors.Is(err, tokenboundary.ErrNotMine) {
			break
		}
	}
	return p, err
}

func TestSourcesFindTheirOwn(t *testing.T) {
	sources, err := identity.Sources(household(t)...)
	require.NoError(t, err)
	for want, cred := range map[string]tokenboundary.Credential{
		"alice":                              idToken(t, alice),
		"corp|alice":                         idToken(t, with(alice, m{"iss": partner})),
		agentID:                              svid(t, esKey, svidHeader, svidClaims),
		"system:serviceaccount:prod:crawler": projected(t, podToken),
		"support-bot":                        asserted(t, "", nil, assertion),
		"crm":                                {Type: tokenboundary.TypeClientSecret, ID: "crm", Value: secret},
	} {
		p, err := ask(t, sources, cred)
		require.NoError(t, err)
		require.Equal(t, want, p.Party.ID)
	}
	_, err = ask(t, sources, idToken(t, with(alice, m{"iss": "https://stranger.example"})))
	require.ErrorIs(t, err, tokenboundary.ErrNotMine)
	_, err = ask(t, sources, tokenboundary.Credential{Type: tokenboundary.TypeAccessToken, Value: idToken(t, alice).Value})
	require.ErrorIs(t, err, tokenboundary.ErrNotMine)
}

func TestSourcesKeepNamesApart(t *testing.T) {
	sources, err := identity.Sources(household(t)...)
	require.NoError(t, err)
	for _, sub := range []string{"corp|alice", "corp|", "system:serviceaccount:prod:crawler"} {
		refuses(t, sources[0], idToken(t, with(alice, m{"sub": sub})), "subject spells the prefix")
		refuses(t, sources[0], idToken(t, with(alice, m{"sid": sub})), "session spells the prefix")
		refuses(t, sources[0], idToken(t, with(alice, m{"act": m{"sub": "a", "act": m{"sub": sub}}})), "actor spells the prefix")
	}
	refuses(t, sources[0], idToken(t, with(alice, m{"act": m{"sub": agentID}})), "actor spells the prefix")
	for _, sub := range []string{"corp", "Corp|alice", "alice@corp|", "system:node:n1"} {
		accepts(t, sources[0], idToken(t, with(alice, m{"sub": sub})))
	}
	p := accepts(t, sources[1], idToken(t, with(alice, m{"iss": partner, "sub": "system:serviceaccount:prod:crawler"})))
	require.Equal(t, "corp|system:serviceaccount:prod:crawler", p.Party.ID, "with its own prefix a source says what it likes")
	p = accepts(t, sources[0], idToken(t, with(alice, m{"sid": "s1"})))
	require.Equal(t, "s1", p.Session.ID)
	p = accepts(t, sources[1], idToken(t, with(alice, m{"iss": partner, "sid": "s1"})))
	require.Equal(t, "corp|s1", p.Session.ID, "two providers may use one session id")
	p = accepts(t, sources[1], idToken(t, with(alice, m{"iss": partner, "sid": nil})))
	require.Empty(t, p.Session.ID, "and no session has no name")
}

func TestSourcesRefusesLists(t *testing.T) {
	oidc := func(issuer, prefix string) *identity.Source {
		cfg := oidcConfig(t)
		cfg.Issuer, cfg.SubjectPrefix = issuer, prefix
		return source(t, identity.OIDC, cfg)
	}
	k8s := func(issuer, prefix string) *identity.Source {
		cfg := kubernetesConfig(t)
		cfg.Issuer, cfg.SubjectPrefix = issuer, prefix
		return source(t, identity.Kubernetes, cfg)
	}
	clients := source(t, identity.Clients, clientsConfig(t))
	td := source(t, identity.SPIFFE, spiffeConfig(t))
	ok := [][]*identity.Source{
		{}, {oidc(idp, "")}, {oidc(idp, "a|"), oidc(partner, "b|")}, {oidc(idp, ""), oidc(partner, "b|")},
		{oidc(idp, ""), k8s(cluster, "")}, {k8s(cluster, "a|"), k8s(partner, "b|")}, {oidc(idp, ""), clients, td},
	}
	for _, list := range ok {
		_, err := identity.Sources(list...)
		require.NoError(t, err)
	}
	for why, list := range map[string][]*identity.Source{
		`two sources for issuer "https://idp.example"`:      {oidc(idp, "a|"), oidc(idp, "b|")},
		`two sources with subject prefix "a|"`:              {oidc(idp, "a|"), oidc(partner, "a|")},
		`two sources with subject prefix ""`:                {oidc(idp, ""), oidc(partner, "")},
		`two sources with subject prefix "system:s`:         {k8s(cluster, ""), k8s(partner, "")},
		`"a|b|" and "a|" begin alike`:                       {oidc(idp, "a|"), oidc(partner, "a|b|")},
		`"a|" and "a|b|" begin alike`:                       {oidc(idp, "a|b|"), oidc(partner, "a|")},
		`"system:serviceaccount:" and "system:" begin`:      {oidc(idp, "system:"), k8s(cluster, "")},
		`two sources for issuer "spiffe://acme.example"`:    {td, source(t, identity.SPIFFE, spiffeConfig(t))},
		`two sources for issuer "https://boundary.example"`: {clients, oidc(boundary, "")},
		"not made by a constructor":                         {oidc(idp, ""), new(identity.Source)},
		"made by a constructor":                             {nil},
	} {
		_, err := identity.Sources(list...)
		require.ErrorContains(t, err, why)
	}
}

func TestZeroSourceRefuses(t *testing.T) {
	for _, s := range []*identity.Source{nil, {}} {
		refuses(t, s, idToken(t, alice), "not made by a constructor")
	}
}

func TestKeysFromAnEndpoint(t *testing.T) {
	var status, hits atomic.Int32
	status.Store(http.StatusServiceUnavailable)
	raw := jwks(t, published{esKey, "es", "sig"})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		hits.Add(1)
		w.WriteHeader(int(status.Load()))
		_, _ = w.Write(raw)
	}))
	defer srv.Close()
	clk := newClock()
	cfg := oidcConfig(t)
	cfg.JWKSFile, cfg.JWKSURI, cfg.Clock = "", srv.URL, clk
	s := source(t, identity.OIDC, cfg)
	require.Zero(t, hits.Load(), "nothing is fetched before it is needed")

	_, err := s.Identify(t.Context(), idToken(t, alice))
	require.ErrorIs(t, err, tokenboundary.ErrUnavailable, "keys that cannot be had are no reason to refuse the credential for good")
	require.NotErrorIs(t, err, tokenboundary.ErrNotMine)
	status.Store(http.StatusOK)
	clk.Add(10 * time.Second)
	accepts(t, s, idToken(t, alice))
	refuses(t, s, tokenboundary.Credential{Type: tokenboundary.TypeIDToken, Value: token(t, rogue, esHeader, alice)}, "does not verify")
	require.EqualValues(t, 2, hits.Load())
	for _, kid := range []string{"a", "b", "c"} {
		refuses(t, s, tokenboundary.Credential{Type: tokenboundary.TypeIDToken, Value: token(t, rogue, with(esHeader, m{"kid": kid}), alice)}, "no such key")
	}
	require.EqualValues(t, 3, hits.Load())

	cfg.Issuer = partner
	other := source(t, identity.OIDC, cfg)
	passes(t, other, idToken(t, alice))
	refuses(t, other, tokenboundary.Credential{Type: tokenboundary.TypeIDToken, Value: token(t, esKey, with(esHeader, m{"typ": "dpop+jwt"}), with(alice, m{"iss": partner}))}, "type of token")
	require.EqualValues(t, 3, hits.Load(), "nothing is fetched for a token that is refused anyway")
}
