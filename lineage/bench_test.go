package lineage

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

// busy returns the parts of a record as production makes them: a token two hops below a task, for one resource.
func busy() (Envelope, Body) {
	env, body := rootParts()
	task, root, tool := mustID(1), mustID(2), mustID(3)
	env.Parents, env.Ancestors, env.Grant = []ID{tool}, []ID{task, root, tool}, task
	env.Policy = "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
	body.Actors = []Party{{ID: "crm-tool", Issuer: issuer, Kind: "workload"}, {ID: "support-bot", Issuer: issuer, Kind: "agent"}}
	body.Session = Session{Kind: "human", ID: "0f8fad5b-d9cb-469f-a165-70867728950e", AuthTime: noon.Add(-time.Hour), ACR: "urn:mfa", AMR: []string{"pwd", "otp"}}
	body.Task = &Task{ID: task, Purpose: "triage the case of a customer", Context: json.RawMessage(`{"case":4711,"customer":"c-1"}`), Deadline: env.ExpiresAt, Budget: 50}
	body.Requested = Requested{Resources: []string{"https://crm.example.com/"}, Scopes: []string{"cases:read", "contacts:read", "refunds:write"}, Lifetime: 5 * time.Minute}
	body.Audience = []string{"https://crm.example.com/"}
	body.Reasons = []Reason{
		{Resource: "https://crm.example.com/", Scope: "cases:read", Granted: true, Rule: "/agents/support-bot#triage-reads", Delegates: []string{"crm-tool"}},
		{Resource: "https://crm.example.com/", Scope: "contacts:read", Granted: true, Rule: "/agents/support-bot#triage-reads"},
		{Resource: "https://crm.example.com/", Scope: "refunds:write", Why: "no rule grants it"},
	}
	body.Controls = []string{"owasp-asi:ASI03", "nist-ai-rmf:GV-1"}
	body.Key, body.Facts = "k1", map[string]uint64{"fact:env": 3, "fact:risk/subject/alice": 12}
	body.Selectors = Union(PathSelectors("/agents/support-bot"), []Selector{
		{SelectTask, task.String()}, {SelectGrant, task.String()}, {SelectSession, body.Session.ID}, {SelectKey, "k1"},
		{SelectSubject, "alice"}, {SelectActor, "crm-tool"}, {SelectActor, "support-bot"},
		{SelectClient, "crm-tool"}, {SelectConnection, "salesforce-prod"},
	})
	return env, body
}

func BenchmarkDecode(b *testing.B) {
	r := mustSeal(b, first(busy()), second(busy()))
	raw, body := r.Raw(), r.RawBody()
	if len(r.Body.Selectors) != 12 {
		b.Fatal(fmt.Sprint(len(r.Body.Selectors), " selectors"))
	}
	b.ReportMetric(float64(len(raw)+len(body)), "B/record")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(raw, body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	env, body := busy()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Seal(env, body); err != nil {
			b.Fatal(err)
		}
	}
}
