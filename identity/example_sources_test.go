package identity_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/identity"
)

func ExampleSources() {
	// What a boundary may hold instead of a secret.
	hash := sha256.Sum256([]byte("a random secret of the client"))
	clients, err := identity.Clients(identity.ClientsConfig{
		Issuer:  "https://boundary.example",
		Clients: []identity.ClientAuth{{ID: "crm", SecretHash: hash[:]}},
	})
	if err != nil {
		panic(err)
	}
	people, err := identity.OIDC(identity.OIDCConfig{
		Issuer: "https://idp.example", Audience: "https://boundary.example", Session: "human",
		JWKSURI: "https://idp.example/jwks.json",
	})
	if err != nil {
		panic(err)
	}
	sources, err := identity.Sources(clients, people) // for tokenboundary.Config.Identities
	if err != nil {
		panic(err)
	}

	cred := tokenboundary.Credential{Type: tokenboundary.TypeClientSecret, ID: "crm", Value: "a random secret of the client"}
	p, err := sources[0].Identify(context.Background(), cred)
	fmt.Println(p.Party.ID, p.Party.Issuer, err)

	cred.Value = "a guess"
	_, err = sources[0].Identify(context.Background(), cred)
	fmt.Println(err)

	_, err = sources[1].Identify(context.Background(), cred)
	fmt.Println(errors.Is(err, tokenboundary.ErrNotMine))

	_, err = identity.Sources(people, people)
	fmt.Println(err)
	// Output:
	// crm https://boundary.example <nil>
	// identity: client or secret is wrong
	// true
	// identity: two sources for issuer "https://idp.example"
}

func ExampleParseID() {
	id, err := identity.ParseID("spiffe://acme.example/agents/support-bot")
	fmt.Println(id.TrustDomain, id.Path, err)
	_, err = identity.ParseID("spiffe://acme.example/agents/../admin")
	fmt.Println(err)
	// Output:
	// acme.example /agents/support-bot <nil>
	// identity: not a SPIFFE ID
}
