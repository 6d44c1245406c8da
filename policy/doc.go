// Package policy turns a tree of YAML documents into a [tokenboundary.Policy].
//
// # Documents
//
// The directory tree is the policy tree. A file boundary.yaml is a guardrail for everything in its directory and below:
// it has deny, limits and controls, and can only restrict. A file catalog.yaml says what there is; see below. Every other
// .yaml file is a leaf: agents/support-bot/crm.yaml is the policy path /agents/support-bot/crm. Files that end in _test.yaml, and names that start with a dot, are passed
// over. Anything else in the tree is refused, symbolic links too.
//
//	bind:                               # all three are required; "*" must be written out; lists are allowed
//	  client: support-bot
//	  connection: salesforce-prod
//	  resource: https://crm.example.com/
//	default_scopes: [cases:read]        # what a request without scopes asks for; none by default
//	allow:
//	  - rule: triage-reads
//	    when: grant == "token_exchange" && task.purpose == "triage"
//	    scopes: [cases:read, contacts:read]
//	    resources: [https://crm.example.com/]   # some of those bound; all by default
//	    lifetime: 5m
//	    recheck: 1m                     # for how long a cached token may be relied on without asking again
//	    delegates: [crm-tool]           # clients that may derive these scopes from the token; none by default
//	  - rule: triage-goes-on
//	    when: grant in ["token_exchange", "refresh_token"] && task.purpose == "follow-up"
//	    scopes: [cases:read]
//	    refresh: true                   # the scopes can be had again by a refresh token
//	  - rule: refunds-need-a-human
//	    when: task.purpose == "refund" && risk.level in ["low", "medium"]
//	    scopes: [refunds:write]
//	    require: {approval: {by: support-leads}, step_up: {acr: mfa, max_age: 5m}}
//	deny:
//	  - {rule: frozen-tenant, when: env.tenant_frozen == true}
//	limits: {lifetime: 10m, depth: 3, derivations: 50, recheck: 5m}
//	controls: [nist-csf-2.0:PR.AA-05]
//
// A document is plain YAML: no anchors, aliases, merge keys or tags, no key twice, no unknown key. A set loads whole or
// not at all.
//
// # Decisions
//
// A request is decided by the one leaf that binds its client, connection and resources. An exact name goes before "*",
// of the client first, then of the connection, then of the resource. From the guardrail of the root to the leaf:
//
//   - Every deny rule is evaluated until one ends it. Only a condition that is exactly false lets a request pass: one
//     that is true denies, and so does one that cannot be evaluated.
//   - Limits meet: the smallest of each is in force. Without any, there is no recheck.
//   - Each requested scope needs one allow rule that names it and whose condition is exactly true. A condition that
//     cannot be evaluated permits nothing. Lifetime and recheck are the smallest of the rules that granted something; a
//     scope can be derived by the delegates of any rule that granted it, and refreshed if any of these says so.
//   - A scope that only rules with require allow is granted under obligations, those of the first such rule. A rule
//     without goes before; what the others say about lifetime, recheck, delegates and refresh is then not in force.
//   - A refresh is decided like any other request, with grant == "refresh_token".
//
// No details are granted: authorization_details can be read by conditions (request.details), not allowed by rules.
//
// # Catalog
//
// A file catalog.yaml lists, for its directory and all below, the resources with their scopes, and the connections with
// the clients that own them. Those on the way from the root to a leaf add up.
//
//	resources:
//	  - resource: https://crm.example.com/
//	    scopes:
//	      - {scope: cases:read, sensitivity: low}
//	      - {scope: cases:write, implies: [cases:read], sensitivity: high, lifetime: 60s}
//	connections:
//	  - {connection: salesforce-prod, clients: [support-bot]}
//
// What a leaf below it names must be listed: resources, connections, the client among those that own the connection, and
// each scope at every resource that its rule is for. What a leaf leaves open with "*" is looked up at the decision: what is
// not listed is denied, and a scope that the resource does not have is dropped.
//
// At its resource, a granted scope also grants what it implies, as far as the ceiling holds that, with the delegates, the
// refresh and the obligations of what implies it; where a rule grants a requested scope by itself, that stands. The verdict
// says in Implied what is granted beyond what was requested. A token lives at most as long as the catalog lets each of its
// scopes. The sensitivity is for conditions.
//
// # Conditions
//
// Conditions are CEL expressions of type bool, checked when the set is loaded. [Variables] lists what they can name. They
// have the operators, has, all, exists and exists_one (not nested), size, startsWith, endsWith, contains, matches with
// a literal pattern, the conversions to int, double, string, duration and timestamp, the parts of a time, and
// subset(a, b), which is true if a is not empty and b holds each of its entries. Each has a worst case that is computed
// when the set is loaded and bounded.
//
// What a request does not have cannot be evaluated: task.purpose without a task, env.x where no such fact is set,
// subject.attributes.x where no signal has set it. In an allow rule that is what one wants. In a deny rule it denies every
// such request, so ask first:
//
//	when: task.present && task.purpose == "export"
//	when: has(env.tenant_frozen) && env.tenant_frozen == true
//
// env, the attributes, task.context and request.details hold values of any type. Such a value can only be compared with
// one of a known simple type, and fails to evaluate where it is of another one: no text "true" passes for true.
package policy
