package lineage

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const issuer = "https://boundary.example"

// noon is when everything in these tests begins.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// generator makes random values; a failing test prints its seed.
type generator struct {
	*rand.Rand
}

func newGenerator(t *testing.T, seed uint64) generator {
	t.Helper()
	t.Logf("seed %d", seed)
	return generator{rand.New(rand.NewPCG(seed, 0))}
}

func pick[T any](g generator, list []T) T { return list[g.IntN(len(list))] }

// some returns a random sublist, with repeats and in any order.
func some[T any](g generator, list []T, most int) []T {
	var out []T
	for range g.IntN(most + 1) {
		out = append(out, pick(g, list))
	}
	return out
}

// authority returns a random authority, seldom in normal form, over a vocabulary so small that operands often overlap.
func (g generator) authority() Authority {
	var a Authority
	for range g.IntN(4) {
		a.Access = append(a.Access, Access{pick(g, []string{"urn:a", "urn:b", "urn:c"}), some(g, []string{"r", "w", "x", "R"}, 4)})
	}
	for _, d := range some(g, []string{`{"type":"a"}`, `{"type":"b"}`, `{"type":"a","x":1}`}, 3) {
		a.Details = append(a.Details, json.RawMessage(d))
	}
	if g.IntN(5) > 0 {
		a.NotAfter = noon.Add(time.Duration(g.IntN(3_000)) * time.Microsecond).In(time.FixedZone("elsewhere", 3600))
	}
	a.Depth = g.IntN(5) - 1
	return a
}

// text returns what the standard encoder writes for a value. Two values share it only if they are equal.
func text(t *testing.T, v any) string {
	t.Helper()
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	require.NoError(t, enc.Encode(v))
	return strings.TrimSuffix(buf.String(), "\n")
}

// grant returns an authority for one resource.
func grant(depth int, until time.Time, scopes ...string) Authority {
	return Authority{Access: []Access{{"https://crm.example.com/", scopes}}, NotAfter: until, Depth: depth}
}

// rootParts returns the parts of a record that comes from nothing.
func rootParts() (Envelope, Body) {
	env := Envelope{Kind: KindToken, Issuer: issuer, IssuedAt: noon, ExpiresAt: noon.Add(5 * time.Minute), Since: noon, Policy: "v1"}
	body := Body{
		Client: "support-bot", ClientKind: "agent", Subject: Party{ID: "alice", Issuer: "https://idp.example", Kind: "human"},
		Session: Session{Kind: "human", ID: "s1"}, GrantType: "token_exchange", Connection: "salesforce-prod",
		Paths: []string{"/agents/support-bot"}, Granted: grant(3, env.ExpiresAt, "cases:read", "contacts:read"),
		Selectors: Union(PathSelectors("/agents/support-bot"), []Selector{{SelectClient, "support-bot"}, {SelectSubject, "alice"}}),
	}
	return env, body
}

// childParts returns the parts of a record made from parent, with all that it was granted.
func childParts(parent Record) (Envelope, Body) {
	env, body := rootParts()
	env.Parents = []ID{parent.ID()}
	env.Ancestors = append(append(env.Ancestors, parent.Ancestors...), parent.ID())
	env.Grant = parent.Root()
	env.ExpiresAt = parent.ExpiresAt
	body.Granted = parent.Derivable()
	if parent.Kind == KindTask {
		terms := *parent.Body.Task
		terms.ID = parent.ID()
		body.Task = &terms
	} else if parent.Body.Task != nil {
		terms := *parent.Body.Task
		terms.Authority = nil
		body.Task = &terms
	}
	body.Selectors = Union(body.Selectors, parent.Selectors())
	return env, body
}

// taskParts returns the parts of a task's record.
func taskParts() (Envelope, Body) {
	env, body := rootParts()
	env.Kind = KindTask
	terms := body.Granted
	body.Task = &Task{Purpose: "triage", Deadline: env.ExpiresAt, Budget: 50, Authority: &terms}
	return env, body
}

// grantParts returns the parts of a refresh family's record.
func grantParts() (Envelope, Body) {
	env, body := rootParts()
	env.Kind, env.ExpiresAt = KindGrant, noon.Add(30*24*time.Hour)
	body.Granted.NotAfter = env.ExpiresAt
	body.Reasons = []Reason{{
		Resource: "https://crm.example.com/", Scope: "cases:read", Granted: true, Rule: "/agents/support-bot#triage-reads", Refresh: true,
	}}
	return env, body
}

// approvalParts returns the parts of the record of a request that waits, for a task of its own.
func approvalParts() (Envelope, Body) {
	env, body := rootParts()
	env.Kind = KindApproval
	most := uint64(50)
	body.Task = &Task{Purpose: "refund an order", Deadline: env.ExpiresAt}
	body.Deferred = &Deferred{
		Digest: "sha256-of-what-is-asked", Wants: []Obligation{
			{Kind: "approval", Scopes: []string{"cases:read", "contacts:read"}, Args: map[string]string{"by": "managers"}},
			{Kind: "step_up", Scopes: []string{"contacts:read"}, Args: map[string]string{"max_age": "300", "acr": "urn:mfa"}},
		},
		Lifetime: 5 * time.Minute,
		Task:     &AskedTask{MaxDerivations: &most, Authority: []Access{{"https://crm.example.com/", []string{"contacts:read", "cases:read"}}}},
	}
	return env, body
}

// leaseParts returns the parts of the record of a credential that is held for a token.
func leaseParts() (Envelope, Body) {
	env, body := rootParts()
	env.Kind = KindLease
	env.Parents, env.Ancestors, env.Grant = []ID{mustID(1)}, []ID{mustID(1)}, mustID(1)
	body.GrantType, body.Lease = "lease", &Lease{By: "legacy-broker"}
	return env, body
}

// leaseOf returns the parts of the record of a credential that is held for a token, for all that it grants.
func leaseOf(token Record) (Envelope, Body) {
	env, body := childParts(token)
	env.Kind, body.Granted = KindLease, token.Body.Granted
	body.GrantType, body.Lease = "lease", &Lease{By: "legacy-broker"}
	return env, body
}

func mustSeal(t testing.TB, env Envelope, body Body) Record {
	t.Helper()
	r, err := Seal(env, body)
	require.NoError(t, err)
	return r
}

// mustID returns a record id that no record has.
func mustID(n byte) ID { return IDOf([]byte{n}) }
