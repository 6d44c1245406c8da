package policy

import (
	"testing"
	"time"

	"cel.dev/cel-go/cel"
	"github.com/stretchr/testify/require"
)

func FuzzParseDocument(f *testing.F) {
	for _, text := range good {
		f.Add([]byte(text), true)
		f.Add([]byte(text), false)
	}
	f.Add([]byte("bind: {client: \"*\", connection: '*', resource: urn:x:y}\ndeny: [{rule: r, when: |-\n  false}]"), false)
	f.Fuzz(func(t *testing.T, data []byte, guard bool) {
		d, problems := parseDocument("x/y.yaml", "/x/y", guard, data)
		require.Equal(t, d == nil, len(problems) > 0)
		if d == nil {
			for _, p := range problems {
				require.LessOrEqual(t, len(p.Message), maxMessage+100)
			}
			return
		}
		if guard {
			require.Empty(t, d.allow)
			require.Empty(t, d.bind)
		} else {
			require.NotEmpty(t, d.bind.clients)
			require.NotEmpty(t, d.bind.connections)
			require.NotEmpty(t, d.bind.resources)
		}
		require.Equal(t, d.limits, d.limits.meet(noLimits), "limits only restrict")
		require.GreaterOrEqual(t, d.limits.lifetime, time.Second)
		require.True(t, d.limits.recheck == 0 || d.limits.recheck >= time.Second)
		each([]*document{d}, func(_ *document, r *rule) {
			require.NotEmpty(t, r.name)
			require.NotEmpty(t, r.when)
		})
		for _, r := range d.allow {
			require.NotEmpty(t, r.scopes)
			require.True(t, r.recheck == 0 || r.recheck >= time.Second)
		}
	})
}

func FuzzCondition(f *testing.F) {
	for _, c := range []string{
		`true`, `client.id == "x" && task.purpose in ["a"]`, `env.x != true`, `chain.exists(a, a.id == actor.id)`,
		`request.details.all(d, d.type == "x")`, `client.id.matches("^a+$")`, `((((`, `1/0 > 0 || true`, `[env.a][0] != "x"`,
		`session.attributes.managed == true && !has(subject.attributes.x)`, `env["tenant_" + "frozen"] == false`,
		`env[risk.level] == true`, `(task.present ? env : session.attributes).limit / 2 == 2`, `has(task.context.count)`,
		`chain.all(a, a.id == client.id || a.id in client.groups)`, `subset(request.scopes, ["cases:read", client.id])`,
		`request.details[0].amount / 5 == 2`, `client.groups[0] + chain[1].id != actor.id`, `env.regions.exists(r, r == risk.level)`,
	} {
		f.Add(c)
	}
	env, err := environment()
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := compile(env, text)
		require.Equal(t, p == nil, err != nil)
		if p == nil {
			return
		}
		out, why := p.run(requestSlots())
		require.NotEqual(t, unknown, out)
		require.Equal(t, out == failed, why != "")
		plain, _ := (&program{plan: indirect(t, env, text)}).run(requestSlots())
		require.Equal(t, plain, out, "reading variables by place changes nothing")
		checked, err := check(env, text)
		require.NoError(t, err)
		a, root := analysis{checked.NativeRep()}, checked.NativeRep().Expr()
		require.False(t, out == holds && a.comes(root, true).never(), "it is true, and said to be true for no request")
		require.False(t, out == not && a.comes(root, false).never(), "it is false, and said to be false for no request")
	})
}

func requestSlots() *slots {
	sl := newSlots()
	sl.inputs = inputs{facts: request(), resource: crm}
	sl.scopes = sl.facts.Scopes
	return sl
}

// indirect plans a condition as the evaluator does by itself: it reads variables by their names.
func indirect(t *testing.T, env *cel.Env, text string) cel.Program {
	t.Helper()
	checked, err := check(env, text)
	require.NoError(t, err)
	in, err := inspect(checked.NativeRep())
	require.NoError(t, err)
	plan, err := env.Program(checked, in.strict())
	require.NoError(t, err)
	return plan
}
