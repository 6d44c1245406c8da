package tokenboundary_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

// An auth server that mints its own tokens asks before it mints, and records afterwards.
func Example() {
	ctx := context.Background()
	boundary, err := tokenboundary.New(tokenboundary.Config{
		Issuer: "https://auth.example.com",
		Store:  memory.New(),
		Clients: tokenboundary.ClientMap{"support-bot": {
			ID: "support-bot", Kind: tokenboundary.KindAgent,
			Grants: []tokenboundary.Grant{tokenboundary.ClientCredentials}, Connections: []string{"crm"},
		}},
		Policy: tokenboundary.PolicyFunc(func(_ context.Context, f tokenboundary.Facts) (tokenboundary.Verdict, error) {
			return tokenboundary.Verdict{
				Effect: tokenboundary.Allow, Path: "/support-bot/crm", Resources: f.Resources,
				Access:   []lineage.Access{{Resource: f.Resources[0], Scopes: []string{"cases:read"}}},
				Lifetime: time.Minute,
			}, nil
		}),
	})
	if err != nil {
		log.Fatal(err)
	}
	decision, err := boundary.Decide(ctx, tokenboundary.Request{
		Grant:    tokenboundary.ClientCredentials,
		Client:   tokenboundary.Credential{Verified: &tokenboundary.Principal{Party: lineage.Party{ID: "support-bot"}}},
		Resource: []string{"https://crm.example.com/"},
		Scopes:   []string{"cases:read", "cases:delete"},
		Enforce:  tokenboundary.CapScopes | tokenboundary.CapLifetime | tokenboundary.CapRecord,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(decision.Effect, decision.Granted.Scopes("https://crm.example.com/"))
	for _, r := range decision.Reasons {
		fmt.Printf("%s granted=%t (%s)\n", r.Scope, r.Granted, r.Why)
	}
	// Mint here, with decision.ID as a claim, and hand the token out only if Record succeeds.
	fmt.Println(boundary.Record(ctx, decision, tokenboundary.HostToken{Handle: "token-1"}))
	// Output:
	// allow [cases:read]
	// cases:delete granted=false (no rule grants it)
	// cases:read granted=true ()
	// <nil>
}
