package zitadel_test

import (
	"context"
	"fmt"

	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/op"

	tb "github.com/tokenboundary/tokenboundary"
	governed "github.com/tokenboundary/tokenboundary/hosts/zitadel"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

// A server whose tokens a boundary decides.
func Example_server() {
	const issuer = "https://auth.example.com"
	provider, err := op.NewProvider(&op.Config{}, storage.NewStorage(storage.NewUserStore(issuer)), op.StaticIssuer(issuer))
	if err != nil {
		panic(err)
	}
	boundary, err := tb.New(tb.Config{
		Issuer: issuer, Store: memory.New(), Clients: tb.ClientMap{},
		Policy: tb.PolicyFunc(func(context.Context, tb.Facts) (tb.Verdict, error) { return tb.Verdict{}, nil }),
	})
	if err != nil {
		panic(err)
	}
	operator := tb.Client{ID: "ops", Kind: tb.KindOperator}
	server, err := governed.New(op.NewLegacyServer(provider, *op.DefaultEndpoints), boundary, governed.Config{Operator: operator})
	if err != nil {
		panic(err)
	}
	handler := op.RegisterLegacyServer(server, op.AuthorizeCallbackHandler(provider))
	fmt.Println(handler != nil)
	// Output: true
}
