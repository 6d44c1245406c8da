package policy

import (
	"fmt"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/requestdoc"
)

// ParseRequest reads the context of one request, as a person writes it to ask what a policy would decide. It is YAML as
// policies are, or JSON; an unknown key is an error, and what is left out or null is what a Governor would have found:
//
//	client: {id: support-bot, kind: agent, groups: [eu]}   # or its id; required; an agent
//	connection: salesforce-prod                            # required
//	grant: token_exchange                                  # required
//	resource: https://crm.example.com/                     # or a list; none: the one that is bound
//	scopes: [cases:read]                                   # none: what the policy path has as its default
//	lifetime: 5m                                           # none: none in particular
//	subject: {id: alice, issuer: https://idp.example.com, kind: human}
//	actor: support-bot
//	chain: [support-bot, {id: planner, kind: agent}]
//	task: {id: t1, purpose: triage, context: {ticket: T-1}, expires_in: 1h}          # or deadline, a time
//	parent: {id: p1, client: planner, paths: [/crm], scopes: [cases:read], purpose: triage, expires_in: 5m, depth: 1}
//	session: {kind: human, id: s1, auth_age: 2m, acr: aal2, amr: [otp]}              # or auth_time, a time
//	risk: low                                              # unknown
//	env: {tenant_frozen: false}
//	attributes: {subject: {team: eu}, actor: {}, client: {}, session: {managed: true}}
//	details: [{type: payment, amount: 12}]
//	ceiling: [{resource: https://crm.example.com/, scopes: [cases:read]}]
//	now: 2026-03-02T12:00:00Z                              # this very time, noon of a Monday
//
// The subject is the client itself or, where session.kind is another, a party "somebody" of that kind. One with only an id
// is of the session's kind, or human. Unless chain or actor, its first, says otherwise, a client that is not the subject acts
// for it, after the parent's client where that is another. A task lasts an hour and a parent five minutes. The ceiling is
// what the parent holds, and the other way round.
func ParseRequest(data []byte) (tokenboundary.Facts, error) {
	f, bad := requestdoc.Parse(data)
	if bad == nil {
		return f, nil
	}
	place := ""
	if bad.Line > 0 {
		place = fmt.Sprintf("line %d: ", bad.Line)
	}
	if bad.Key != "" {
		place += bounded(bad.Key) + ": "
	}
	return tokenboundary.Facts{}, fmt.Errorf("policy: request: %s%s", place, bounded(bad.Message))
}
