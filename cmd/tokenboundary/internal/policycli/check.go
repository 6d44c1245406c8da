package policycli

import (
	"errors"
	"fmt"
	"io"

	"github.com/tokenboundary/tokenboundary/policy"
)

// checkOutput is what check writes with --json: the report, which is empty where the set is refused, and the reasons.
type checkOutput struct {
	policy.Report
	Problems     []policy.Problem `json:"problems"`
	MoreProblems int              `json:"more_problems,omitempty"`
}

// check is "policy check": what is wrong with a set, and what is suspicious in one that loads.
func check(args []string, stdout, stderr io.Writer) int {
	c := newCommand("check [--strict] [--json] DIR", stderr)
	strict := c.Bool("strict", false, "findings count as errors")
	asJSON := c.Bool("json", false, "write one JSON object instead of text")
	if code, ok := c.parse(args, 1); !ok {
		return code
	}
	fsys, err := tree(c.Arg(0))
	if err != nil {
		return c.fail(err)
	}
	out := checkOutput{Report: policy.Report{Findings: []policy.Finding{}}, Problems: []policy.Problem{}}
	report, err := policy.Check(fsys)
	refused, isRefused := errors.AsType[*policy.LoadError](err)
	switch {
	case isRefused:
		out.Problems, out.MoreProblems = refused.Problems, refused.More
	case err != nil:
		return c.fail(err)
	default:
		report.Findings = append(out.Findings, report.Findings...)
		out.Report = report
	}
	if *asJSON {
		printJSON(stdout, out)
	} else {
		out.write(stdout)
	}
	if isRefused || *strict && len(report.Findings) > 0 {
		return exitError
	}
	return exitOK
}

// write writes the output for people.
func (o checkOutput) write(w io.Writer) {
	for _, p := range o.Problems {
		say(w, p.Detail()+"\n")
	}
	for _, f := range o.Findings {
		say(w, f.String()+"\n")
	}
	if n := len(o.Problems) + o.MoreProblems; n > 0 {
		say(w, more(o.MoreProblems)+"the set is refused: "+count(n, "error")+"\n")
		return
	}
	say(w, fmt.Sprintf("%s%s in %s with %s and %s, version %s\n", more(o.More), count(len(o.Findings)+o.More, "finding"),
		count(o.Documents, "document"), count(o.Rules, "rule"), count(o.Expressions, "distinct condition"), o.Version))
}
