package tokenboundary_test

import (
	"context"
	"fmt"
	"log"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// A person is erased: first what is alive is cut, then every record loses its body. The envelopes stay, and say so.
func ExampleGovernor_Erase() {
	ctx := context.Background()
	g := exampleAssistant(ctx, func(_ context.Context, f tokenboundary.Facts) (tokenboundary.Verdict, error) {
		v := exampleVerdict(f)
		v.Reasons[0].Refresh = false
		return v, nil
	})
	token, err := g.Issue(ctx, exampleRequest("cases:read"))
	if err != nil {
		log.Fatal(err)
	}
	operator := tokenboundary.Client{ID: "ops", Kind: tokenboundary.KindOperator}
	alice := lineage.Selector{Kind: lineage.SelectSubject, Value: "alice"}
	erase := func() {
		out, err := g.Erase(ctx, operator, alice)
		fmt.Println("erased:", out.Erased, "remaining:", out.Remaining, err)
	}
	erase()
	if _, err := g.Revoke(ctx, operator, lineage.Revocation{Selector: alice, Reason: "has left"}); err != nil {
		log.Fatal(err)
	}
	erase()
	chain, err := g.Lineage(ctx, operator, token.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(lineage.VerifyChain(token.ID, []lineage.Record{chain[0].Record}), chain[0].State, chain[0].Record.Body == nil)
	// Output:
	// erased: 0 remaining: 1 <nil>
	// erased: 1 remaining: 0 <nil>
	// <nil> revoked true
}
