package policycli

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/tokenboundary/tokenboundary/policy/policytest"
)

const testUse = "test [--cover] [--min-cover PERCENT] [--junit FILE] [--run REGEXP] [-v] DIR"

// runTest runs the tests that stand beside the policies.
func runTest(args []string, stdout, stderr io.Writer) int {
	c := newCommand(testUse, stderr)
	cover := c.Bool("cover", false, "report which rules no test covers")
	least := c.Int("min-cover", 0, "fail if less than `PERCENT` of the rules are covered; implies --cover")
	junit := c.String("junit", "", "also write the results to `FILE`, as JUnit XML")
	only := c.String("run", "", "run only the tests whose name, test/case, matches `REGEXP`")
	verbose := c.Bool("v", false, "name the tests that passed too")
	if code, ok := c.parse(args, 1); !ok {
		return code
	}
	if *least < 0 || *least > 100 {
		return c.misuse("--min-cover: must be between 0 and 100")
	}
	opts := policytest.Options{Cover: *cover || *least > 0}
	if *only != "" {
		var err error
		if opts.Run, err = regexp.Compile(*only); err != nil {
			return c.misuse("--run: " + err.Error())
		}
	}
	report, err := runTests(c.Arg(0), opts)
	if *junit != "" {
		if bad := os.WriteFile(*junit, junitXML(report, err), 0o644); bad != nil {
			return c.fail(bad)
		}
	}
	if err != nil {
		return c.fail(err)
	}
	say(stdout, resultsText(report, *verbose))
	return c.verdict(report, *least, stdout)
}

// runTests runs the tests in a directory. That there are none is an error.
func runTests(dir string, opts policytest.Options) (policytest.Report, error) {
	fsys, err := tree(dir)
	if err != nil {
		return policytest.Report{}, err
	}
	report, err := policytest.Run(fsys, opts)
	if err == nil && len(report.Results) == 0 {
		err = fmt.Errorf("no tests in %s: they stand in files whose names end in _test.yaml", dir)
		if opts.Run != nil {
			err = fmt.Errorf("no test in %s has a name that matches %s", dir, opts.Run)
		}
	}
	return report, err
}

// verdict says how it all ended.
func (c *command) verdict(report policytest.Report, least int, stdout io.Writer) int {
	failed, code := report.Failed(), exitOK
	summary := fmt.Sprintf("ok: %s passed\n", count(len(report.Results), "test"))
	if failed > 0 {
		summary, code = fmt.Sprintf("FAIL: %d of %s failed\n", failed, count(len(report.Results), "test")), exitError
	}
	if report.Coverage != nil {
		say(stdout, coverageText(report.Coverage))
		if report.Coverage.Percent() < least {
			summary += fmt.Sprintf("FAIL: less than %d %% of the rules are covered\n", least)
			code = exitError
		}
	}
	say(stdout, summary)
	return code
}

// resultsText lists the tests that failed and, if verbose, all others.
func resultsText(report policytest.Report, verbose bool) string {
	var b strings.Builder
	for _, r := range report.Results {
		switch {
		case len(r.Differences) > 0:
			fmt.Fprintf(&b, "FAIL  %s:%d: %s\n%s", r.File, r.Line, r.Name(), indented(r.Diff(), "      "))
		case verbose:
			fmt.Fprintf(&b, "ok    %s:%d: %s\n", r.File, r.Line, r.Name())
		}
	}
	return b.String()
}

func indented(text, by string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(by + line)
	}
	return b.String()
}

// coverageText lists the documents with what is covered of each, and the rules that no test covers.
func coverageText(c *policytest.Coverage) string {
	width := 0
	for _, d := range c.Documents {
		width = max(width, len(d.File))
	}
	var b strings.Builder
	b.WriteString("coverage:\n")
	for _, d := range c.Documents {
		fmt.Fprintf(&b, "  %-*s  %d/%d\n", width, d.File, d.Covered, d.Total)
		for _, r := range d.Untested {
			_, name, _ := strings.Cut(r.ID, "#")
			fmt.Fprintf(&b, "    %s:%d: no test covers rule %s\n", r.File, r.Line, name)
		}
	}
	covered, total := c.Rules()
	fmt.Fprintf(&b, "  %d of %s covered, %d %%\n", covered, count(total, "rule"), c.Percent())
	return b.String()
}
