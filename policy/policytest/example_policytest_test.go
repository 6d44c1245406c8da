package policytest_test

import (
	"fmt"
	"testing/fstest"

	"github.com/tokenboundary/tokenboundary/policy/policytest"
)

func Example() {
	set := fstest.MapFS{
		"crm.yaml": {Data: []byte(`bind: {client: support-bot, connection: sf, resource: https://crm.example.com/}
allow:
  - {rule: triage-reads, when: task.purpose == "triage", scopes: [cases:read], lifetime: 5m}
  - {rule: triage-writes, when: risk.level == "low", scopes: [cases:write]}
`)},
		"crm_test.yaml": {Data: []byte(`defaults: {client: support-bot, connection: sf, grant: token_exchange, scopes: [cases:read]}
tests:
  - test: triage reads for five minutes
    request: {task: {purpose: triage}}
    expect: {effect: allow, scopes: [cases:read], lifetime: 5m}
  - test: an export reads
    request: {task: {purpose: export}}
    expect: {effect: allow}
`)},
	}
	report, err := policytest.Run(set, policytest.Options{Cover: true})
	if err != nil {
		panic(err)
	}
	fmt.Println(report.Failed(), "of", len(report.Results), "failed")
	for _, r := range report.Results {
		if len(r.Differences) > 0 {
			fmt.Printf("%s:%d: %s\n%s", r.File, r.Line, r.Name(), r.Diff())
		}
	}
	fmt.Println(report.Coverage.Percent(), "% of the rules are covered")
	// Output:
	// 1 of 2 failed
	// crm_test.yaml:6: an export reads
	// - effect  allow
	// + effect  deny invalid_scope
	//           cases:read at https://crm.example.com/: rule triage-reads: condition false
	// 50 % of the rules are covered
}
