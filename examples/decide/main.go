// Decide asks before a token is minted and records it afterwards: for an auth server that mints its own tokens.
package main

import (
	"context"
	"fmt"
	"time"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

func main() {
	const crm = "https://crm.example.com/"
	ctx := context.Background()
	boundary, err := tb.New(tb.Config{
		Issuer: "https://auth.example.com",
		Store:  memory.New(),
		Clients: tb.ClientMap{"support-bot": {
			ID: "support-bot", Kind: tb.KindAgent, Connections: []string{"crm"}, Grants: []tb.Grant{tb.ClientCredentials},
		}},
		Policy: tb.PolicyFunc(func(_ context.Context, f tb.Facts) (tb.Verdict, error) {
			return tb.Verdict{
				Effect: tb.Allow, Path: "/support-bot/crm", Resources: f.Resources, Lifetime: time.Minute,
				Access: []lineage.Access{{Resource: crm, Scopes: []string{"cases:read"}}},
			}, nil
		}),
	})
	check(err)
	decision, err := boundary.Decide(ctx, tb.Request{
		Grant:    tb.ClientCredentials,
		Client:   tb.Credential{Verified: &tb.Principal{Party: lineage.Party{ID: "support-bot"}}},
		Resource: []string{crm},
		Scopes:   []string{"cases:read", "cases:delete"},
		Enforce:  tb.CapScopes | tb.CapLifetime | tb.CapRecord,
	})
	check(err)
	fmt.Println(decision.Effect, decision.Granted)
	for _, r := range decision.Reasons {
		fmt.Printf("  %-12s granted=%t %s\n", r.Scope, r.Granted, r.Why)
	}
	// Mint here, with decision.ID as a claim. The token may leave only if Record succeeds.
	check(boundary.Record(ctx, decision, tb.HostToken{Handle: "token-1"}))
	fmt.Println("recorded")
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
