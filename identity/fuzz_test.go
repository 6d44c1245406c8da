package identity_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/identity"
)

// FuzzClaims signs any payload with a key that every source trusts. It holds that what is accepted is said by the payload:
// for whom, by whom, for this audience, and now.
func FuzzClaims(f *testing.F) {
	one := func(cred string, s tokenboundary.IdentitySource) func(testing.TB, string) (tokenboundary.Principal, error) {
		return func(t testing.TB, payload string) (tokenboundary.Principal, error) {
			return s.Identify(t.Context(), tokenboundary.Credential{Type: cred, Value: token(t, esKey, esHeader, payload)})
		}
	}
	provider, proves := source(f, identity.OIDC, oidcConfig(f)), source(f, identity.Clients, clientsConfig(f))
	sources := []func(testing.TB, string) (tokenboundary.Principal, error){
		one(tokenboundary.TypeIDToken, provider), one(tokenboundary.TypeJWT, provider),
		one(tokenboundary.TypeJWT, source(f, identity.Kubernetes, kubernetesConfig(f))),
		one(tokenboundary.TypeJWT, source(f, identity.SPIFFE, spiffeConfig(f))), one(tokenboundary.TypeClientAssertion, proves),
	}
	for i, claims := range []m{alice, alice, podToken, svidClaims, assertion} {
		_, err := sources[i](f, string(mustJSON(claims)))
		require.NoError(f, err, "positive control")
		f.Add(uint8(i), string(mustJSON(claims)))
		f.Add(uint8(i), string(mustJSON(with(claims, m{"exp": 1772366460.5, "nbf": "1772366400", "scope": "a", "act": nested(2)}))))
		f.Add(uint8(i), string(mustJSON(with(claims, m{"aud": []any{boundary, nil}, "cnf": m{}}))))
		f.Add(uint8(i), strings.Replace(string(mustJSON(claims)), `"sub"`, `"\u0073ub"`, 1))
		f.Add(uint8(i), strings.Replace(string(mustJSON(claims)), `{`, `{"Sub":"root",`, 1))
	}
	f.Fuzz(func(t *testing.T, which uint8, payload string) {
		which %= uint8(len(sources))
		if payload == "" {
			return // not a token
		}
		p, err := sources[which](t, payload)
		if err != nil {
			require.Zero(t, p)
			require.Less(t, len(err.Error()), 200)
			return
		}
		var said map[string]any
		require.NoError(t, json.Unmarshal([]byte(payload), &said))
		require.Equal(t, said["sub"], p.Party.ID)
		issuers := []any{idp, idp, cluster, "spiffe://acme.example", boundary}
		require.Equal(t, issuers[which], p.Party.Issuer)
		if which < 3 {
			require.Equal(t, issuers[which], said["iss"])
		}
		audience, several := said["aud"].([]any)
		if !several {
			audience = []any{said["aud"]}
		}
		require.True(t, slices.Contains(audience, any(boundary)))
		exp, ok := said["exp"].(float64)
		require.True(t, ok)
		require.InDelta(t, exp, float64(p.Expires.Unix()), 1)
		require.True(t, start.Before(p.Expires.Add(leeway)))
		require.False(t, p.Issued.After(start.Add(leeway)))
		require.NotContains(t, said, "cnf")
		require.NotContains(t, said, "events")
		require.True(t, p.Identity)
		switch which {
		case 0:
			require.NotContains(t, said, "scope")
		case 2:
			require.True(t, strings.HasPrefix(p.Party.ID, "system:serviceaccount:"))
			require.LessOrEqual(t, p.Expires.Sub(p.Issued), time.Hour)
		case 3:
			_, err := identity.ParseID(p.Party.ID)
			require.NoError(t, err)
		case 4:
			require.Equal(t, said["jti"], p.Once)
			require.Equal(t, said["iss"], said["sub"])
			require.Len(t, audience, 1)
			require.LessOrEqual(t, p.Expires.Sub(start), 5*time.Minute+leeway)
		}
	})
}
