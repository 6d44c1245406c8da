package policycli

import (
	"context"
	"io"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/policy"
)

const explainUse = "explain [--request FILE] [--client ID] [--connection NAME] [--grant GRANT] … | --record ID --store FILE --issuer URL DIR"

// explain says how a request is decided. It ends with exitOK if the request is allowed.
func explain(args []string, stdout, stderr io.Writer) int {
	c := newCommand(explainUse, stderr)
	var q question
	q.flags(c.FlagSet)
	var r recorded
	r.flags(c.FlagSet)
	asJSON := c.Bool("json", false, "print the explanation as JSON")
	if code, ok := c.parse(args, 1); !ok {
		return code
	}
	if problem := r.misused(q); problem != "" {
		return c.misuse(problem)
	}
	set, err := loaded(c.Arg(0))
	if err != nil {
		return c.fail(err)
	}
	ctx := context.Background()
	asked, notes, err := subject(ctx, q, r, set)
	if err != nil {
		return c.fail(err)
	}
	code := exitOK
	for _, facts := range asked {
		x, err := set.Explain(ctx, facts)
		if err != nil {
			return c.fail(err)
		}
		x.Notes = append(x.Notes, notes...)
		if *asJSON {
			printJSON(stdout, x)
		} else {
			printExplanation(stdout, x)
		}
		if x.Verdict.Effect != tokenboundary.Allow {
			code = exitError
		}
	}
	return code
}

// subject returns what is asked about, and what there is to note: the request, or what the policy was asked for the record.
func subject(ctx context.Context, q question, r recorded, set *policy.Set) ([]tokenboundary.Facts, []string, error) {
	if r.id != "" {
		return r.facts(ctx, set)
	}
	facts, err := q.facts()
	return []tokenboundary.Facts{facts}, nil, err
}
