package policy

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// tenantFacts are facts of which each says whose they are: by the name, or by the number.
func tenantFacts(tenant string, n int) tokenboundary.Facts {
	at := time.Date(2000+n, 1, 1, 0, 0, 0, 0, time.UTC)
	own := map[string]any{"owner": tenant}
	party := lineage.Party{ID: tenant, Issuer: tenant, Kind: tenant}
	raw := fmt.Appendf(nil, `{"owner":%q}`, tenant)
	return tokenboundary.Facts{
		Grant: tokenboundary.Grant(tenant), Client: tokenboundary.ClientFacts{ID: tenant, Kind: tenant, Groups: []string{tenant}},
		Subject: party, Actor: party, Chain: []lineage.Party{party}, Connection: tenant,
		Resources: []string{"https://" + tenant + ".example/"}, Lifetime: time.Duration(n) * time.Second,
		Details: slices.Concat([]byte("["), raw, []byte("]")),
		Task:    &tokenboundary.TaskFacts{ID: tenant, Purpose: tenant, Context: raw, Deadline: at},
		Parent: &tokenboundary.ParentFacts{
			ID: tenant, Client: tenant, Paths: []string{tenant}, Scopes: []string{tenant}, Purpose: tenant, Expires: at, Depth: n,
		},
		Session:    lineage.Session{Kind: tenant, ID: tenant, AuthTime: at, ACR: tenant, AMR: []string{tenant}},
		Risk:       tenant,
		Attributes: tokenboundary.Attributes{Subject: own, Actor: own, Client: own, Session: own},
		Env:        own, Now: at,
	}
}

// ofTenant is a condition that holds if the variable is the tenant's; empty for those that say nothing of whose they are.
func ofTenant(v variable, tenant string, n int) string {
	switch {
	case v.name == resourceVariable:
		return fmt.Sprintf(`resource == "https://%s.example/"`, tenant)
	case v.name == sensitivityVariable:
		return fmt.Sprintf(`request.sensitivity == %q`, sensitivityOf[tenant])
	case v.name == "chain":
		return fmt.Sprintf(`chain.exists(p, p.id == %q)`, tenant)
	case v.name == "request.details":
		return fmt.Sprintf(`request.details.exists(d, d.owner == %q)`, tenant)
	case v.typ.IsExactType(stringList):
		return fmt.Sprintf(`%q in %s`, tenant, v.name)
	case v.typ.IsExactType(dynMap):
		return fmt.Sprintf(`%s.owner == %q`, v.name, tenant)
	}
	switch v.typ.Kind() {
	case types.StringKind:
		return fmt.Sprintf(`%s == %q`, v.name, tenant)
	case types.TimestampKind:
		return fmt.Sprintf(`%s.getFullYear() == %d`, v.name, 2000+n)
	case types.DurationKind:
		return fmt.Sprintf(`%s == duration("%ds")`, v.name, n)
	case types.IntKind:
		return fmt.Sprintf(`%s == %d`, v.name, n)
	}
	return ""
}

var sensitivityOf = map[string]string{"tenant-a": "low", "tenant-b": "high", "nobody": "medium"}

// tenantCatalog lets each tenant's resource have the same scopes, but for their sensitivity.
func tenantCatalog(scopes []string) string {
	var b strings.Builder
	b.WriteString("resources:\n")
	for tenant, level := range sensitivityOf {
		fmt.Fprintf(&b, "- resource: https://%s.example/\n  scopes:\n", tenant)
		for _, scope := range scopes {
			fmt.Fprintf(&b, "  - {scope: %q, sensitivity: %s}\n", scope, level)
		}
	}
	return b.String()
}

// One set serves requests of two tenants, and of one that has next to nothing, at once. There is a rule for each variable
// and tenant, so a single value that stays behind in a pooled slot grants a scope to the wrong one.
func TestAPooledSlotNeverCarriesAValueOver(t *testing.T) {
	tenants := []string{"tenant-a", "tenant-b", "nobody"}
	var rules strings.Builder
	var scopes []string
	want := map[string][]string{}
	for n, tenant := range tenants[:2] {
		for i, v := range variables {
			when := ofTenant(v, tenant, n+1)
			if when == "" {
				require.Equal(t, types.BoolKind, v.typ.Kind(), v.name)
				continue
			}
			scope := fmt.Sprintf("%s:%02d", tenant, i)
			fmt.Fprintf(&rules, "- {rule: %s-%d, scopes: [%q], when: '%s'}\n", tenant, i, scope, when)
			scopes = append(scopes, scope)
			want[tenant] = append(want[tenant], scope)
		}
	}
	s := load(t, map[string]string{
		"any.yaml":     `bind: {client: "*", connection: "*", resource: "*"}` + "\nallow:\n" + rules.String(),
		"catalog.yaml": tenantCatalog(append(slices.Clone(scopes), tenants...)),
	})
	facts := []tokenboundary.Facts{
		tenantFacts(tenants[0], 1), tenantFacts(tenants[1], 2),
		{Client: tokenboundary.ClientFacts{ID: "nobody"}, Connection: "nobody", Resources: []string{"https://nobody.example/"}},
	}
	for i := range facts {
		facts[i].Scopes = append(slices.Clone(scopes), tenants[i])
	}
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 40 {
				who := (worker + i) % len(facts)
				v, err := s.Evaluate(context.Background(), facts[who])
				var got []string
				for _, a := range v.Access {
					got = append(got, a.Scopes...)
				}
				if err != nil || !slices.Equal(got, want[tenants[who]]) {
					t.Errorf("%s: %v %v", tenants[who], got, err)
				}
			}
		})
	}
	wg.Wait()
}

// Whatever way a decision ends, its slots hold nothing when they come back to the pool.
func TestSlotsComeBackEmpty(t *testing.T) {
	rules := `allow: [{rule: r, scopes: [cases:read], when: 'env.count == 3 && task.purpose == "triage"'}]` + "\n"
	for name, c := range map[string]struct {
		text  string
		looks int
	}{
		"allowed":   {rules, 100},
		"denied":    {rules + "deny: [{rule: d, when: 'client.id != actor.issuer'}]\n", 100},
		"failed":    {rules + "deny: [{rule: d, when: 'env.missing == true'}]\n", 100},
		"no time":   {rules + "deny: [{rule: d, when: 'client.id == \"x\"'}]\n", 2},
		"no scopes": {"deny: [{rule: d, when: 'client.id == \"x\"'}]\n", 100},
	} {
		s := one(t, c.text)
		used := newSlots()
		s.pool.New = func() any { return used }
		f := request()
		f.Env["count"] = 3.0
		_, err := s.Evaluate(&lateContext{Context: t.Context(), looks: c.looks}, f)
		require.Equal(t, c.looks == 2, err != nil, name)
		require.Equal(t, newSlots(), used, name)
	}
}

// The ways in which subset looks into a list come to the same.
func TestSubsetIsTheSameForListsOfAnyKindAndLength(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	some := func(most int) []string {
		out := make([]string, r.IntN(most))
		for i := range out {
			out[i] = fmt.Sprint(r.IntN(2 * most))
		}
		return out
	}
	boxed := func(list []string) ref.Val {
		if r.IntN(2) == 0 {
			return newWords(list)
		}
		return types.NewStringList(types.DefaultTypeAdapter, list)
	}
	yes, no := 0, 0
	for i := range 2000 {
		whole := some(2 + i%40)
		part := some(4)
		if i%2 == 0 && len(whole) > 0 {
			part = whole[r.IntN(len(whole)):]
		}
		want := len(part) > 0
		for _, s := range part {
			want = want && slices.Contains(whole, s)
		}
		if want {
			yes++
		} else {
			no++
		}
		require.Equal(t, types.Bool(want), subset(boxed(part), boxed(whole)), "%v %v", part, whole)
	}
	require.Greater(t, yes, 200)
	require.Greater(t, no, 200)
}
