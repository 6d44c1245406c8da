package policy_test

import (
	"context"
	"fmt"
	"testing/fstest"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/policy"
)

const guardrail = `
limits: {lifetime: 10m}
deny:
  - {rule: frozen-tenant, when: env.tenant_frozen == true}
`

const leaf = `
bind: {client: support-bot, connection: salesforce-prod, resource: https://crm.example.com/}
default_scopes: [cases:read]
allow:
  - rule: triage-reads
    when: grant == "token_exchange" && task.purpose == "triage"
    scopes: [cases:read, contacts:read]
    lifetime: 5m
`

func Example() {
	set, err := policy.Load(fstest.MapFS{ // or os.DirFS("policies")
		"boundary.yaml":               {Data: []byte(guardrail)},
		"agents/support-bot/crm.yaml": {Data: []byte(leaf)},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	facts := tokenboundary.Facts{
		Grant: tokenboundary.Exchange, Client: tokenboundary.ClientFacts{ID: "support-bot"}, Connection: "salesforce-prod",
		Scopes: []string{"cases:read", "cases:delete"}, Task: &tokenboundary.TaskFacts{Purpose: "triage"},
		Env: map[string]any{"tenant_frozen": false}, Now: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC),
	}
	show(set.Evaluate(context.Background(), facts))

	facts.Env = map[string]any{"tenant_frozen": true}
	show(set.Evaluate(context.Background(), facts))
	// Output:
	// allow /agents/support-bot/crm 5m0s
	//   cases:delete: no rule grants it
	//   cases:read: granted by /agents/support-bot/crm#triage-reads
	// deny /agents/support-bot/crm 0s
	//   : denied by /boundary#frozen-tenant
}

func show(v tokenboundary.Verdict, err error) {
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(v.Effect, v.Path, v.Lifetime)
	for _, r := range v.Reasons {
		switch {
		case r.Granted:
			fmt.Printf("  %s: granted by %s\n", r.Scope, r.Rule)
		case r.Rule != "":
			fmt.Printf("  %s: %s by %s\n", r.Scope, r.Why, r.Rule)
		default:
			fmt.Printf("  %s: %s\n", r.Scope, r.Why)
		}
	}
}

// A set that does not load says all that is wrong with it, by file, line and rule.
func Example_refused() {
	_, err := policy.Load(fstest.MapFS{"crm.yaml": {Data: []byte(`
bind: {client: support-bot, connection: salesforce-prod, resource: "*"}
allow:
  - rule: reads
    when: client.nmae == "support-bot"
    scopes: [cases:read]
`)}})
	fmt.Println(err)
	// Output:
	// policy: the set is refused
	// crm.yaml:5:11: rule "reads": when: 1:1: undeclared reference to 'client' (there is client.id, client.kind, client.groups, client.attributes)
}
