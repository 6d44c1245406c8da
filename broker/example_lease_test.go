package broker_test

import (
	"context"
	"fmt"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/broker"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

// A service holds the account of a system that knows nothing of tokens, and uses it for whoever presents one, until the task
// ends that the token belongs to.
func Example() {
	ctx := context.Background()
	agent := tokenboundary.Client{
		ID: "bot", Kind: tokenboundary.KindAgent, Grants: []tokenboundary.Grant{tokenboundary.ClientCredentials}, Connections: []string{"erp"},
	}
	g, err := tokenboundary.New(tokenboundary.Config{
		Issuer: "https://boundary.example", Store: memory.New(), Clock: clock.New(),
		Clients: tokenboundary.ClientMap{"bot": agent}, Policy: tokenboundary.PolicyFunc(allowReading),
	})
	if err != nil {
		panic(err)
	}
	b, err := broker.New(broker.Config{
		Governor: g,
		Client: tokenboundary.Client{
			ID: "erp-broker", Kind: tokenboundary.KindResource, Resource: "https://erp.example/", Connections: []string{"erp"},
		},
		Providers: map[string]broker.Provider{"erp": accounts{}},
	})
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go b.Run(ctx) //nolint:errcheck // it ends with the context

	token, task := minted(ctx, g)
	lease, err := b.Lease(ctx, tokenboundary.LeaseRequest{Token: token, Scopes: []string{"read"}})
	if err != nil {
		panic(err)
	}
	use := func(_ context.Context, s broker.Secret) error {
		fmt.Println("logs in as", s.Value("username"), "with", s)
		return nil
	}
	fmt.Println(lease.Use(ctx, use))
	_, err = g.SetTask(ctx, agent, task, tokenboundary.TaskCompleted)
	fmt.Println(err, lease.Use(ctx, use))
	<-lease.Done()
	// Output:
	// logs in as reader with secret(hidden)
	// <nil>
	// <nil> broker: the lease is over
}

// accounts is a provider of one account. One that makes accounts names them after the lease, and removes them in Revoke.
type accounts struct{}

func (accounts) Fetch(context.Context, tokenboundary.Lease) (broker.Issued, error) {
	return broker.Issued{Secret: broker.NewSecret(map[string]string{"username": "reader", "password": "xyzzy"})}, nil
}

func (accounts) Revoke(context.Context, tokenboundary.Lease) error { return nil }

func allowReading(_ context.Context, f tokenboundary.Facts) (tokenboundary.Verdict, error) {
	read := []lineage.Access{{Resource: "https://erp.example/", Scopes: []string{"read"}}}
	return tokenboundary.Verdict{
		Effect: tokenboundary.Allow, Path: "/erp", Version: "v1", Resources: f.Resources, Access: read, Lifetime: 1 << 38, Depth: 1, Derivations: 100,
	}, nil
}

// minted is a token that the host mints for a new task of the agent.
func minted(ctx context.Context, g *tokenboundary.Governor) (tokenboundary.Credential, lineage.ID) {
	d, err := g.Decide(ctx, tokenboundary.Request{
		Grant:    tokenboundary.ClientCredentials,
		Client:   tokenboundary.Credential{Type: "host", ID: "bot", Verified: &tokenboundary.Principal{Party: lineage.Party{ID: "bot"}, Identity: true}},
		Resource: []string{"https://erp.example/"}, Scopes: []string{"read"}, Task: &tokenboundary.TaskSpec{Purpose: "close the month"},
		Enforce: tokenboundary.CapScopes | tokenboundary.CapResources | tokenboundary.CapLifetime | tokenboundary.CapRecord,
	})
	if err != nil || d.Effect != tokenboundary.Allow {
		panic(fmt.Sprint(err, d.Reasons))
	}
	if err := g.Record(ctx, d, tokenboundary.HostToken{Handle: "session-1"}); err != nil {
		panic(err)
	}
	return tokenboundary.Credential{Type: tokenboundary.TypeAccessToken, Verified: &tokenboundary.Principal{
		Party: d.Subject, Lineage: d.ID,
	}}, d.TaskID
}
