package verify_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/store/memory"
	"github.com/tokenboundary/tokenboundary/verify"
)

// An API in the process of its boundary: a route requires a scope, and a token that is revoked opens nothing any more. Where
// the boundary runs elsewhere, NewRemote takes the place of Local.
func ExampleVerifier_Require() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	const resource = "https://crm.example.com/"
	boundary, keys, token := boundaryOf(ctx, resource)
	v, err := verify.New(verify.Config{
		Issuer: boundary.Issuer(), Resource: resource, JWKS: keys,
		Boundary: verify.Local{Governor: boundary, Client: tokenboundary.Client{ID: "crm", Kind: tokenboundary.KindResource, Resource: resource}},
	})
	if err != nil {
		log.Fatal(err)
	}
	go v.Run(ctx) //nolint:errcheck // it ends with the example
	if err := v.Await(ctx, 0); err != nil {
		log.Fatal(err)
	}
	cases := v.Require(verify.Route{Scopes: []string{"cases:read"}})(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		claims, _ := verify.ClaimsFrom(r.Context())
		fmt.Println("cases for", claims.Subject)
	}))
	ask := func() {
		r := httptest.NewRequest(http.MethodGet, resource+"cases", nil)
		r.Header.Set("Authorization", "Bearer "+token.Value())
		w := httptest.NewRecorder()
		cases.ServeHTTP(w, r)
		fmt.Printf("%d %q\n", w.Code, w.Header().Values("WWW-Authenticate"))
	}
	ask()
	ops := tokenboundary.Client{ID: "ops", Kind: tokenboundary.KindOperator}
	cut, err := boundary.Revoke(ctx, ops, lineage.Revocation{Selector: lineage.Selector{Kind: lineage.SelectClient, Value: "bot"}})
	if err != nil {
		log.Fatal(err)
	}
	if err := v.Await(ctx, cut.Seq); err != nil {
		log.Fatal(err)
	}
	ask()
	// Output:
	// cases for bot
	// 200 []
	// 401 ["Bearer error=\"invalid_token\", error_description=\"The access token is not acceptable\", resource_metadata=\"https://crm.example.com/.well-known/oauth-protected-resource\""]
}

// boundaryOf returns a boundary that grants cases:read, its key set, and a token of its client bot.
func boundaryOf(ctx context.Context, resource string) (*tokenboundary.Governor, []byte, tokenboundary.Token) {
	const issuer = "https://boundary.example"
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	state := memory.New()
	m, err := mint.Open(ctx, mint.Config{Issuer: issuer, Store: state, Signer: key})
	if err != nil {
		log.Fatal(err)
	}
	g, err := tokenboundary.New(tokenboundary.Config{
		Issuer: issuer, Store: state, Minter: m,
		Clients: tokenboundary.ClientMap{"bot": {
			ID: "bot", Kind: tokenboundary.KindAgent, Connections: []string{"prod"}, Grants: []tokenboundary.Grant{tokenboundary.ClientCredentials},
		}},
		Policy: tokenboundary.PolicyFunc(func(context.Context, tokenboundary.Facts) (tokenboundary.Verdict, error) {
			return tokenboundary.Verdict{
				Effect: tokenboundary.Allow, Path: "/bot", Version: "v1", Resources: []string{resource}, Lifetime: time.Minute,
				Access: []lineage.Access{{Resource: resource, Scopes: []string{"cases:read"}}},
			}, nil
		}),
	})
	if err != nil {
		log.Fatal(err)
	}
	token, err := g.Issue(ctx, tokenboundary.Request{
		Grant: tokenboundary.ClientCredentials, Resource: []string{resource}, Scopes: []string{"cases:read"},
		Client: tokenboundary.Credential{Verified: &tokenboundary.Principal{Party: lineage.Party{ID: "bot"}, Identity: true}},
	})
	if err != nil {
		log.Fatal(err)
	}
	keys, err := m.JWKS(ctx)
	if err != nil {
		log.Fatal(err)
	}
	return g, keys, token
}
