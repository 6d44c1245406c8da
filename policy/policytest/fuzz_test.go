package policytest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/policy"
)

// FuzzTests: a file of tests is refused, or its tests are decided within the bounds of every decision, and say of each
// what is different.
func FuzzTests(f *testing.F) {
	for _, text := range []string{
		head + "  - {test: a, expect: {effect: allow}}\n",
		head + "  - {test: a, request: {task: null}, expect: {effect: deny, code: invalid_scope, rule: frozen}, cases: [{case: b, request: {env: {frozen: true}}}]}\n",
		head + "  - {test: a, request: {scopes: [cases:write], risk: low}, expect: {effect: allow, obligations: [{kind: step_up, max_age: 5m}], rules: {cases:write: writes}, delegates: {a: []}, refresh: true}}",
		"tests: [{test: a, request: {client: bot, connection: sf, grant: refresh_token, parent: {}, ceiling: []}, expect: {effect: allow, scopes: {x: [y]}}}]",
	} {
		f.Add([]byte(text))
	}
	set, err := policy.Load(tree(head + "  - {test: a, expect: {effect: allow}}\n"))
	require.NoError(f, err)
	known := rulesOf(set.Rules())
	f.Fuzz(func(t *testing.T, data []byte) {
		list, bad := parse("a_test.yaml", data, known)
		require.Equal(t, bad == nil, len(list) > 0, "a file without tests is refused")
		for _, x := range list {
			require.NotEmpty(t, x.test)
			require.LessOrEqual(t, x.place.Node.Line, len(data)+1)
			facts, bad := x.facts()
			require.Nil(t, bad)
			verdict, err := set.Evaluate(t.Context(), facts)
			require.NoError(t, err)
			verdict, err = verdict.Narrow(facts)
			require.NoError(t, err)
			o := outcomeOf(verdict)
			require.Equal(t, len(o.scopes()) > 0, o.effect.String() == "allow", "an allow grants, a denial does not")
			r := Result{Differences: compare(x.expect, o)}
			require.Equal(t, len(r.Differences) > 0, r.Diff() != "")
			if x.expect.effect != o.effect {
				require.NotEmpty(t, r.Differences)
			}
		}
	})
}
