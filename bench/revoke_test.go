package bench

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// governor returns a boundary over s whose policy grants what is asked for.
func governor(b *testing.B, s store.Store) *tb.Governor {
	g, err := tb.New(tb.Config{
		Issuer: issuer, Store: s,
		Clients: tb.ClientMap{"agent": {
			ID: "agent", Kind: tb.KindAgent, Grants: []tb.Grant{tb.ClientCredentials, tb.Exchange}, Connections: []string{"prod"},
		}},
		Policy: tb.PolicyFunc(func(_ context.Context, f tb.Facts) (tb.Verdict, error) {
			return tb.Verdict{
				Effect: tb.Allow, Path: "/agent", Version: "v1", Resources: f.Resources, Depth: 3, Derivations: 1 << 30,
				Access: []lineage.Access{{Resource: crm, Scopes: f.Scopes}}, Lifetime: time.Hour,
			}, nil
		}),
		Lifetimes: tb.Lifetimes{AccessToken: time.Hour, Task: time.Hour},
	})
	if err != nil {
		b.Fatal(err)
	}
	return g
}

func decide(b *testing.B, g *tb.Governor, req tb.Request) tb.Decision {
	req.Client = tb.Credential{Verified: &tb.Principal{Party: lineage.Party{ID: "agent"}}}
	req.Resource, req.Scopes, req.Enforce = []string{crm}, []string{"read"}, tb.CapScopes|tb.CapResources|tb.CapLifetime
	d, err := g.Decide(b.Context(), req)
	if err != nil || d.Effect != tb.Allow {
		b.Fatal(err, d.Code, d.Reasons)
	}
	return d
}

// grown returns a task under which n tokens have been derived.
func grown(b *testing.B, g *tb.Governor, n int) lineage.ID {
	task := decide(b, g, tb.Request{Grant: tb.ClientCredentials, Task: &tb.TaskSpec{Purpose: "work"}})
	subject := tb.Credential{Type: tb.TypeAccessToken, Verified: &tb.Principal{Party: task.Subject, Lineage: task.ID}}
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			for j := i; j < n; j += 64 {
				decide(b, g, tb.Request{Grant: tb.Exchange, Subject: subject})
			}
		})
	}
	all.Wait()
	return task.TaskID
}

// BenchmarkRevokeTask shows that revoking a task costs the same whatever was derived from it.
func BenchmarkRevokeTask(b *testing.B) {
	for _, s := range stores {
		for _, n := range []int{10, 100_000} {
			b.Run(fmt.Sprintf("%s/derived=%d", s.name, n), func(b *testing.B) {
				g := governor(b, s.open(b))
				r := lineage.Revocation{Selector: lineage.Selector{Kind: lineage.SelectTask, Value: grown(b, g, n).String()}}
				for b.Loop() {
					if _, err := g.Revoke(b.Context(), ops, r); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
