package identity_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/identity"
	"github.com/tokenboundary/tokenboundary/lineage"
)

func mustJSON(v any) []byte { return must(json.Marshal(v)) }

func nested(depth int) m {
	act := m{"sub": "actor"}
	for range depth - 1 {
		act = m{"sub": "actor", "act": act}
	}
	return act
}

func TestActors(t *testing.T) {
	cfg := oidcConfig(t)
	cfg.SubjectPrefix = "corp|"
	s := source(t, identity.OIDC, cfg)
	p := accepts(t, s, idToken(t, with(alice, m{
		"act":     m{"sub": "outer", "iss": idp, "client_id": "ignored", "act": m{"sub": "inner"}},
		"may_act": m{"sub": "support-bot"},
	})))
	require.Equal(t, "corp|alice", p.Party.ID)
	require.Equal(t, []lineage.Party{{ID: "corp|outer", Issuer: idp}, {ID: "corp|inner", Issuer: idp}}, p.Actors)
	require.Equal(t, &lineage.Party{ID: "support-bot"}, p.MayAct)

	p = accepts(t, s, idToken(t, with(alice, m{"may_act": m{"sub": "bob", "iss": idp}})))
	require.Equal(t, &lineage.Party{ID: "corp|bob", Issuer: idp}, p.MayAct)
	p = accepts(t, s, idToken(t, with(alice, m{"may_act": m{"sub": agentID, "iss": "spiffe://acme.example"}})))
	require.Equal(t, &lineage.Party{ID: agentID, Issuer: "spiffe://acme.example"}, p.MayAct)
	p = accepts(t, s, idToken(t, with(alice, m{"act": nested(16)})))
	require.Len(t, p.Actors, 16)
}

func TestActorsRefused(t *testing.T) {
	s := source(t, identity.OIDC, oidcConfig(t))
	accepts(t, s, idToken(t, with(alice, m{"act": m{"sub": "a"}, "may_act": m{"sub": "a"}}))) // positive control
	null := (*int)(nil)
	for name, c := range map[string]struct {
		act any
		why string
	}{
		"null":          {null, "not an object"},
		"string":        {"support-bot", "not an object"},
		"list":          {[]m{{"sub": "a"}}, "not an object"},
		"true":          {true, "not an object"},
		"empty":         {m{}, "has no sub"},
		"sub null":      {m{"sub": null}, "sub is not a string"},
		"sub number":    {m{"sub": 1}, "sub is not a string"},
		"sub empty":     {m{"sub": ""}, "has no sub"},
		"sub control":   {m{"sub": "a\n"}, "sub is not usable"},
		"sub long":      {m{"sub": strings.Repeat("a", 513)}, "sub is not usable"},
		"iss number":    {m{"sub": "a", "iss": 1}, "iss is not a string"},
		"iss null":      {m{"sub": "a", "iss": null}, "iss is not a string"},
		"case variant":  {m{"Sub": "a"}, "has no sub"},
		"inner in case": {m{"SUB": "a", "iss": idp}, "has no sub"},
	} {
		t.Run(name, func(t *testing.T) {
			refuses(t, s, idToken(t, with(alice, m{"act": c.act})), c.why)
			refuses(t, s, idToken(t, with(alice, m{"act": m{"sub": "a", "act": c.act}})), c.why)
			refuses(t, s, idToken(t, with(alice, m{"may_act": c.act})), c.why)
		})
	}
	refuses(t, s, idToken(t, with(alice, m{"act": nested(17)})), "nested too deeply")
	refuses(t, s, idToken(t, with(alice, m{"act": m{"sub": "a", "iss": boundary}})), "another issuer")
	refuses(t, s, idToken(t, with(alice, m{"act": m{"sub": "a", "iss": ""}})), "another issuer")
	refuses(t, s, idToken(t, with(alice, m{"may_act": m{"sub": "a", "iss": ""}})), "unusable party")
	refuses(t, s, idToken(t, with(alice, m{"may_act": m{"sub": "a", "client_id": "b"}})), "not understood")
	refuses(t, s, idToken(t, with(alice, m{"may_act": m{"sub": "a", "act": m{"sub": "b"}}})), "not understood")
}

// FuzzActors holds that an accepted token has a chain of usable names, and a may_act that names exactly what it says.
func FuzzActors(f *testing.F) {
	f.Add(`{"sub":"a","act":{"sub":"b"}}`, `{"sub":"c"}`)
	f.Add(`{"sub":"a","iss":"https://idp.example"}`, `{"sub":"c","iss":"https://boundary.example"}`)
	f.Add(string(mustJSON(nested(20))), `null`)
	f.Add(`{"sub":1}`, `[]`)
	s := source(f, identity.OIDC, oidcConfig(f))
	f.Fuzz(func(t *testing.T, act, mayAct string) {
		if !json.Valid([]byte(act)) || !json.Valid([]byte(mayAct)) || len(act)+len(mayAct) > 8000 {
			return
		}
		p, err := s.Identify(t.Context(), idToken(t, with(alice, m{"act": json.RawMessage(act), "may_act": json.RawMessage(mayAct)})))
		if err != nil {
			require.Zero(t, p)
			return
		}
		require.NotEmpty(t, p.Actors)
		require.LessOrEqual(t, len(p.Actors), 16)
		for _, a := range p.Actors {
			require.NotEmpty(t, a.ID)
			require.Equal(t, idp, a.Issuer)
		}
		var said struct{ Sub, Iss string }
		require.NoError(t, json.Unmarshal([]byte(mayAct), &said))
		require.Equal(t, lineage.Party{ID: said.Sub, Issuer: said.Iss}, *p.MayAct)
	})
}
