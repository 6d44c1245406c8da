package policy

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

const (
	crm     = "https://crm.example.com/"
	billing = "https://billing.example.com/"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// tree makes a file system of documents by name.
func tree(docs map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, text := range docs {
		out[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

func load(t testing.TB, docs map[string]string) *Set {
	t.Helper()
	set, err := Load(tree(docs))
	require.NoError(t, err)
	return set
}

// leafOf makes a leaf that binds support-bot, sf and the CRM, with more fields after it.
func leafOf(more string) string {
	return "bind: {client: support-bot, connection: sf, resource: https://crm.example.com/}\n" + more
}

// one loads a set of one leaf /crm with the fields.
func one(t testing.TB, more string) *Set {
	t.Helper()
	return load(t, map[string]string{"crm.yaml": leafOf(more)})
}

// when loads a set whose one rule grants cases:read under the condition.
func when(t testing.TB, condition string) *Set {
	t.Helper()
	return one(t, "allow:\n- rule: r\n  scopes: [cases:read]\n  when: |\n    "+condition)
}

// request is an exchange that everything is known of.
func request() tokenboundary.Facts {
	return tokenboundary.Facts{
		Grant:   tokenboundary.Exchange,
		Client:  tokenboundary.ClientFacts{ID: "support-bot", Kind: "agent", Groups: []string{"eu"}},
		Subject: lineage.Party{ID: "alice", Issuer: "https://idp.example", Kind: "human"},
		Actor:   lineage.Party{ID: "support-bot", Issuer: "https://tb.example", Kind: "agent"},
		Chain: []lineage.Party{
			{ID: "support-bot", Issuer: "https://tb.example", Kind: "agent"},
			{ID: "planner", Issuer: "https://tb.example", Kind: "agent"},
		},
		Connection: "sf", Resources: []string{crm}, Scopes: []string{"cases:read"},
		Lifetime: time.Minute, Details: []byte(`[{"amount":12,"type":"payment"}]`),
		Task: &tokenboundary.TaskFacts{
			ID: "t1", Purpose: "triage", Context: []byte(`{"ticket":"T-1","urgent":true,"count":3}`), Deadline: noon.Add(time.Hour),
		},
		Parent: &tokenboundary.ParentFacts{
			ID: "p1", Client: "support-bot", Paths: []string{"/crm"}, Scopes: []string{"cases:read"},
			Expires: noon.Add(time.Minute), Depth: 2,
		},
		Session: lineage.Session{Kind: "human", ID: "s1", AuthTime: noon.Add(-time.Minute), ACR: "mfa", AMR: []string{"otp"}},
		Risk:    "low",
		Attributes: tokenboundary.Attributes{
			Subject: map[string]any{"department": "claims", "clearance": 3.0}, Actor: map[string]any{"posture": "ok"},
			Client: map[string]any{"tier": "gold"}, Session: map[string]any{"managed": true, "places": []any{"eu"}},
		},
		Env: map[string]any{"tenant_frozen": false, "limit": 5.0, "regions": []any{"eu", "us"}},
		Now: noon,
	}
}

func decided(t testing.TB, s *Set, f tokenboundary.Facts) tokenboundary.Verdict {
	t.Helper()
	v, err := s.Evaluate(t.Context(), f)
	require.NoError(t, err)
	return v
}

// evaluate decides the facts. Whatever is decided in a test is explained, too.
func evaluate(t testing.TB, s *Set, f tokenboundary.Facts) tokenboundary.Verdict {
	t.Helper()
	v := decided(t, s, f)
	x, err := s.Explain(t.Context(), f)
	require.NoError(t, err)
	require.Equal(t, v, x.Verdict)
	return v
}

// access flattens what a verdict grants.
func access(v tokenboundary.Verdict) map[string]string {
	out := map[string]string{}
	for _, a := range v.Access {
		out[a.Resource] = strings.Join(a.Scopes, " ")
	}
	return out
}

// size counts what a set binds.
func (s *Set) size() int {
	n := len(s.anyClient)
	for _, of := range s.clients.slots {
		n += int(of.to - of.from)
	}
	return n
}

func whys(v tokenboundary.Verdict) string {
	var out []string
	for _, r := range v.Reasons {
		out = append(out, strings.TrimSpace(strings.Join([]string{r.Scope, r.Rule, r.Why}, " ")))
	}
	return strings.Join(out, "\n")
}

func sorted[M ~map[string]V, V any](m M) []string { return slices.Sorted(maps.Keys(m)) }

type tokenboundaryParty = lineage.Party

func kindOf(v ref.Val) types.Kind {
	t, _ := v.Type().(*types.Type)
	return t.Kind()
}
