package suggest_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/policy"
	"github.com/tokenboundary/tokenboundary/policy/suggest"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

const (
	issuer  = "https://boundary.example"
	crm     = "https://crm.example/"
	billing = "https://billing.example/"
	mail    = "https://mail.example/"
)

func duration(t testing.TB, s string) time.Duration {
	d, err := time.ParseDuration(s)
	require.NoError(t, err)
	return d
}

// world is a boundary with a real policy set. It notes what the policy was asked for each token, by itself.
type world struct {
	testing.TB
	*tokenboundary.Governor
	clock *clock.Mock
	store store.Store
	files map[string]string
	last  tokenboundary.Facts
	asked map[lineage.ID]tokenboundary.Facts
	used  map[lineage.ID]map[[2]string]bool // what was reported, by resource and scope
	begun time.Time
}

var resources = map[string]string{"crm": crm, "billing": billing, "mail": mail}

func newWorld(t testing.TB, files map[string]string) *world {
	w := &world{
		TB: t, clock: clock.NewMock(), store: memory.New(), files: files, asked: map[lineage.ID]tokenboundary.Facts{},
		used: map[lineage.ID]map[[2]string]bool{},
	}
	w.begun = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	w.clock.Set(w.begun)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	m, err := mint.Open(t.Context(), mint.Config{Issuer: issuer, Store: w.store, Signer: key, Clock: w.clock})
	require.NoError(t, err)
	set := w.load(files)
	clients := tokenboundary.ClientMap{}
	for _, id := range []string{"bot", "tool", "helper"} {
		clients[id] = tokenboundary.Client{ID: id, Kind: tokenboundary.KindAgent, Connections: []string{"prod"}, Grants: []tokenboundary.Grant{
			tokenboundary.ClientCredentials, tokenboundary.Exchange, tokenboundary.Refresh,
		}}
	}
	for id, resource := range resources {
		clients[id] = tokenboundary.Client{ID: id, Kind: tokenboundary.KindResource, Resource: resource}
	}
	w.Governor, err = tokenboundary.New(tokenboundary.Config{
		Issuer: issuer, Store: w.store, Minter: m, Clock: w.clock, Clients: clients,
		Lifetimes: tokenboundary.Lifetimes{AccessToken: 24 * time.Hour},
		Policy: tokenboundary.PolicyFunc(func(ctx context.Context, f tokenboundary.Facts) (tokenboundary.Verdict, error) {
			w.last = f
			w.last.Scopes, w.last.Resources = slices.Clone(f.Scopes), slices.Clone(f.Resources)
			return set.Evaluate(ctx, f)
		}),
	})
	require.NoError(t, err)
	return w
}

func (w *world) load(files map[string]string) *policy.Set {
	w.Helper()
	set, err := policy.Load(tree(files))
	require.NoError(w, err, "%v", files)
	return set
}

func tree(files map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, text := range files {
		out[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

func as(client string) tokenboundary.Credential {
	return tokenboundary.Credential{Type: "host", ID: client, Verified: &tokenboundary.Principal{
		Party: lineage.Party{ID: client, Issuer: issuer}, Identity: true,
	}}
}

func own(resource string, scopes ...string) tokenboundary.Request {
	return tokenboundary.Request{Grant: tokenboundary.ClientCredentials, Resource: []string{resource}, Scopes: scopes}
}

// tokens issues a token; false where it is refused.
func (w *world) asks(client string, req tokenboundary.Request) (tokenboundary.Token, bool) {
	w.Helper()
	req.Client = as(client)
	tok, err := w.Issue(w.Context(), req)
	if err != nil {
		require.ErrorIs(w, err, tokenboundary.ErrDenied)
		return tok, false
	}
	w.asked[tok.ID] = w.last
	return tok, true
}

func (w *world) token(client string, req tokenboundary.Request) tokenboundary.Token {
	w.Helper()
	tok, ok := w.asks(client, req)
	require.True(w, ok)
	return tok
}

func (w *world) derived(client string, from tokenboundary.Token, resource string, scopes ...string) tokenboundary.Request {
	return tokenboundary.Request{Grant: tokenboundary.Exchange, Resource: []string{resource}, Scopes: scopes,
		Subject: tokenboundary.Credential{Type: tokenboundary.TypeAccessToken, Value: from.Value()}}
}

// uses reports a use now. Without scopes it is not known which it needed.
func (w *world) uses(resource string, tok tokenboundary.Token, scopes ...string) {
	w.Helper()
	by := tokenboundary.Client{ID: resource, Kind: tokenboundary.KindResource, Resource: resources[resource]}
	r, err := w.ReportUsage(w.Context(), by, []tokenboundary.Use{{Token: tok.ID, At: w.clock.Now(), Scopes: scopes}})
	require.NoError(w, err)
	require.Equal(w, 1, r.Accepted, "%+v", r)
	if w.used[tok.ID] == nil {
		w.used[tok.ID] = map[[2]string]bool{}
	}
	if len(scopes) == 0 {
		scopes = w.record(tok.ID).Body.Granted.Scopes(resources[resource])
	}
	for _, s := range scopes {
		w.used[tok.ID][[2]string{resources[resource], s}] = true
	}
}

func (w *world) record(id lineage.ID) lineage.Record {
	found, err := w.store.Get(w.Context(), issuer, []lineage.ID{id})
	require.NoError(w, err)
	return found[0].Record
}

func (w *world) run(files map[string]string, opts suggest.Options) suggest.Report {
	w.Helper()
	opts.Until = w.clock.Now()
	r, err := suggest.Run(w.Context(), tokenboundary.Recall{Store: w.store, Issuer: issuer}, tree(files), opts)
	require.NoError(w, err)
	return r
}

// lawful applies the patch and requires what holds of every one: the set loads; what was used is granted to every recorded
// request that used it, by asking the set what the Governor had asked; nothing is granted to any request that was not; and
// the same patch does not fit again, and there is an end to what further runs find.
func (w *world) lawful(r suggest.Report, opts suggest.Options) map[string]string {
	w.Helper()
	files, err := patched(w.files, r.Patch)
	require.NoError(w, err, r.Patch)
	if r.Patch == "" {
		return files
	}
	before, after := w.load(w.files), w.load(files)
	for id, facts := range w.asked {
		was, err := before.Evaluate(w.Context(), facts)
		require.NoError(w, err)
		is, err := after.Evaluate(w.Context(), facts)
		require.NoError(w, err)
		had, has := lineage.Authority{Access: was.Access}, lineage.Authority{Access: is.Access}
		require.True(w, had.Covers(has), "%v is not within %v\n%s", has, had, r.Patch)
		for key := range w.used[id] {
			require.Contains(w, has.Scopes(key[0]), key[1], "it was used\n%s", r.Patch)
		}
		require.True(w, len(w.used[id]) == 0 || is.Effect == tokenboundary.Allow)
	}
	_, err = patched(files, r.Patch)
	require.ErrorIs(w, err, errContext, "a second time")
	next := *w
	next.files = files
	for range 8 { // what is taken away may show that something else is for nothing too
		again := next.run(next.files, opts)
		if again.Patch == "" {
			return files
		}
		next.files, err = patched(next.files, again.Patch)
		require.NoError(w, err)
	}
	require.Fail(w, "it does not come to an end")
	return files
}

const bot = `# The support bot.
bind:
  client: bot
  connection: prod
  resource: [https://crm.example/, https://billing.example/, https://old.example/]
allow:
  # What it reads.
  - rule: reads
    when: "true"
    scopes: [cases:read, cases:export, contacts:read]  # enough for triage
    lifetime: 1h
    delegates: [tool, helper]
    refresh: true
  - rule: writes
    when: client.id == "bot"
    scopes:
      - cases:write    # rarely
      - cases:delete
    lifetime: 10m
  # Nobody knows why.
  - rule: purge
    when: task.present && task.purpose == "purge"
    scopes: [cases:purge]
  - rule: bills
    when: "true"
    resources: [https://billing.example/]
    scopes: [bills:read, bills:pay]
limits: {lifetime: 2h}
`

const tool = `bind: {client: tool, connection: prod, resource: https://crm.example/}
allow:
  - rule: all
    when: "true"
    scopes: [cases:read, contacts:read]
`

// days lets the bot work for some days: it reads within half a minute, the tool derives what it reads by, and now and then
// a contact is read. Billing does not report.
func (w *world) days(n int) {
	for day := range n {
		for range 4 {
			w.clock.Add(6 * time.Hour)
			tok := w.token("bot", own(crm, "cases:read", "cases:export", "contacts:read", "cases:write", "cases:delete"))
			w.clock.Add(20 * time.Second)
			w.uses("crm", tok, "cases:read")
			if day%20 == 3 {
				w.uses("crm", tok, "cases:write")
			}
			sub := w.token("tool", w.derived("tool", tok, crm, "cases:read", "contacts:read"))
			w.clock.Add(20 * time.Second)
			if day%10 == 0 {
				w.uses("crm", sub, "contacts:read")
			}
			w.token("bot", own(billing, "bills:read"))
		}
	}
	w.clock.Add(24 * time.Hour)
}

func TestWhatNobodyUsesIsSuggested(t *testing.T) {
	w := newWorld(t, map[string]string{"agents/bot.yaml": bot, "agents/tool.yaml": tool})
	w.days(30)
	r := w.run(w.files, suggest.Options{})
	type line struct {
		kind        suggest.Kind
		rule, value string
		patched     bool
	}
	var got []line
	for _, s := range r.Suggestions {
		require.Equal(t, s.Patched, s.Why == "", "%+v", s)
		require.GreaterOrEqual(t, s.Evidence.Grants, 50)
		got = append(got, line{s.Kind, s.Rule, s.Value, s.Patched})
	}
	require.ElementsMatch(t, []line{
		{suggest.Resource, "", "https://old.example/", true}, {suggest.Scope, "reads", "cases:export", true},
		{suggest.Delegate, "reads", "helper", true}, {suggest.Refresh, "reads", "", true}, {suggest.Lifetime, "reads", "1m", true},
		{suggest.Scope, "writes", "cases:delete", true}, {suggest.Lifetime, "writes", "1m", true}, {suggest.Rule, "purge", "cases:purge", true},
		{suggest.Scope, "all", "cases:read", true}, {suggest.Scope, "bills", "bills:pay", true},
	}, got)
	require.Equal(t, []suggest.Silent{{billing, 120}}, r.Silent)
	require.Equal(t, 360, r.Grants)
	want := bot
	for _, cut := range []string{
		", https://old.example/", ", bills:pay", " cases:export,", "      - cases:delete\n", ", helper",
		bot[strings.Index(bot, "  # Nobody"):strings.Index(bot, "  - rule: bills")],
	} {
		want = strings.Replace(want, cut, "", 1)
	}
	want = strings.NewReplacer("lifetime: 1h\n", "lifetime: 1m\n", "lifetime: 10m\n", "lifetime: 1m\n", "refresh: true", "refresh: false").Replace(want)
	files := w.lawful(r, suggest.Options{})
	require.Equal(t, want, files["agents/bot.yaml"])
	require.Equal(t, strings.Replace(tool, "cases:read, ", "", 1), files["agents/tool.yaml"])
	if byTools, ok := byTool(t, w.files, "# evidence\n"+r.Patch); ok {
		require.Equal(t, files, byTools)
	}
	of := func(kind suggest.Kind, value string) suggest.Suggestion {
		return r.Suggestions[slices.IndexFunc(r.Suggestions, func(s suggest.Suggestion) bool { return s.Kind == kind && s.Value == value })]
	}
	export := of(suggest.Scope, "cases:export").Evidence
	require.Equal(t, [2]int{120, 120}, [2]int{export.Grants, export.Used})
	require.Equal(t, 40*time.Second, of(suggest.Lifetime, "1m").Evidence.Longest)
}

// TestTooLittleIsNoEvidence: thresholds, and what is not over, not reported, or not known in detail.
func TestTooLittleIsNoEvidence(t *testing.T) {
	files := map[string]string{"agents/bot.yaml": bot, "agents/tool.yaml": tool}
	scopes := func(r suggest.Report) (out []string) {
		for _, s := range r.Suggestions {
			if s.Kind == suggest.Scope && s.Rule != "all" && s.Rule != "bills" {
				out = append(out, s.Value)
			}
		}
		return out
	}
	w := newWorld(t, files)
	w.days(13)
	require.Empty(t, w.run(files, suggest.Options{}).Suggestions, "52 grants, but of 13 days")
	require.Empty(t, w.run(files, suggest.Options{MinGrants: 110, MinTime: time.Hour}).Suggestions)
	require.ElementsMatch(t, []string{"cases:export", "cases:delete"}, scopes(w.run(files, suggest.Options{MinTime: time.Hour})), "control")

	unscoped := newWorld(t, files)
	unscoped.days(10)
	unscoped.uses("crm", unscoped.token("bot", own(crm, "cases:read", "cases:export")))
	unscoped.days(10)
	require.Equal(t, []string{"cases:delete"}, scopes(unscoped.run(files, suggest.Options{})), "one use may have been one of cases:export")

	below := newWorld(t, map[string]string{"agents/bot.yaml": bot, "agents/tool.yaml": strings.Replace(tool, "contacts:read", "cases:export", 1)})
	for range 20 {
		for range 4 {
			below.clock.Add(6 * time.Hour)
			tok := below.token("bot", own(crm, "cases:read", "cases:export"))
			below.uses("crm", tok, "cases:read")
		}
	}
	require.Contains(t, scopes(below.run(below.files, suggest.Options{})), "cases:export", "control")
	tok := below.token("bot", own(crm, "cases:read", "cases:export"))
	below.uses("crm", below.token("tool", below.derived("tool", tok, crm, "cases:export")), "cases:export")
	below.clock.Add(24 * time.Hour)
	r := below.run(below.files, suggest.Options{})
	require.NotContains(t, scopes(r), "cases:export", "a use of what was derived is one of what it came from")
	below.lawful(r, suggest.Options{})

	silent := newWorld(t, files)
	for range 100 {
		silent.clock.Add(6 * time.Hour)
		silent.token("bot", own(crm, "cases:read", "cases:export"))
	}
	silent.clock.Add(24 * time.Hour)
	r = silent.run(files, suggest.Options{})
	require.NotContains(t, scopes(r), "cases:export")
	require.Contains(t, scopes(r), "contacts:read", "nobody asked for it: that takes no reports")
	require.Equal(t, []suggest.Silent{{crm, 100}}, r.Silent)
	silent.uses("crm", silent.token("bot", own(crm, "cases:read")), "cases:read")
	require.NotContains(t, scopes(silent.run(files, suggest.Options{})), "cases:export", "what was granted before the first report is not known to be unused")
}

// TestWhatIsNewIsNotUnused: absence counts only for as long as the set is what it is.
func TestWhatIsNewIsNotUnused(t *testing.T) {
	files := map[string]string{"agents/bot.yaml": strings.Replace(bot, "purge]", "purge, cases:wipe]", 1), "agents/tool.yaml": tool}
	w := newWorld(t, map[string]string{"agents/bot.yaml": bot, "agents/tool.yaml": tool})
	w.days(30)
	r := w.run(files, suggest.Options{})
	held := 0
	for _, s := range r.Suggestions {
		if s.Kind == suggest.Rule || s.Kind == suggest.Resource {
			held++
			require.False(t, s.Patched)
			require.Contains(t, s.Why, "it may be new")
		}
	}
	require.Equal(t, 2, held)
	require.NotEmpty(t, r.Patch, "control: the rest is proposed")
}

// TestAResourceThatFallsToAnotherDocumentStays: taking it out of the binding would let another one decide.
func TestAResourceThatFallsToAnotherDocumentStays(t *testing.T) {
	files := map[string]string{"agents/bot.yaml": bot, "agents/tool.yaml": tool,
		"any.yaml": "bind: {client: \"*\", connection: prod, resource: \"*\"}\nallow:\n- {rule: r, when: \"true\", scopes: [everything]}\n"}
	w := newWorld(t, files)
	w.days(20)
	r := w.run(files, suggest.Options{})
	at := slices.IndexFunc(r.Suggestions, func(s suggest.Suggestion) bool { return s.Kind == suggest.Resource })
	require.Equal(t, "requests for it would be decided by any.yaml instead", r.Suggestions[at].Why)
	w.lawful(r, suggest.Options{})
}

// TestATaskThatIsGrantedWholeKeepsWhatItListed: what one decision needs as a whole is not taken apart, also where a part of it
// was not used by itself.
func TestATaskThatIsGrantedWholeKeepsWhatItListed(t *testing.T) {
	w := newWorld(t, map[string]string{"agents/bot.yaml": bot, "agents/tool.yaml": tool})
	for range 80 {
		w.clock.Add(6 * time.Hour)
		req := own(crm, "cases:read")
		req.Task = &tokenboundary.TaskSpec{Purpose: "triage", Authority: []lineage.Access{{Resource: crm, Scopes: []string{"cases:export", "cases:read"}}}}
		w.uses("crm", w.token("bot", req), "cases:read")
	}
	w.clock.Add(24 * time.Hour)
	r := w.run(w.files, suggest.Options{})
	at := slices.IndexFunc(r.Suggestions, func(s suggest.Suggestion) bool { return s.Value == "cases:export" })
	require.GreaterOrEqual(t, at, 0)
	require.Equal(t, "a recorded request would lose cases:read, which was used", r.Suggestions[at].Why)
	require.Contains(t, r.Patch, "+    scopes: [cases:read, cases:export]", "control: the rest of the document is proposed")
	w.lawful(r, suggest.Options{})
}

// TestWhatImpliesWhatWasUsedStays: a scope that is only implied is had by the one that a rule names.
func TestWhatImpliesWhatWasUsedStays(t *testing.T) {
	const catalog = "resources:\n- resource: https://crm.example/\n  scopes:\n" +
		"  - {scope: cases:read}\n  - {scope: cases:write, implies: [cases:read]}\n  - {scope: cases:drop, implies: [cases:read]}\n"
	leaf := strings.Replace(tool, "[cases:read, contacts:read]", "[cases:write, cases:drop]", 1)
	w := newWorld(t, map[string]string{"catalog.yaml": catalog, "agents/tool.yaml": leaf})
	for i := range 160 {
		w.clock.Add(6 * time.Hour)
		tok := w.token("tool", own(crm, []string{"cases:write", "cases:drop"}[i%2]))
		if i%2 == 0 {
			w.uses("crm", tok, "cases:read")
		}
	}
	w.clock.Add(24 * time.Hour)
	r := w.run(w.files, suggest.Options{})
	var scopes []string
	for _, s := range r.Suggestions {
		if s.Kind == suggest.Scope {
			scopes = append(scopes, s.Value)
		}
	}
	require.Equal(t, []string{"cases:drop"}, scopes)
	w.lawful(r, suggest.Options{})
}

func TestRunRefusesWhatItCannotDo(t *testing.T) {
	from := tokenboundary.Recall{Store: memory.New(), Issuer: issuer}
	files := tree(map[string]string{"a.yaml": tool})
	for _, opts := range []suggest.Options{{}, {Until: time.Unix(1, 0), MinGrants: -1}, {Until: time.Unix(1, 0), MinTime: -1}} {
		_, err := suggest.Run(t.Context(), from, files, opts)
		require.ErrorContains(t, err, "Options.Until is required")
	}
	var bad *policy.LoadError
	_, err := suggest.Run(t.Context(), from, tree(map[string]string{"a.yaml": "bind: x"}), suggest.Options{Until: time.Unix(1, 0)})
	require.ErrorAs(t, err, &bad)
	r, err := suggest.Run(t.Context(), from, files, suggest.Options{Until: time.Unix(1, 0)})
	require.NoError(t, err)
	require.Empty(t, r.Suggestions)
	require.Empty(t, r.Patch)
}
