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

// exampleAssistant is a boundary that mints, with one agent and a policy of the example.
func exampleAssistant(ctx context.Context, policy tokenboundary.PolicyFunc) *tokenboundary.Governor {
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
	g, err := tokenboundary.New(tokenboundary.Config{
		Issuer: issuer, Store: state, Minter: minter, Policy: policy,
		Clients: tokenboundary.ClientMap{"assistant": {
			ID: "assistant", Kind: tokenboundary.KindAgent, Connections: []string{"crm"},
			Grants: []tokenboundary.Grant{tokenboundary.Exchange, tokenboundary.Refresh},
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	return g
}

// exampleRequest asks for a scope at the CRM, for alice.
func exampleRequest(scope string) tokenboundary.Request {
	return tokenboundary.Request{
		Grant:    tokenboundary.Exchange,
		Client:   tokenboundary.Credential{Verified: &tokenboundary.Principal{Party: lineage.Party{ID: "assistant"}}},
		Subject:  verified("alice", "human"),
		Resource: []string{"https://crm.example.com/"}, Scopes: []string{scope},
	}
}

// exampleVerdict allows what is asked for, and lets it be refreshed.
func exampleVerdict(f tokenboundary.Facts) tokenboundary.Verdict {
	return tokenboundary.Verdict{
		Effect: tokenboundary.Allow, Path: "/crm", Resources: f.Resources, Lifetime: time.Minute, Depth: 1,
		Access:  []lineage.Access{{Resource: f.Resources[0], Scopes: f.Scopes}},
		Reasons: []lineage.Reason{{Resource: f.Resources[0], Scope: f.Scopes[0], Granted: true, Rule: "/crm#all", Refresh: true}},
	}
}

// An agent that may refund only if a team lead agrees is told to wait, and polls until somebody has decided.
func ExampleGovernor_Approve() {
	ctx := context.Background()
	g := exampleAssistant(ctx, func(_ context.Context, f tokenboundary.Facts) (tokenboundary.Verdict, error) {
		v := exampleVerdict(f)
		v.Obligations = []lineage.Obligation{{
			Kind: "approval", Scopes: []string{"refunds:write"}, Args: map[string]string{"by": "support-leads"},
		}}
		return v, nil
	})
	request := exampleRequest("refunds:write")
	request.Deferrable = true // the client accepts to be told to wait
	_, err := g.Issue(ctx, request)
	var answer *tokenboundary.DeniedError
	if !errors.As(err, &answer) {
		log.Fatal(err)
	}
	wait := answer.Decision.Deferral
	fmt.Println(answer.Decision.Code, wait.Interval)

	poll := tokenboundary.Request{
		Grant: tokenboundary.Deferred, Client: request.Client,
		Subject: tokenboundary.Credential{Type: tokenboundary.TypeDeferralCode, Value: wait.Value()},
	}
	_, err = g.Issue(ctx, poll)
	fmt.Println(err)

	console := tokenboundary.Client{
		ID: "console", Kind: tokenboundary.KindOperator, Groups: []string{"support-leads"}, Person: "lena@example.com",
	}
	pending, err := g.Approvals(ctx, console)
	if err != nil {
		log.Fatal(err)
	}
	for _, a := range pending {
		fmt.Println(a.Client, "for", a.Subject.ID, "asks for", a.Granted.Access)
		if _, err := g.Approve(ctx, console, a.ID, true); err != nil {
			log.Fatal(err)
		}
	}
	token, err := g.Issue(ctx, poll)
	fmt.Println(token.Scopes, err)
	_, err = g.Issue(ctx, poll)
	fmt.Println(err)
	// Output:
	// authorization_pending 5s
	// tokenboundary: denied: authorization_pending
	// assistant for alice asks for [{https://crm.example.com/ [refunds:write]}]
	// [refunds:write] <nil>
	// tokenboundary: denied: invalid_grant
}
