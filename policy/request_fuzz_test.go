package policy_test

import (
	"context"
	"encoding/json"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/policy"
)

// FuzzParseRequest: what is no request is refused, and what is one stays in the bounds of a request and is decided.
func FuzzParseRequest(f *testing.F) {
	for _, text := range []string{
		"client: a\nconnection: b\ngrant: client_credentials",
		"{\"client\":{\"id\":\"a\",\"groups\":[\"g\"]},\"connection\":\"b\",\"grant\":\"token_exchange\",\"details\":[1,{\"a\":null}]}",
		"client: a\nconnection: b\ngrant: token_exchange\nsubject: s\nparent: {client: p, scopes: [x]}\nresource: https://c.example/\nceiling: null",
		"client: a\nconnection: b\ngrant: refresh_token\nsession: {kind: human, auth_age: 1m}\ntask: {purpose: p, context: {a: 1.5}}\nenv: {x: 2026-01-01, y: ~}",
	} {
		f.Add([]byte(text))
	}
	set, err := policy.Load(fstest.MapFS{"a.yaml": {Data: []byte(`bind: {client: "*", connection: "*", resource: "*"}
allow:
- {rule: a, scopes: [x], when: 'env.x == 1 || task.purpose == "p" || chain.exists(p, p.id == actor.id) || session.acr in client.groups'}
- {rule: b, scopes: [x, y], when: 'request.details.exists(d, d.a == 1) || task.context.a == "b" || subject.attributes.a == true'}
`)}})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, data []byte) {
		facts, err := policy.ParseRequest(data)
		if err != nil {
			require.Zero(t, facts)
			require.LessOrEqual(t, len(err.Error()), 1000)
			return
		}
		require.NotEmpty(t, facts.Client.ID)
		require.NotEmpty(t, facts.Connection)
		require.NotEmpty(t, facts.Subject.ID)
		require.NotEmpty(t, facts.Actor.ID)
		require.LessOrEqual(t, len(facts.Scopes), canon.MaxScopes)
		require.LessOrEqual(t, len(facts.Resources), canon.MaxResources)
		require.LessOrEqual(t, len(facts.Chain), canon.MaxChain)
		require.LessOrEqual(t, len(facts.Details), canon.MaxDetails)
		require.False(t, facts.Now.IsZero())
		require.GreaterOrEqual(t, facts.Lifetime, time.Duration(0))
		if facts.Task != nil {
			require.NotEmpty(t, facts.Task.Purpose)
			require.True(t, facts.Task.Deadline.After(facts.Now))
		}
		_, err = json.Marshal(facts)
		require.NoError(t, err, "facts are plain data")
		v, err := set.Evaluate(context.Background(), facts)
		require.NoError(t, err)
		if v.Effect == tokenboundary.Allow {
			require.NotEmpty(t, facts.Resources)
		}
	})
}
