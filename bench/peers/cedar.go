package peers

import (
	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"

	"github.com/tokenboundary/tokenboundary/bench/cases"
	"github.com/tokenboundary/tokenboundary/bench/suite"
)

// permit is the condition of package cases in Cedar. The attributes are in the context: principal, action and resource
// have none, as Cedar would read them from an entity store.
const permit = `permit(principal, action, resource) when {
	context.grant == "token_exchange" && context.connection == "prod" && context.client_kind == "agent" &&
	context.subject_kind == "human" && context.actor_issuer == "https://boundary.example" && context.session_kind == "human" &&
	["aal2", "aal3"].contains(context.acr) && context.purpose == "triage" && ["low", "medium"].contains(context.risk) &&
	["cases:read", "contacts:read", "notes:read", "notes:write"].containsAll(context.scopes)
};`

// openCedar measures a PolicySet with one policy. It returns a decision and the policy that made it.
func openCedar(before bool) (*suite.Instance, error) {
	set, err := cedar.NewPolicySetFromBytes("crm.cedar", []byte(permit))
	if err != nil {
		return nil, err
	}
	ask := func(r cedar.Request) (bool, error) {
		decision, _ := cedar.Authorize(set, nil, r)
		return decision == cedar.Allow, nil
	}
	known, made := cases.Known(), cedarRequest(cases.Known())
	return cases.Engine(func() (bool, error) {
		if !before {
			made = cedarRequest(known)
		}
		return ask(made)
	}, func(a cases.Attributes) (bool, error) { return ask(cedarRequest(a)) }), nil
}

func cedarRequest(a cases.Attributes) cedar.Request {
	scopes := make([]types.Value, len(a.Scopes))
	for i, s := range a.Scopes {
		scopes[i] = types.String(s)
	}
	return cedar.Request{
		Principal: cedar.NewEntityUID("Agent", client), Action: cedar.NewEntityUID("Action", "exchange"),
		Resource: cedar.NewEntityUID("Resource", crm),
		Context: cedar.NewRecord(cedar.RecordMap{
			"grant": types.String(a.Grant), "connection": types.String(a.Connection), "client_kind": types.String(a.ClientKind),
			"subject_kind": types.String(a.SubjectKind), "actor_issuer": types.String(a.ActorIssuer),
			"session_kind": types.String(a.SessionKind), "acr": types.String(a.ACR), "purpose": types.String(a.Purpose),
			"risk": types.String(a.Risk), "scopes": types.NewSet(scopes...),
		}),
	}
}
