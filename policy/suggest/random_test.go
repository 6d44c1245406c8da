package suggest_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/policy/suggest"
)

// randomRule writes a rule in one of the layouts.
func randomRule(random *rand.Rand, i int, bound []string) string {
	var scopes []string
	for _, s := range []string{"a", "b", "c", "d", "e"} {
		if random.IntN(2) == 0 {
			scopes = append(scopes, s)
		}
	}
	if len(scopes) == 0 {
		scopes = []string{"a"}
	}
	var b strings.Builder
	if random.IntN(3) == 0 {
		fmt.Fprintf(&b, "  # rule %d\n", i)
	}
	when := []string{"true", "size(request.scopes) > 1", `grant == "refresh_token" || task.present`, `"a" in request.scopes`}[random.IntN(4)]
	if random.IntN(4) == 0 {
		fmt.Fprintf(&b, "  - {rule: r%d, when: '%s', scopes: [%s], lifetime: 30m}\n", i, when, strings.Join(scopes, ", "))
		return b.String()
	}
	fmt.Fprintf(&b, "  - rule: r%d\n    when: '%s'\n", i, when)
	if random.IntN(2) == 0 {
		fmt.Fprintf(&b, "    scopes: [%s] # scopes\n", strings.Join(scopes, ", "))
	} else {
		fmt.Fprintf(&b, "    scopes:\n      - %s\n", strings.Join(scopes, " # one\n      - "))
	}
	if random.IntN(3) == 0 {
		fmt.Fprintf(&b, "    resources: [%s]\n", bound[random.IntN(len(bound))])
	}
	if random.IntN(2) == 0 {
		fmt.Fprintf(&b, "    lifetime: %s\n", []string{"10m", "1h", "3h"}[random.IntN(3)])
	}
	if random.IntN(2) == 0 {
		fmt.Fprintf(&b, "    delegates: [%s]\n", []string{"tool", "helper", "tool, helper"}[random.IntN(3)])
	}
	if random.IntN(2) == 0 {
		b.WriteString("    refresh: true\n")
	}
	return b.String()
}

func randomSet(random *rand.Rand) map[string]string {
	files := map[string]string{}
	for _, client := range []string{"bot", "tool", "helper"} {
		bound := [][]string{{crm}, {crm, mail}, {crm, billing, mail}}[random.IntN(3)]
		var b strings.Builder
		fmt.Fprintf(&b, "bind: {client: %s, connection: prod, resource: [%s]}\nallow:\n", client, strings.Join(bound, ", "))
		for i := range 1 + random.IntN(4) {
			b.WriteString(randomRule(random, i, bound))
		}
		files["agents/"+client+".yaml"] = b.String()
	}
	return files
}

// TestNoSuggestionTakesWhatWasUsed lets random clients work under random policy sets, with random reports of use, and
// requires the laws of every patch that comes of it.
func TestNoSuggestionTakesWhatWasUsed(t *testing.T) {
	patches, kinds := 0, map[suggest.Kind]int{}
	seeds := uint64(60)
	if testing.Short() {
		seeds = 15
	}
	for seed := range seeds {
		random := rand.New(rand.NewPCG(seed, 7))
		w := newWorld(t, randomSet(random))
		w.history(random)
		opts := suggest.Options{MinGrants: 3, MinTime: time.Hour}
		r := w.run(w.files, opts)
		w.lawful(r, opts)
		if r.Patch != "" {
			patches++
		}
		for _, s := range r.Suggestions {
			if s.Patched {
				kinds[s.Kind]++
			}
		}
	}
	if testing.Short() {
		return
	}
	for _, k := range []suggest.Kind{suggest.Scope, suggest.Rule, suggest.Lifetime, suggest.Delegate, suggest.Refresh, suggest.Resource} {
		if kinds[k] == 0 {
			t.Errorf("the histories must reach what they test: %s, of %v in %d patches", k, kinds, patches)
		}
	}
	t.Logf("%d patches: %v", patches, kinds)
}

// history is what random clients do in some days.
func (w *world) history(random *rand.Rand) {
	usual := [][]string{{"a", "b"}, {"a"}, {"a", "b", "c"}, {"c", "d"}} // what is asked for and what is used are habits
	habit := usual[random.IntN(len(usual))]
	var live []tokenboundary.Token
	refreshing := map[lineage.ID]tokenboundary.Token{}
	report := []string{"crm", "mail", "billing"}[:1+random.IntN(3)]
	for range 80 {
		w.clock.Add(time.Duration(random.IntN(40)) * time.Minute)
		resource := []string{crm, mail, billing}[random.IntN(3)*random.IntN(2)]
		scopes := []string{"a", "b", "c", "d", "e"}[random.IntN(2):][:2+random.IntN(3)]
		req := own(resource, scopes...)
		switch random.IntN(8) {
		case 0:
			req.Resource = []string{crm, mail}
		case 1:
			req.Task = &tokenboundary.TaskSpec{Purpose: "x"}
		case 2:
			req.Task = &tokenboundary.TaskSpec{Purpose: "x", Authority: []lineage.Access{{Resource: resource, Scopes: scopes}}}
		case 3, 4, 5:
			if len(live) > 0 {
				from := live[random.IntN(len(live))]
				req = w.derived("", from, resource, scopes...)
				if from.RefreshValue() != "" && random.IntN(3) == 0 {
					req = tokenboundary.Request{Grant: tokenboundary.Refresh, Subject: tokenboundary.Credential{Type: tokenboundary.TypeRefreshToken, Value: from.RefreshValue()}}
				}
			}
		}
		client := []string{"bot", "bot", "tool", "helper"}[random.IntN(4)]
		if tok, ok := w.asks(client, req); ok {
			live = append(live, tok)
			refreshing[tok.ID] = tok
		}
		if len(live) == 0 || random.IntN(2) == 0 {
			continue
		}
		w.clock.Add(time.Duration(random.IntN(100)) * time.Second)
		w.usesSome(random, live[len(live)-1], report, habit)
	}
	w.clock.Add(48 * time.Hour)
}

// usesSome reports a use of a token, if it is for one of those who report.
func (w *world) usesSome(random *rand.Rand, tok tokenboundary.Token, report, habit []string) {
	r := w.record(tok.ID)
	for _, by := range report {
		granted := r.Body.Granted.Scopes(resources[by])
		if len(granted) == 0 || !w.clock.Now().Before(r.ExpiresAt) {
			continue
		}
		var scopes []string
		for _, s := range granted {
			if strings.Contains(strings.Join(habit, ""), s) {
				scopes = append(scopes, s)
			}
		}
		if len(scopes) == 0 && random.IntN(10) > 0 {
			continue
		}
		w.uses(by, tok, scopes...)
		return
	}
}
