package lineage

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDifference(t *testing.T) {
	const crm, mail = "https://crm.example/", "urn:example:mail"
	grants := func(resource, scope string) Reason {
		return Reason{Resource: resource, Scope: scope, Granted: true, Rule: "/a#r"}
	}
	drops := func(resource, scope, why string) Reason { return Reason{Resource: resource, Scope: scope, Why: why} }
	first := []Reason{grants(crm, "read"), grants(mail, "read"), drops(crm, "write", "no rule grants it")}

	for name, c := range map[string]struct{ second, lost, gained []Reason }{
		"the same":            {second: first},
		"the same, reordered": {second: []Reason{first[2], first[1], first[0]}},
		"a scope less, at one resource": {
			second: []Reason{grants(crm, "read"), drops(mail, "read", "condition false"), drops(crm, "write", "x")},
			lost:   []Reason{drops(mail, "read", "condition false")},
		},
		"a scope more": {
			second: []Reason{grants(crm, "read"), grants(mail, "read"), grants(crm, "write")},
			gained: []Reason{grants(crm, "write")},
		},
		"denied by a rule, at one resource": {
			second: []Reason{{Resource: mail, Rule: "/a#deny", Why: "denied"}, {Rule: "/#other", Why: "denied as well"}},
			lost: []Reason{
				{Resource: crm, Scope: "read", Rule: "/#other", Why: "denied as well"},
				{Resource: mail, Scope: "read", Rule: "/a#deny", Why: "denied"},
			},
		},
		"nothing said": {lost: []Reason{drops(crm, "read", "not decided"), drops(mail, "read", "not decided")}},
	} {
		t.Run(name, func(t *testing.T) {
			lost, gained := Difference(first, c.second)
			require.Equal(t, c.lost, lost)
			require.Equal(t, c.gained, gained)
			gained, lost = Difference(c.second, first)
			require.Len(t, lost, len(c.lost), "the other way round")
			require.Len(t, gained, len(c.gained), "the other way round")
		})
	}
}
