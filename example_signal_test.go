package tokenboundary_test

import (
	"context"
	"fmt"
	"log"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// When a session becomes risky, what it would not be granted now is revoked at once; what it still would be stays.
func ExampleGovernor_Signal() {
	ctx := context.Background()
	g := exampleAssistant(ctx, func(_ context.Context, f tokenboundary.Facts) (tokenboundary.Verdict, error) {
		if f.Scopes[0] == "cases:write" && f.Risk != "low" {
			return tokenboundary.Verdict{Path: "/crm", Code: tokenboundary.CodeInvalidScope}, nil
		}
		v := exampleVerdict(f)
		v.Reasons[0].Refresh = false
		return v, nil
	})
	operator := tokenboundary.Client{ID: "ops", Kind: tokenboundary.KindOperator}
	alice := lineage.Selector{Kind: lineage.SelectSubject, Value: "alice"}
	signal := func(level string) {
		outcome, err := g.Signal(ctx, operator, tokenboundary.Signal{Selector: alice, Risk: level})
		fmt.Printf("%s: kept %d, revoked %d, complete %t, %v\n", level, outcome.Kept, outcome.Revoked, outcome.Complete, err)
	}
	signal("low")
	read, err := g.Issue(ctx, exampleRequest("cases:read"))
	if err != nil {
		log.Fatal(err)
	}
	write, err := g.Issue(ctx, exampleRequest("cases:write"))
	if err != nil {
		log.Fatal(err)
	}
	signal("high")
	for _, token := range []tokenboundary.Token{read, write} {
		state, err := g.Introspect(ctx, operator, token.Value())
		fmt.Println(token.Scopes, state.Active, err)
	}
	_, err = g.Issue(ctx, exampleRequest("cases:write"))
	fmt.Println(err)
	// Output:
	// low: kept 0, revoked 0, complete true, <nil>
	// high: kept 1, revoked 1, complete true, <nil>
	// [cases:read] true <nil>
	// [cases:write] false <nil>
	// tokenboundary: denied: invalid_scope
}

// After a revocation an operator asks how much it has cut.
func ExampleGovernor_Closure() {
	ctx := context.Background()
	g := exampleAssistant(ctx, func(_ context.Context, f tokenboundary.Facts) (tokenboundary.Verdict, error) {
		return exampleVerdict(f), nil
	})
	for range 3 {
		if _, err := g.Issue(ctx, exampleRequest("cases:read")); err != nil {
			log.Fatal(err)
		}
	}
	operator := tokenboundary.Client{ID: "ops", Kind: tokenboundary.KindOperator}
	connection := lineage.Selector{Kind: lineage.SelectConnection, Value: "crm"}
	if _, err := g.Revoke(ctx, operator, lineage.Revocation{Selector: connection, Reason: "vendor incident"}); err != nil {
		log.Fatal(err)
	}
	cut, err := g.Closure(ctx, operator, connection, lineage.ID{})
	fmt.Println(cut.Tokens, "tokens,", cut.Families, "refresh families, complete:", cut.Complete, err)
	// Output:
	// 3 tokens, 3 refresh families, complete: true <nil>
}
