package policy

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRulesListsWhatARequestCanMeet(t *testing.T) {
	set := load(t, map[string]string{
		"boundary.yaml":        "deny: [{rule: frozen, when: has(env.frozen)}]",
		"agents/boundary.yaml": "deny:\n- {rule: b, when: 'false'}\n- {rule: a, when: 'false'}",
		"empty/boundary.yaml":  "deny: [{rule: unmet, when: 'true'}]",
		"agents/crm.yaml": "bind: {client: [bot, other], connection: sf, resource: '*'}\nallow:\n- rule: reads\n  when: 'true'\n" +
			"  scopes: [b, a]\n- {rule: writes, when: 'true', scopes: [a], require: {approval: {by: leads}}}\n",
		"any.yaml": "bind: {client: '*', connection: '*', resource: https://crm.example.com/}\ndeny: [{rule: closed, when: 'true'}]\n" +
			"allow: [{rule: some, when: 'true', scopes: [a], resources: [https://crm.example.com/]}]",
	})
	require.Equal(t, []Rule{
		{ID: "/agents/boundary#b", File: "agents/boundary.yaml", Line: 2, Deny: true},
		{ID: "/agents/boundary#a", File: "agents/boundary.yaml", Line: 3, Deny: true},
		{ID: "/agents/crm#reads", File: "agents/crm.yaml", Line: 4, Scopes: []string{"a", "b"}},
		{ID: "/agents/crm#writes", File: "agents/crm.yaml", Line: 6, Scopes: []string{"a"}, Obliges: true},
		{ID: "/any#closed", File: "any.yaml", Line: 2, Deny: true},
		{ID: "/any#some", File: "any.yaml", Line: 3, Scopes: []string{"a"}, Resources: []string{"https://crm.example.com/"}},
		{ID: "/boundary#frozen", File: "boundary.yaml", Line: 1, Deny: true},
	}, set.Rules())
}
