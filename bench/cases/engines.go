package cases

import (
	"fmt"
	"strings"
	"testing/fstest"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/bench/suite"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/policy"
)

// Attributes are what every engine decides by: nine texts and a list.
type Attributes struct {
	Grant, Connection, ClientKind, SubjectKind, ActorIssuer string
	SessionKind, ACR, Purpose, Risk                         string
	Scopes                                                  []string
}

// Known are the attributes of a request that every engine must allow. With any other risk than low or medium, every
// engine must deny it.
func Known() Attributes {
	return Attributes{
		Grant: "token_exchange", Connection: "prod", ClientKind: "agent", SubjectKind: "human", ActorIssuer: issuer,
		SessionKind: "human", ACR: "aal2", Purpose: "triage", Risk: "low",
		Scopes: []string{"cases:read", "contacts:read", "notes:read"},
	}
}

// condition is what every engine evaluates, as this project and bare CEL spell it.
const condition = `grant == "token_exchange" && connection == "prod" && client.kind == "agent" && subject.kind == "human" && ` +
	`actor.issuer == "` + issuer + `" && session.kind == "human" && session.acr in ["aal2", "aal3"] && ` +
	`task.purpose == "triage" && risk.level in ["low", "medium"] && ` +
	`subset(request.scopes, ["cases:read", "contacts:read", "notes:read", "notes:write"])`

// BareCEL is the full name of the case that policy engines are compared with: the least that evaluating this condition
// with CEL costs where the attributes come with each request.
const BareCEL = GroupEngines + "/bare cel-go, attributes boxed per request"

func engines() []suite.Case {
	return []suite.Case{
		{Group: GroupEngines, Name: "bare cel-go, attributes boxed before", Base: BareCEL,
			Open: func(string) (*suite.Instance, error) { return openCEL(true) }},
		{Group: GroupEngines, Name: "bare cel-go, attributes boxed per request",
			Open: func(string) (*suite.Instance, error) { return openCEL(false) }},
		{Group: GroupEngines, Name: "policy.Set.Evaluate", Base: BareCEL,
			Open: func(string) (*suite.Instance, error) { return openSet() }},
	}
}

// openSet measures a Set with one rule. Beyond the condition it checks the form of the request, finds the policy path
// among the bindings, decides three scopes one by one, and returns a verdict with limits and reasons.
func openSet() (*suite.Instance, error) {
	set, err := policy.Load(fstest.MapFS{"crm.yaml": {Data: []byte("bind: {client: agent, connection: prod, resource: " + crm + "}\nallow:\n" +
		"  - rule: r\n    when: '" + condition + "'\n    scopes: [cases:read, contacts:read, notes:read, notes:write]\n    lifetime: 5m\n")}})
	if err != nil {
		return nil, err
	}
	f := factsOf(Known())
	return decider(set, func() tb.Facts { return f }, f.Scopes), nil
}

func factsOf(a Attributes) tb.Facts {
	return tb.Facts{
		Grant: tb.Grant(a.Grant), Client: tb.ClientFacts{ID: "agent", Kind: a.ClientKind},
		Subject:    lineage.Party{ID: "alice", Issuer: idp, Kind: a.SubjectKind},
		Actor:      lineage.Party{ID: "agent", Issuer: a.ActorIssuer, Kind: "agent"},
		Connection: a.Connection, Resources: []string{crm}, Scopes: a.Scopes, Task: &tb.TaskFacts{ID: "t1", Purpose: a.Purpose},
		Session: lineage.Session{Kind: a.SessionKind, ACR: a.ACR}, Risk: a.Risk,
	}
}

// Engine makes an instance of anything that says yes or no to attributes. The operation that is measured is known; it has
// the attributes of Known, in whatever form and at whatever time the engine wants to have them.
func Engine(known func() (bool, error), ask func(Attributes) (bool, error)) *suite.Instance {
	expect := func(want bool, what string, got bool, err error) error {
		if err != nil || got != want {
			return fmt.Errorf("%s: %v %w", what, got, err)
		}
		return nil
	}
	return &suite.Instance{
		Op: func(int) error {
			ok, err := known()
			return expect(true, "known attributes", ok, err)
		},
		Check: func() error {
			ok, err := ask(Known())
			return expect(true, "known attributes", ok, err)
		},
		Refuse: func() error {
			for _, spoil := range []func(*Attributes){
				func(a *Attributes) { a.Grant = "client_credentials" }, func(a *Attributes) { a.Connection = "test" },
				func(a *Attributes) { a.ClientKind = "workload" }, func(a *Attributes) { a.SubjectKind = "agent" },
				func(a *Attributes) { a.ActorIssuer = idp }, func(a *Attributes) { a.SessionKind = "agent" },
				func(a *Attributes) { a.ACR = "aal1" }, func(a *Attributes) { a.Purpose = strings.ToUpper(a.Purpose) },
				func(a *Attributes) { a.Risk = "high" }, func(a *Attributes) { a.Scopes = append(a.Scopes, "refunds:write") },
			} {
				a := Known()
				spoil(&a)
				ok, err := ask(a)
				if err := expect(false, fmt.Sprintf("spoilt attributes %+v", a), ok, err); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
