package replay_test

import (
	"context"
	"fmt"
	"testing/fstest"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/policy"
	"github.com/tokenboundary/tokenboundary/policy/replay"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

// One decision is recorded, and then decided again under a set in which the rule asks for more.
func ExampleRun() {
	leaf := func(when string) *policy.Set {
		set, err := policy.Load(fstest.MapFS{"bot.yaml": {Data: []byte(`
bind: {client: bot, connection: prod, resource: https://crm.example.com/}
allow: [{rule: reads, when: '` + when + `', scopes: [cases:read]}]
`)}})
		if err != nil {
			panic(err)
		}
		return set
	}
	ctx, records := context.Background(), memory.New()
	boundary, err := tb.New(tb.Config{
		Issuer: issuer, Store: records, Policy: leaf(`client.kind == "agent"`),
		Clients: tb.ClientMap{"bot": {ID: "bot", Kind: tb.KindAgent, Grants: []tb.Grant{tb.ClientCredentials}, Connections: []string{"prod"}}},
	})
	if err != nil {
		panic(err)
	}
	decision, err := boundary.Decide(ctx, tb.Request{
		Grant: tb.ClientCredentials, Scopes: []string{"cases:read"}, Enforce: tb.CapResources | tb.CapScopes | tb.CapLifetime,
		Client: tb.Credential{Verified: &tb.Principal{Party: lineage.Party{ID: "bot"}}},
	})
	if err != nil || decision.Effect != tb.Allow {
		panic(err)
	}

	candidate := leaf(`client.kind == "agent" && task.purpose == "triage"`)
	decisions := tb.Recall{Store: records, Issuer: issuer}.All(ctx, tb.RecallFilter{})
	report, err := replay.Run(ctx, decisions, candidate, replay.Options{})
	if err != nil {
		panic(err)
	}
	for _, g := range report.Groups {
		fmt.Println(g.Change, g.Rule, g.Count)
	}
	fmt.Println(report.Changed, "of", report.Examined)
	// Output:
	// newly_denied /bot#reads 1
	// 1 of 1
}
