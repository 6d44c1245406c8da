package policycli

import (
	"encoding/xml"
	"strings"

	"github.com/tokenboundary/tokenboundary/policy/policytest"
)

// The part of JUnit's XML that its readers agree on. There are no times: what was measured is a decision, not a program.
type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	File    string        `xml:"file,attr,omitempty"`
	Line    int           `xml:"line,attr,omitempty"`
	Failure *junitProblem `xml:"failure"`
	Error   *junitProblem `xml:"error"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",cdata"`
}

// junitXML returns the results, a suite for each file. Where nothing could be run, that is an error in place of a test, so
// that no older report is taken for this one.
func junitXML(report policytest.Report, err error) []byte {
	all := junitSuites{Name: "policy"}
	for _, r := range report.Results {
		if n := len(all.Suites); n == 0 || all.Suites[n-1].Name != r.File {
			all.Suites = append(all.Suites, junitSuite{Name: r.File})
		}
		all.Suites[len(all.Suites)-1].add(r)
	}
	if err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		all.Suites = []junitSuite{{Name: "policy", Tests: 1, Errors: 1, Cases: []junitCase{{
			Class: "policy", Name: "load", Error: &junitProblem{forXML(first), "error", forXML(err.Error())},
		}}}}
	}
	for _, s := range all.Suites {
		all.Tests, all.Failures, all.Errors = all.Tests+s.Tests, all.Failures+s.Failures, all.Errors+s.Errors
	}
	out, bad := xml.MarshalIndent(all, "", "  ")
	if bad != nil { // there is nothing in it that could not be written
		return nil
	}
	return append([]byte(xml.Header), append(out, '\n')...)
}

func (s *junitSuite) add(r policytest.Result) {
	c := junitCase{
		Class: forXML(strings.ReplaceAll(strings.TrimSuffix(r.File, ".yaml"), "/", ".")), Name: forXML(r.Name()), File: r.File, Line: r.Line,
	}
	if len(r.Differences) > 0 {
		first := r.Differences[0]
		c.Failure = &junitProblem{
			forXML(first.Field + ": expected " + first.Expected + ", got " + first.Got), "difference", forXML(r.Diff()),
		}
		s.Failures++
	}
	s.Cases = append(s.Cases, c)
	s.Tests++
}

// forXML leaves out what XML 1.0 cannot hold.
func forXML(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t', r >= 0x20 && r <= 0xd7ff, r >= 0xe000 && r <= 0xfffd, r >= 0x10000:
			return r
		}
		return -1
	}, s)
}
