package suggest_test

import (
	"context"
	"fmt"
	"testing/fstest"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/policy/suggest"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

func ExampleRun() {
	policies := fstest.MapFS{"agents/tool.yaml": {Data: []byte(tool)}} // os.DirFS("policies")
	from := tokenboundary.Recall{
		Store:  memory.New(), // the store of the boundary
		Issuer: "https://boundary.example",
	}
	r, err := suggest.Run(context.Background(), from, policies, suggest.Options{
		Since: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		Until: time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range r.Suggestions {
		fmt.Println(s.File, s.Line, s.Kind, s.Rule, s.Value, s.Evidence.Grants, s.Why)
	}
	fmt.Printf("%d tokens, %d suggestions\n%s", r.Grants, len(r.Suggestions), r.Patch)
	// Output: 0 tokens, 0 suggestions
}
