package goidc_test

import (
	"context"
	"fmt"

	"github.com/luikyv/go-oidc/pkg/goidc"
	"github.com/luikyv/go-oidc/pkg/provider"

	tb "github.com/tokenboundary/tokenboundary"
	governed "github.com/tokenboundary/tokenboundary/hosts/goidc"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

// A provider whose tokens a boundary decides.
func Example_options() {
	boundary, err := tb.New(tb.Config{
		Issuer: "https://auth.example.com", Store: memory.New(), Clients: tb.ClientMap{},
		Policy: tb.PolicyFunc(func(context.Context, tb.Facts) (tb.Verdict, error) { return tb.Verdict{}, nil }),
	})
	if err != nil {
		panic(err)
	}
	opts := []provider.Option{
		provider.WithSecretBasicAuthn(),
		provider.WithJTIConsumer(func(context.Context, string) error { return nil }),
	}
	opts = append(opts, governed.Options(boundary, governed.Config{})...)
	op, err := provider.New("https://auth.example.com", nil, func(context.Context) (goidc.JSONWebKeySet, error) {
		return goidc.JSONWebKeySet{}, nil
	}, opts...)
	if err != nil {
		panic(err)
	}
	handler := op.Handler(governed.Middleware)
	fmt.Println(handler != nil)
	// Output: true
}
