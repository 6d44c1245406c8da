package policycli

import (
	"context"
	"encoding/json"
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
	asked, notes, err := r.facts(ctx, set)
	if r.id == "" {
		asked, err = q.facts()
	}
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

func loaded(dir string) (*policy.Set, error) {
	fsys, err := tree(dir)
	if err != nil {
		return nil, err
	}
	return policy.Load(fsys)
}

func printJSON(w io.Writer, v any) {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	_ = enc.Encode(v) // whoever does not read it is not waited for
}
