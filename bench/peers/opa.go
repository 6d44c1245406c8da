package peers

import (
	"context"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/tokenboundary/tokenboundary/bench/cases"
	"github.com/tokenboundary/tokenboundary/bench/suite"
)

// module is the condition of package cases in Rego.
const module = `package boundary

default allow := false

allow if {
	input.grant == "token_exchange"
	input.connection == "prod"
	input.client_kind == "agent"
	input.subject_kind == "human"
	input.actor_issuer == "https://boundary.example"
	input.session_kind == "human"
	input.acr in {"aal2", "aal3"}
	input.purpose == "triage"
	input.risk in {"low", "medium"}
	count(input.scopes) > 0
	every s in input.scopes { s in {"cases:read", "contacts:read", "notes:read", "notes:write"} }
}
`

// openOPA measures a prepared query in process, with the interpreter. It returns true or false.
func openOPA(before bool) (*suite.Instance, error) {
	ctx := context.Background()
	query, err := rego.New(rego.Query("data.boundary.allow"), rego.Module("boundary.rego", module)).PrepareForEval(ctx)
	if err != nil {
		return nil, err
	}
	eval := func(input rego.EvalOption) (bool, error) {
		results, err := query.Eval(ctx, input)
		return results.Allowed(), err
	}
	known := cases.Known()
	parsed, err := ast.InterfaceToValue(opaInput(known))
	if err != nil {
		return nil, err
	}
	return cases.Engine(func() (bool, error) {
		if before {
			return eval(rego.EvalParsedInput(parsed))
		}
		return eval(rego.EvalInput(opaInput(known)))
	}, func(a cases.Attributes) (bool, error) { return eval(rego.EvalInput(opaInput(a))) }), nil
}

func opaInput(a cases.Attributes) map[string]any {
	scopes := make([]any, len(a.Scopes))
	for i, s := range a.Scopes {
		scopes[i] = s
	}
	return map[string]any{
		"grant": a.Grant, "connection": a.Connection, "client_kind": a.ClientKind, "subject_kind": a.SubjectKind,
		"actor_issuer": a.ActorIssuer, "session_kind": a.SessionKind, "acr": a.ACR, "purpose": a.Purpose, "risk": a.Risk, "scopes": scopes,
	}
}
