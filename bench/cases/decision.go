package cases

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing/fstest"
	"time"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/bench/suite"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/policy"
)

// facts are those of an exchange, by an agent for a person within a task, of a token of ours.
func facts(client string, scopes ...string) tb.Facts {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	agent := lineage.Party{ID: client, Issuer: issuer, Kind: "agent"}
	return tb.Facts{
		Grant: tb.Exchange, Client: tb.ClientFacts{ID: client, Kind: "agent", Groups: []string{"support"}},
		Subject: lineage.Party{ID: "alice", Issuer: idp, Kind: "human"}, Actor: agent, Chain: []lineage.Party{agent},
		Connection: "prod", Resources: []string{crm}, Scopes: scopes,
		Task: &tb.TaskFacts{ID: "t1", Purpose: "triage", Deadline: now.Add(time.Hour)},
		Parent: &tb.ParentFacts{
			ID: "p1", Client: client, Paths: []string{"/agents/crm"}, Scopes: scopes, Purpose: "triage", Expires: now.Add(time.Hour), Depth: 2,
		},
		Session: lineage.Session{Kind: "human", ID: "s1", AuthTime: now.Add(-time.Minute), ACR: "aal2", AMR: []string{"pwd", "otp"}},
		Risk:    "low", Env: map[string]any{"tenant_frozen": false}, Now: now,
	}
}

// conditions are those of the rules, each with two or three attributes. All hold for facts.
var conditions = []string{
	`grant == "token_exchange" && client.kind == "agent"`,
	`session.kind == "human" && risk.level in ["low", "medium"]`,
	`task.purpose == "triage" && now < task.deadline`,
	`session.acr in ["aal2", "aal3"] && subject.kind == "human"`,
	`actor.kind == "agent" && parent.depth > 0`,
	`connection == "prod" && "otp" in session.amr`,
}

// denials are those of the path, from the root to the leaf. None holds for facts.
var denials = []string{
	`has(env.tenant_frozen) && env.tenant_frozen == true`,
	`risk.level == "high"`,
	`session.kind == "human" && session.acr == "aal0"`,
	`client.kind != "agent"`,
}

// path is a set of one leaf below two guardrails: with so many deny rules and allow rules, each of which grants a scope of
// its own.
func path(denies, allows int) fstest.MapFS {
	var deny [3]strings.Builder // root, directory, leaf
	for i, when := range denials[:denies] {
		at := &deny[min(i, 2)]
		if at.Len() == 0 {
			at.WriteString("deny:\n")
		}
		fmt.Fprintf(at, "  - {rule: d%d, when: '%s'}\n", i, when)
	}
	leaf := deny[2].String() + "allow:\n"
	for i := range allows {
		leaf += fmt.Sprintf("  - {rule: a%d, when: '%s', scopes: [%s], lifetime: 5m}\n", i, conditions[i%len(conditions)], scope(i))
	}
	leaf = "bind: {client: agent, connection: prod, resource: " + crm + "}\n" + leaf + "limits: {lifetime: 8h, depth: 3}\n"
	return fstest.MapFS{
		"boundary.yaml":        {Data: []byte(deny[0].String() + "limits: {depth: 4}\n")},
		"agents/boundary.yaml": {Data: []byte(deny[1].String() + "limits: {lifetime: 10h}\n")},
		"agents/crm.yaml":      {Data: []byte(leaf)},
	}
}

func scope(i int) string { return fmt.Sprintf("cases:%c", 'a'+i) }

func scopes(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = scope(i)
	}
	return out
}

// pathRules is how many rules there are in the case that a decision is judged by: four of the path deny, six of the leaf
// allow, and all are evaluated.
const pathRules = 10

func decisions() []suite.Case {
	many := len(denials)
	allows := pathRules - many
	return []suite.Case{
		{Group: GroupDecision, Name: "one rule, one scope", Base: VerifyAndSign,
			Open: func(string) (*suite.Instance, error) { return openPath(0, 1, 1) }},
		{Group: GroupDecision, Name: "six rules, one scope", Base: VerifyAndSign,
			Open: func(string) (*suite.Instance, error) { return openShared(len(conditions), 0) }},
		{Group: GroupDecision, Name: "each further rule", Targets: []suite.Target{suite.AtMost(suite.Micros, 0.6)},
			Step: &suite.Step{
				More: GroupDecision + "/six rules, one scope", Less: GroupDecision + "/one rule, one scope", Count: float64(len(conditions) - 1),
			}},
		{Group: GroupDecision, Name: "ten rules with path and narrowing", Base: VerifyAndSign,
			Targets: []suite.Target{suite.AtMost(suite.Micros, 5), suite.AtMost(suite.Allocs, 30)},
			Open:    func(string) (*suite.Instance, error) { return openPath(many, allows, allows+2) }},
		{Group: GroupDecision, Name: "a hundred rules, of which ten name the scope", Base: VerifyAndSign,
			Targets: []suite.Target{suite.AtMost(suite.Micros, 12)},
			Open:    func(string) (*suite.Instance, error) { return openShared(10, 90) }},
	}
}

// openPath decides a request for so many scopes. Where they are more than there are rules, the token that is exchanged does
// not hold the others: they are narrowed away.
func openPath(denies, allows, asked int) (*suite.Instance, error) {
	set, err := policy.Load(path(denies, allows))
	if err != nil {
		return nil, err
	}
	f := facts("agent", scopes(asked)...)
	f.Ceiling = &lineage.Authority{Access: []lineage.Access{{Resource: crm, Scopes: scopes(allows)}}}
	return decider(set, func() tb.Facts { return f }, scopes(allows)), nil
}

// openShared decides a request for one scope that so many rules name, so that all of them are evaluated, beside others that
// name other scopes, so that none of these is.
func openShared(rules, others int) (*suite.Instance, error) {
	docs := path(0, rules)
	leaf := docs["agents/crm.yaml"]
	text := string(leaf.Data)
	for i := range rules {
		text = strings.ReplaceAll(text, "["+scope(i)+"]", "["+scope(0)+"]")
	}
	more := ""
	for i := range others {
		more += fmt.Sprintf("  - {rule: o%d, when: '%s', scopes: ['other:%d'], lifetime: 5m}\n", i, conditions[i%len(conditions)], i)
	}
	leaf.Data = []byte(strings.Replace(text, "allow:\n", "allow:\n"+more, 1))
	set, err := policy.Load(docs)
	if err != nil {
		return nil, err
	}
	f := facts("agent", scope(0))
	f.Ceiling = &lineage.Authority{Access: []lineage.Access{{Resource: crm, Scopes: scopes(1)}}}
	return decider(set, func() tb.Facts { return f }, scopes(1)), nil
}

// decider measures Evaluate with the facts that next returns, and expects the scopes to be granted.
func decider(set *policy.Set, next func() tb.Facts, want []string) *suite.Instance {
	ctx := context.Background()
	return &suite.Instance{
		Op: func(int) error {
			v, err := set.Evaluate(ctx, next())
			if err != nil || v.Effect != tb.Allow {
				return fmt.Errorf("not allowed: %v %v %w", v.Code, v.Reasons, err)
			}
			return nil
		},
		Check: func() error {
			v, err := set.Evaluate(ctx, next())
			if err != nil || v.Effect != tb.Allow || len(v.Access) != 1 || !slices.Equal(v.Access[0].Scopes, want) {
				return fmt.Errorf("not as expected: %+v %w", v, err)
			}
			return nil
		},
		Refuse: func() error {
			f := next()
			f.Grant, f.Session.Kind, f.Risk = tb.ClientCredentials, "workload", "high"
			f.Task, f.Session.ACR, f.Subject.Kind, f.Actor.Kind, f.Session.AMR = nil, "", "workload", "workload", nil
			f.Scopes = f.Scopes[:1] // the first condition names the grant
			v, err := set.Evaluate(ctx, f)
			if err != nil || v.Effect != tb.Deny || v.Path == "" {
				return errors.Join(err, fmt.Errorf("not denied on its path: %+v", v))
			}
			return nil
		},
	}
}
