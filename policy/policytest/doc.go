// Package policytest runs the tests that stand beside policies: what a set decides for given requests, and why.
//
// # Tests
//
// A file that ends in _test.yaml, anywhere in the tree of a set, holds tests. It may test any path of the set:
//
//	defaults:                            # of every request in the file; optional
//	  {client: support-bot, connection: salesforce-prod, resource: https://crm.example.com/, grant: token_exchange}
//	tests:
//	  - test: triage reads cases
//	    request: {task: {purpose: triage}, session: {kind: human}, scopes: [cases:read]}
//	    expect: {effect: allow, path: /agents/support-bot/crm, scopes: [cases:read], lifetime: 5m, rules: {cases:read: triage-reads}}
//	  - test: only triage may read
//	    request: {session: {kind: human}, scopes: [cases:read]}
//	    expect: {effect: deny, code: invalid_scope}
//	    cases:                           # each says what is different
//	      - {case: no task}
//	      - {case: refund, request: {task: {purpose: refund}}}
//
// A request is what [policy.ParseRequest] reads. What a case says goes before what its test says, and that before the
// defaults: mappings are merged key by key, and everything else replaces what stands there. A null takes it away. A case that expects
// another effect than its test takes over nothing of the test's expectation.
//
// # Expectations
//
// effect is required, allow or deny. Only what is stated is compared:
//
//	path: /agents/support-bot/crm        # the policy path that decided; none where nothing is bound
//	controls: [owasp-asi:ASI03]          # exactly these
//	scopes: [cases:read]                 # exactly these, with what they imply, at each resource; or a list per resource
//	dropped: [cases:write]               # exactly these were asked for and are not granted at some resource
//	lifetime: 5m                         # of the token
//	recheck: 1m                          # 0 for none
//	depth: 3
//	derivations: 50
//	obligations: [{kind: approval, by: support-leads, scopes: [refunds:write]}, {kind: step_up, acr: aal2, max_age: 5m}]
//	delegates: {cases:read: [crm-tool]}  # exactly these may derive the scope
//	refresh: [cases:read]                # exactly these can be had again by a refresh token; or true, false
//	deliver: [cases:read]                # for exactly these a leased credential may leave the broker; or true, false
//	rules: {cases:read: triage-reads}    # the rule that grants the scope: its name, or path#name
//	code: invalid_scope                  # of a denial: invalid_scope or invalid_target
//	rule: frozen-tenant                  # the deny rule that denied
//
// What is compared is what a Governor makes of the verdict, [tokenboundary.Verdict.Narrow]: within what the token is made
// from; not longer than was asked for, the task and the parent last; in a refresh, only what a rule lets be refreshed; at all
// resources the same. A scope that an obligation holds back counts as granted, with the obligation under obligations; a failure
// shows it as "held back until". Whether somebody has agreed or stepped up is not looked at.
//
// # Coverage
//
// A rule is covered if it decided in some test: an allow rule granted a scope, a deny rule was true and denied. An allow
// rule with require has not decided where a rule without grants the scope as well; and a deny rule that could not be
// evaluated has denied, but shows nothing about its condition.
package policytest
