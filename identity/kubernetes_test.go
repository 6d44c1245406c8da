package identity_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/identity"
	"github.com/tokenboundary/tokenboundary/lineage"
)

func kubernetesConfig(t testing.TB) identity.KubernetesConfig {
	return identity.KubernetesConfig{Issuer: cluster, Audience: boundary, JWKSFile: idpKeys(t), Clock: newClock(), Leeway: leeway}
}

var podToken = m{
	"iss": cluster, "sub": "system:serviceaccount:prod:crawler", "aud": []string{boundary},
	"iat": at(-time.Minute), "nbf": at(-time.Minute), "exp": at(59 * time.Minute), "jti": "j1",
	"kubernetes.io": m{
		"namespace": "prod", "serviceaccount": m{"name": "crawler", "uid": "u1"},
		"pod": m{"name": "crawler-1", "uid": "pod-uid"}, "warnafter": 1,
	},
}

func projected(t testing.TB, claims any) tokenboundary.Credential {
	return tokenboundary.Credential{Type: tokenboundary.TypeJWT, Value: token(t, rsKey, m{"alg": "RS256", "kid": "rs"}, claims)}
}

func TestKubernetes(t *testing.T) {
	s := source(t, identity.Kubernetes, kubernetesConfig(t))
	require.Equal(t, tokenboundary.Principal{
		Party:   lineage.Party{ID: "system:serviceaccount:prod:crawler", Issuer: cluster, Kind: "workload"},
		Session: lineage.Session{Kind: "workload", ID: "pod-uid"},
		Issued:  start.Add(-time.Minute), Expires: start.Add(59 * time.Minute), Identity: true,
	}, accepts(t, s, projected(t, podToken)))
	require.Empty(t, accepts(t, s, projected(t, with(podToken, m{"kubernetes.io": m{}}))).Session.ID)

	for name, c := range map[string]struct {
		change m
		why    string
	}{
		"a year":             {m{"exp": at(365 * 24 * time.Hour)}, "lives too long"},
		"over an hour":       {m{"exp": at(59*time.Minute + time.Second)}, "lives too long"},
		"no end":             {m{"exp": nil}, "exp is missing"},
		"API server's aud":   {m{"aud": []string{cluster}}, "another audience"},
		"no account":         {m{"sub": "system:node:n1"}, "not a service account"},
		"no name":            {m{"sub": "system:serviceaccount:prod"}, "not a service account"},
		"empty name":         {m{"sub": "system:serviceaccount:prod:"}, "not a service account"},
		"empty namespace":    {m{"sub": "system:serviceaccount::crawler"}, "not a service account"},
		"longer":             {m{"sub": "system:serviceaccount:prod:crawler:x"}, "not a service account"},
		"user":               {m{"sub": "alice"}, "not a service account"},
		"bound to a string":  {m{"kubernetes.io": "prod"}, "not an object"},
		"pod of a string":    {m{"kubernetes.io": m{"pod": "p"}}, "pod is not an object"},
		"pod uid of a digit": {m{"kubernetes.io": m{"pod": m{"uid": 1}}}, "uid is not a string"},
	} {
		t.Run(name, func(t *testing.T) { refuses(t, s, projected(t, with(podToken, c.change)), c.why) })
	}
	passes(t, s, tokenboundary.Credential{Type: tokenboundary.TypeIDToken, Value: projected(t, podToken).Value})
	passes(t, s, projected(t, with(podToken, m{"iss": idp})))
	at := tokenboundary.Credential{Type: tokenboundary.TypeJWT, Value: token(t, esKey, m{"alg": "ES256", "kid": "es", "typ": "at+jwt"}, podToken)}
	refuses(t, s, at, "type of token")
}

func TestKubernetesConfig(t *testing.T) {
	cfg := kubernetesConfig(t)
	cfg.MaxLifetime, cfg.SubjectPrefix = 24*time.Hour, "east|"
	s := source(t, identity.Kubernetes, cfg)
	p := accepts(t, s, projected(t, with(podToken, m{"exp": at(20 * time.Hour)})))
	require.Equal(t, "east|system:serviceaccount:prod:crawler", p.Party.ID)
	cfg.Audience = ""
	_, err := identity.Kubernetes(cfg)
	require.ErrorContains(t, err, "KubernetesConfig: Audience is required")
}
