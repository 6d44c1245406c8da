package main

import (
	"context"
	"os"
	"slices"
	"time"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

// newBoundary permits the bot what it asks for, for a minute and within its task. A real boundary has policies.
func newBoundary(ctx context.Context, endpoint string) (*tb.Governor, *mint.Mint, error) {
	const issuer = "https://boundary.example.com"
	dir, err := os.MkdirTemp("", "keys")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // they are read by then
	state := memory.New()
	keys, err := mint.Open(ctx, mint.Config{Issuer: issuer, Store: state, Dir: dir})
	if err != nil {
		return nil, nil, err
	}
	boundary, err := tb.New(tb.Config{
		Issuer: issuer, Store: state, Minter: keys,
		Clients: tb.ClientMap{"bot": {
			ID: "bot", Kind: tb.KindAgent, Connections: []string{"crm"}, Grants: []tb.Grant{tb.ClientCredentials, tb.Exchange},
		}, "crm": {ID: "crm", Kind: tb.KindResource, Resource: endpoint}},
		Policy: tb.PolicyFunc(func(_ context.Context, f tb.Facts) (tb.Verdict, error) {
			v := tb.Verdict{Effect: tb.Allow, Path: "/bot", Resources: []string{endpoint}, Lifetime: time.Minute, Depth: 1, Derivations: 100}
			var granted []string
			for _, s := range f.Scopes {
				if f.Ceiling == nil || slices.Contains(f.Ceiling.Scopes(endpoint), s) {
					granted = append(granted, s)
					v.Reasons = append(v.Reasons, lineage.Reason{Resource: endpoint, Scope: s, Granted: true})
				}
			}
			v.Access = []lineage.Access{{Resource: endpoint, Scopes: granted}}
			return v, nil
		}),
	})
	return boundary, keys, err
}

// is says who somebody is, to a boundary in the same process.
func is(client string) tb.Credential {
	return tb.Credential{Verified: &tb.Principal{Party: lineage.Party{ID: client}, Identity: true}}
}
