package lineage_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
)

var issued = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// record makes a record of a token for the CRM. In a program the Governor does this.
func record(client string, parent *lineage.Record, scopes ...string) lineage.Record {
	env := lineage.Envelope{
		Kind: lineage.KindToken, Issuer: "https://boundary.example", IssuedAt: issued, Since: issued, ExpiresAt: issued.Add(5 * time.Minute),
	}
	body := lineage.Body{
		Client: client, Subject: lineage.Party{ID: "alice"},
		Granted:   lineage.Authority{Access: []lineage.Access{{Resource: "https://crm.example.com/", Scopes: scopes}}},
		Selectors: []lineage.Selector{{Kind: lineage.SelectClient, Value: client}},
	}
	if parent != nil {
		env.Parents = []lineage.ID{parent.ID()}
		env.Ancestors = append(append(env.Ancestors, parent.Ancestors...), parent.ID())
		env.Grant = parent.Root()
		body.Actors = []lineage.Party{{ID: client}}
		body.Selectors = append(body.Selectors, parent.Selectors()...)
	}
	r, err := lineage.Seal(env, body)
	if err != nil {
		panic(err)
	}
	return r
}

// A token's id is the address of its record. Whoever has the id can tell whether the records that are claimed to stand
// behind it are the ones that were written.
func ExampleVerifyChain() {
	root := record("support-bot", nil, "cases:read", "cases:write")
	child := record("crm-tool", &root, "cases:read")
	fmt.Println("as recorded:", lineage.VerifyChain(child.ID(), []lineage.Record{root, child}))

	other := record("support-bot", nil, "cases:read", "cases:write")
	err := lineage.VerifyChain(child.ID(), []lineage.Record{other, child})
	fmt.Println("with another root:", errors.Is(err, lineage.ErrChain))

	wide := record("crm-tool", &root, "cases:read", "cases:delete")
	err = lineage.VerifyChain(wide.ID(), []lineage.Record{root, wide})
	fmt.Println("with more than its parent had:", errors.Is(err, lineage.ErrChain))
	// Output:
	// as recorded: <nil>
	// with another root: true
	// with more than its parent had: true
}

// What two authorities have in common is all that may be handed on.
func ExampleAuthority_Meet() {
	parent := lineage.Authority{
		Access:   []lineage.Access{{Resource: "https://crm.example.com/", Scopes: []string{"cases:read", "contacts:read"}}},
		NotAfter: issued.Add(time.Minute), Depth: 2,
	}
	asked := lineage.Authority{
		Access:   []lineage.Access{{Resource: "https://crm.example.com/", Scopes: []string{"cases:read", "cases:delete"}}},
		NotAfter: issued.Add(time.Hour), Depth: 5,
	}
	granted := parent.Meet(asked)
	fmt.Println(granted, granted.NotAfter.Format(time.TimeOnly), granted.Depth)
	fmt.Println(parent.Covers(granted), parent.Covers(asked))
	// Output:
	// https://crm.example.com/ [cases:read] 12:01:00 2
	// true false
}

// A cut reaches what was issued before it, and leaves what is issued later alone.
func ExampleMark_Kills() {
	sel, err := lineage.ParseSelector("connection:salesforce-prod")
	if err != nil {
		panic(err)
	}
	mark := lineage.Mark{}.Apply(lineage.Revocation{Selector: sel, Before: issued})
	fmt.Println(mark.Kills(issued.Add(-time.Second)), mark.Kills(issued))
	// Output: true false
}
