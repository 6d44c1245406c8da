package policy_test

import (
	"context"
	"fmt"
	"testing/fstest"

	"github.com/tokenboundary/tokenboundary/policy"
)

// An explanation has every rule on the way, and what would have to be otherwise.
func ExampleSet_Explain() {
	set, err := policy.Load(fstest.MapFS{
		"boundary.yaml":               {Data: []byte(guardrail)},
		"agents/support-bot/crm.yaml": {Data: []byte(leaf)},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	facts, err := policy.ParseRequest([]byte(`
client: support-bot
connection: salesforce-prod
grant: token_exchange
task: {purpose: research}
env: {tenant_frozen: true}
scopes: [cases:read]
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	x, err := set.Explain(context.Background(), facts)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(x.Verdict.Effect)
	for _, s := range x.Steps {
		fmt.Printf("%s:%d: %s: %s\n", s.File, s.Line, s.When, s.Outcome)
	}
	for _, c := range x.Changes {
		fmt.Println(c)
	}
	// Output:
	// deny
	// boundary.yaml:4: env.tenant_frozen == true: true
	// agents/support-bot/crm.yaml:6: grant == "token_exchange" && task.purpose == "triage": false
	// env.tenant_frozen: true → false (by a signal)
	// task.purpose: "research" → "triage"
}
