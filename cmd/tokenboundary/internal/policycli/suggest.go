package policycli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary/policy/suggest"
)

const suggestUse = "suggest --store FILE --issuer URL [--since T] [--until T] [--min-grants N] [--min-time D] [--json] DIR"

// runSuggest prints what of a set nobody needed: the evidence as comments, and the patch. Nothing is written.
func runSuggest(args []string, stdout, stderr io.Writer) int {
	c := newCommand(suggestUse, stderr)
	var from history
	from.flags(c.FlagSet)
	var opts suggest.Options
	c.Func("since", "count decisions from this `time` on: 2026-03-01, or as RFC 3339 writes it", moment(&opts.Since))
	c.Func("until", "count decisions before this `time`; now, if it is not said", moment(&opts.Until))
	c.IntVar(&opts.MinGrants, "min-grants", 0, "how many `grants` without a use are evidence (50)")
	c.DurationVar(&opts.MinTime, "min-time", 0, "over how long a `time` they must stretch (336h)")
	asJSON := c.Bool("json", false, "print the report as JSON")
	if code, ok := c.parse(args, 1); !ok {
		return code
	}
	switch problem := from.misused(); {
	case problem != "":
		return c.misuse(problem)
	case opts.MinGrants < 0 || opts.MinTime < 0:
		return c.misuse("--min-grants and --min-time may not be negative")
	case opts.Until.IsZero():
		opts.Until = clock.New().Now()
	}
	r, err := suggested(c.Arg(0), from, opts)
	if err != nil {
		return c.fail(err)
	}
	if *asJSON {
		printJSON(stdout, r)
	} else {
		say(stdout, suggestions(r))
	}
	return exitOK
}

func suggested(dir string, records history, opts suggest.Options) (r suggest.Report, err error) {
	fsys, err := tree(dir)
	if err != nil {
		return r, err
	}
	from, closed, err := records.open()
	if err != nil {
		return r, err
	}
	defer closed()
	return suggest.Run(context.Background(), from, fsys, opts)
}

// suggestions writes the evidence as comments, which those who apply a patch pass over, and then the patch.
func suggestions(r suggest.Report) string {
	var b, held strings.Builder
	fmt.Fprintf(&b, "# %d tokens until %s; %d recorded decisions were asked again under the patched set\n",
		r.Grants, r.Until.UTC().Format(time.RFC3339), r.Asked)
	for _, s := range r.Suggestions {
		line := fmt.Sprintf("#   %s:%d: %s: %s\n", shown(s.File), s.Line, about(s), evidence(s))
		if s.Patched {
			b.WriteString(line)
			continue
		}
		held.WriteString(line + "#     " + shown(s.Why) + "\n")
	}
	switch {
	case len(r.Suggestions) == 0 && r.Grants == 0:
		b.WriteString("#   nothing to suggest: no token is of this --issuer, exactly as the server's configuration has it, and within the other flags\n")
	case len(r.Suggestions) == 0:
		b.WriteString("#   nothing to suggest\n")
	}
	if held.Len() > 0 {
		b.WriteString("# not in the patch, for you to decide:\n" + held.String())
	}
	if len(r.Silent) > 0 {
		b.WriteString("# no use was reported by these resources, so that nothing granted there is known to be unused:\n")
	}
	for _, s := range r.Silent {
		fmt.Fprintf(&b, "#   %s: %d tokens\n", shown(s.Resource), s.Grants)
	}
	return b.String() + r.Patch
}

// about says what a suggestion is about.
func about(s suggest.Suggestion) string {
	rule, value := "rule "+shown(s.Rule), shown(s.Value)
	switch s.Kind {
	case suggest.Rule:
		return rule + " is not needed"
	case suggest.Lifetime:
		return rule + ": a lifetime of " + value + " is enough"
	case suggest.Refresh:
		return rule + ": nothing is refreshed"
	case suggest.Delegate:
		return rule + ": the delegate " + value + " derives nothing"
	case suggest.Resource:
		return "the resource " + value + " is never asked for"
	}
	return rule + ": the scope " + value + " is not used"
}

// evidence says what speaks for it.
func evidence(s suggest.Suggestion) string {
	e, day := s.Evidence, func(t time.Time) string { return t.UTC().Format(time.DateOnly) }
	out := fmt.Sprintf("%d tokens from %s to %s", e.Grants, day(e.First), day(e.Last))
	if e.Used > 0 {
		what := "used"
		if s.Kind == suggest.Scope || s.Kind == suggest.Rule {
			what = "used for something else"
		}
		out += fmt.Sprintf(", %d of them %s, last on %s", e.Used, what, day(e.LastUse))
	}
	if s.Kind == suggest.Lifetime {
		out += fmt.Sprintf(", no later than %s after they were issued", e.Longest.Round(time.Second))
	}
	return out
}
