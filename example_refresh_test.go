package tokenboundary_test

import (
	"context"
	"fmt"
	"log"

	"github.com/tokenboundary/tokenboundary"
)

// A refresh token is good for one use, and every use is decided anew. Who uses one twice ends the whole family: somebody
// else may have it.
func ExampleGovernor_Issue_refresh() {
	ctx := context.Background()
	g := exampleAssistant(ctx, func(_ context.Context, f tokenboundary.Facts) (tokenboundary.Verdict, error) {
		return exampleVerdict(f), nil
	})
	request := exampleRequest("cases:read")
	first, err := g.Issue(ctx, request)
	if err != nil {
		log.Fatal(err)
	}
	refresh := func(from tokenboundary.Token) (tokenboundary.Token, error) {
		return g.Issue(ctx, tokenboundary.Request{
			Grant: tokenboundary.Refresh, Client: request.Client,
			Subject: tokenboundary.Credential{Type: tokenboundary.TypeRefreshToken, Value: from.RefreshValue()},
		})
	}
	second, err := refresh(first)
	fmt.Println(second.Scopes, second.RefreshValue() != first.RefreshValue(), err)
	_, err = refresh(first)
	fmt.Println("used twice:", err)
	_, err = refresh(second)
	fmt.Println("its successor:", err)
	operator := tokenboundary.Client{ID: "ops", Kind: tokenboundary.KindOperator}
	state, err := g.Introspect(ctx, operator, second.Value())
	fmt.Println("and its access token:", state.Active, err)
	// Output:
	// [cases:read] true <nil>
	// used twice: tokenboundary: denied: invalid_grant
	// its successor: tokenboundary: denied: invalid_grant
	// and its access token: false <nil>
}
