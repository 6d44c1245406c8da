package policy_test

import (
	"context"
	"fmt"
	"testing/fstest"

	"github.com/tokenboundary/tokenboundary/policy"
)

func ExampleParseRequest() {
	set, err := policy.Load(fstest.MapFS{"crm.yaml": {Data: []byte(`
bind: {client: support-bot, connection: sf, resource: https://crm.example.com/}
allow:
  - {rule: triage-reads, when: task.purpose == "triage", scopes: [cases:read], lifetime: 5m}
`)}})
	if err != nil {
		panic(err)
	}
	facts, err := policy.ParseRequest([]byte(`
client: support-bot
connection: sf
grant: token_exchange
subject: {id: alice, kind: human}
task: {purpose: triage}
scopes: [cases:read, cases:write]
`))
	if err != nil {
		panic(err)
	}
	verdict, err := set.Evaluate(context.Background(), facts)
	fmt.Println(verdict.Effect, verdict.Access, verdict.Lifetime, err)
	// Output: allow [{https://crm.example.com/ [cases:read]}] 5m0s <nil>
}
