package tokenboundary_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

// exampleBoundary is a boundary that mints: one agent may read cases for a person, and hand that on to a tool.
func exampleBoundary(ctx context.Context) *tokenboundary.Governor {
	const issuer = "https://boundary.example"
	state := memory.New()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	minter, err := mint.Open(ctx, mint.Config{Issuer: issuer, Store: state, Signer: key})
	if err != nil {
		log.Fatal(err)
	}
	agent := func(id string) tokenboundary.Client {
		return tokenboundary.Client{
			ID: id, Kind: tokenboundary.KindAgent, Grants: []tokenboundary.Grant{tokenboundary.Exchange}, Connections: []string{"crm"},
		}
	}
	g, err := tokenboundary.New(tokenboundary.Config{
		Issuer: issuer, Store: state, Minter: minter,
		Clients: tokenboundary.ClientMap{"assistant": agent("assistant"), "tool": agent("tool")},
		Policy: tokenboundary.PolicyFunc(func(_ context.Context, f tokenboundary.Facts) (tokenboundary.Verdict, error) {
			return tokenboundary.Verdict{
				Effect: tokenboundary.Allow, Path: "/crm", Resources: f.Resources,
				Access:  []lineage.Access{{Resource: f.Resources[0], Scopes: f.Scopes}},
				Reasons: []lineage.Reason{{Resource: f.Resources[0], Scope: f.Scopes[0], Granted: true, Rule: "/crm#all", Delegates: []string{"tool"}}},

				Lifetime: time.Minute, Depth: 2, Derivations: 10,
			}, nil
		}),
	})
	if err != nil {
		log.Fatal(err)
	}
	return g
}

// verified stands for a client or a person that the host has authenticated itself.
func verified(id, kind string) tokenboundary.Credential {
	return tokenboundary.Credential{Type: tokenboundary.TypeIDToken, Verified: &tokenboundary.Principal{
		Party: lineage.Party{ID: id, Issuer: "https://idp.example", Kind: kind}, Identity: true, Issued: time.Now(),
	}}
}

// A task is started for a person; a tool derives from its token; completing the task kills both with one write.
func ExampleGovernor_Issue() {
	ctx := context.Background()
	g := exampleBoundary(ctx)
	client := func(id string) tokenboundary.Credential {
		return tokenboundary.Credential{Verified: &tokenboundary.Principal{Party: lineage.Party{ID: id}}}
	}
	request := func(by string, subject tokenboundary.Credential) tokenboundary.Request {
		return tokenboundary.Request{
			Grant: tokenboundary.Exchange, Client: client(by), Subject: subject,
			Resource: []string{"https://crm.example.com/"}, Scopes: []string{"cases:read"},
		}
	}
	start := request("assistant", verified("alice", "human"))
	start.Task = &tokenboundary.TaskSpec{Purpose: "triage", ExpiresIn: 15 * time.Minute}
	task, err := g.Issue(ctx, start)
	if err != nil {
		log.Fatal(err)
	}
	derived, err := g.Issue(ctx, request("tool", tokenboundary.Credential{Type: tokenboundary.TypeAccessToken, Value: task.Value()}))
	if err != nil {
		log.Fatal(err)
	}
	api := tokenboundary.Client{ID: "crm", Kind: tokenboundary.KindResource, Resource: "https://crm.example.com/"}
	state, err := g.Introspect(ctx, api, derived.Value())
	fmt.Println(state.Active, state.Claims.Subject, "←", state.Claims.Act.Subject, "←", state.Claims.Act.Act.Subject, err)

	owner := tokenboundary.Client{ID: "assistant", Kind: tokenboundary.KindAgent}
	ended, err := g.SetTask(ctx, owner, task.TaskID, tokenboundary.TaskCompleted)
	fmt.Println(ended.State, ended.Derivations, err)

	state, err = g.Introspect(ctx, api, derived.Value())
	fmt.Println(state.Active, err)
	_, err = g.Issue(ctx, request("tool", tokenboundary.Credential{Type: tokenboundary.TypeAccessToken, Value: derived.Value()}))
	var denied *tokenboundary.DeniedError
	fmt.Println(errors.As(err, &denied), denied.Decision.Code)
	// Output:
	// true alice ← tool ← assistant <nil>
	// completed 1 <nil>
	// false <nil>
	// true invalid_request
}

// An operator's cut by selector reaches everything that carries it, whatever its number.
func ExampleGovernor_Revoke() {
	ctx := context.Background()
	g := exampleBoundary(ctx)
	tok, err := g.Issue(ctx, tokenboundary.Request{
		Grant:    tokenboundary.Exchange,
		Client:   tokenboundary.Credential{Verified: &tokenboundary.Principal{Party: lineage.Party{ID: "assistant"}}},
		Subject:  verified("alice", "human"),
		Resource: []string{"https://crm.example.com/"}, Scopes: []string{"cases:read"},
	})
	if err != nil {
		log.Fatal(err)
	}
	operator := tokenboundary.Client{ID: "ops", Kind: tokenboundary.KindOperator}
	selector, err := lineage.ParseSelector("connection:crm")
	if err != nil {
		log.Fatal(err)
	}
	entry, err := g.Revoke(ctx, operator, lineage.Revocation{Selector: selector, Reason: "vendor incident"})
	fmt.Println(entry.Selector, err)
	state, err := g.Introspect(ctx, operator, tok.Value())
	fmt.Println(state.Active, err)
	// Output:
	// connection:crm <nil>
	// false <nil>
}
