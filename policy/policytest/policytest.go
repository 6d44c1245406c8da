package policytest

import (
	"context"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"testing"

	"github.com/tokenboundary/tokenboundary/policy"
)

// Options say what to run. The zero value runs everything and measures no coverage.
type Options struct {
	// Run, where set, leaves out the tests whose Result.Name it does not match.
	Run *regexp.Regexp
	// Cover measures which rules the tests cover; it makes them slower.
	Cover bool
}

// Report is what became of the tests.
type Report struct {
	Results []Result // in the order of files, and of tests in them
	// Coverage is what the tests that ran cover; nil where it was not measured.
	Coverage *Coverage
}

// Failed returns how many tests failed.
func (r Report) Failed() int {
	n := 0
	for _, x := range r.Results {
		if len(x.Differences) > 0 {
			n++
		}
	}
	return n
}

// Result is what became of one test or, where a test has cases, of one case.
type Result struct {
	File string // slash-separated, relative to the root of the set
	Line int
	Test string
	Case string // empty where the test has none
	// Differences are what was decided otherwise than stated. The test has passed if there are none.
	Differences []Difference
}

// Name returns the test's name, or "test/case".
func (r Result) Name() string {
	if r.Case == "" {
		return r.Test
	}
	return r.Test + "/" + r.Case
}

// Diff returns the differences as text, one line or more for each: what was expected after a "-", what was decided
// after a "+", and below that why. It is empty for a test that has passed.
func (r Result) Diff() string {
	width := 0
	for _, d := range r.Differences {
		width = max(width, len(d.Field))
	}
	var b strings.Builder
	for _, d := range r.Differences {
		fmt.Fprintf(&b, "- %-*s  %s\n+ %-*s  %s\n", width, d.Field, d.Expected, width, d.Field, d.Got)
		for _, line := range d.Why {
			fmt.Fprintf(&b, "  %-*s  %s\n", width, "", line)
		}
	}
	return b.String()
}

// Run loads the policy set in fsys and runs the tests that stand in it. A set that does not load is a
// *policy.LoadError, tests that cannot be run are a *FileError, and neither runs anything. A set without tests has an
// empty Report.
func Run(fsys fs.FS, opts Options) (Report, error) {
	set, err := policy.Load(fsys)
	if err != nil {
		return Report{}, err
	}
	all := set.Rules()
	examples, err := readTree(fsys, rulesOf(all))
	if err != nil {
		return Report{}, err
	}
	report := Report{}
	seen := newCoverage(all)
	for _, x := range examples {
		result := Result{File: x.file, Line: x.place.Node.Line, Test: x.test, Case: x.name}
		if opts.Run != nil && !opts.Run.MatchString(result.Name()) {
			continue
		}
		facts, _ := x.facts() // which can be read: they have been
		verdict, err := set.Evaluate(context.Background(), facts)
		if err == nil {
			verdict, err = verdict.Narrow(facts)
		}
		if err == nil && opts.Cover {
			err = seen.add(set, facts)
		}
		if err != nil {
			return Report{}, err
		}
		result.Differences = compare(x.expect, outcomeOf(verdict))
		report.Results = append(report.Results, result)
	}
	if opts.Cover {
		report.Coverage = seen.report()
	}
	return report, nil
}

// Test runs the tests of the policy set in fsys as subtests, one for each test and case, and returns the report with the
// coverage. Without any test it fails.
func Test(t *testing.T, fsys fs.FS) Report {
	t.Helper()
	report, err := Run(fsys, Options{Cover: true})
	switch {
	case err != nil:
		t.Fatal(err)
	case len(report.Results) == 0:
		t.Fatal("policytest: the set has no tests")
	}
	for _, r := range report.Results {
		t.Run(strings.TrimSuffix(r.File, suffix)+"/"+r.Name(), func(t *testing.T) {
			t.Helper()
			if len(r.Differences) > 0 {
				t.Errorf("%s:%d: %s\n%s", r.File, r.Line, r.Name(), r.Diff())
			}
		})
	}
	return report
}
