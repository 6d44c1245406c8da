package policycli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/policy"
)

// explained is a tree with two guardrails above a leaf.
var explained = map[string]string{
	"boundary.yaml": `deny:
  - {rule: frozen-tenant, when: 'has(env.tenant_frozen) && env.tenant_frozen == true'}
limits: {lifetime: 1h, depth: 3}
`,
	"agents/boundary.yaml": `deny:
  - rule: high-risk
    when: risk.level == "high"
`,
	"agents/crm.yaml": `bind: {client: support-bot, connection: salesforce-prod, resource: https://crm.example.com/}
default_scopes: [cases:read]
allow:
  - rule: triage-reads
    when: grant == "token_exchange" && session.kind == "human" && task.purpose == "triage"
    scopes: [cases:read, contacts:read]
    lifetime: 5m
    recheck: 1m
  - rule: refunds
    when: task.purpose == "refund" && risk.level in ["low", "medium"]
    scopes: [refunds:write]
    require: {approval: {by: support-leads}}
  - rule: triage-writes
    when: |
      task.purpose == "triage" &&
        (session.acr == "aal2" || now - session.auth_time < duration("5m"))
    scopes: [cases:write]
`,
}

const triage = `client: support-bot
connection: salesforce-prod
grant: token_exchange
session: {kind: human, auth_age: 1h}
task: {purpose: triage}
`

func TestExplainPrintsTheWalk(t *testing.T) {
	dir := files(t, explained)
	request := filepath.Join(files(t, map[string]string{"request.yaml": triage}), "request.yaml")
	for name, c := range map[string]struct {
		code int
		args []string
	}{
		"allowed":       {exitOK, nil},
		"dropped":       {exitOK, []string{"--scope", "cases:read", "--scope", "cases:write", "--scope", "cases:raed"}},
		"held":          {exitOK, []string{"--scope", "refunds:write", "--purpose", "refund", "--set", "risk.level=low"}},
		"contradiction": {exitOK, []string{"--scope", "cases:read", "--scope", "refunds:write"}},
		"denied":        {exitError, []string{"--set", "env.tenant_frozen=true", "--purpose", "else", "--set", "risk=high"}},
		"unbound":       {exitError, []string{"--connection", "salesforce"}},
	} {
		code, stdout, stderr := policyRun(append(append([]string{"explain", "--request", request}, c.args...), dir)...)
		require.Equal(t, c.code, code, name)
		require.Empty(t, stderr, name)
		requireGolden(t, "explain-"+name+".txt", stdout)
	}
}

func TestExplainWritesJSON(t *testing.T) {
	dir := files(t, explained)
	stdin = strings.NewReader(triage)
	t.Cleanup(func() { stdin = os.Stdin })
	code, stdout, stderr := policyRun("explain", "--request", "-", "--json", "--scope", "cases:write", dir)
	require.Equal(t, exitError, code)
	require.Empty(t, stderr)
	var x policy.Explanation
	require.NoError(t, json.Unmarshal([]byte(stdout), &x))
	require.Equal(t, tokenboundary.CodeInvalidScope, x.Verdict.Code)
	require.Len(t, x.Steps, 5)
	require.Equal(t, []policy.Change{{Variable: "session.acr", From: `""`, To: `"aal2"`, How: "step up"}}, x.Changes)
	require.Contains(t, stdout, `risk.level == \"high\"`)
	require.Contains(t, stdout, "&&", "as it is written")
}

// Every variable can be set, and a flag goes before the file.
func TestExplainTakesEveryVariable(t *testing.T) {
	for set, want := range map[string]string{
		"grant=refresh_token": `grant == "refresh_token"`, "connection=sf": `connection == "sf"`,
		"resource=https://crm.example.com/": `resource == "https://crm.example.com/"`,
		"now=2026-03-03T08:00:00Z":          `now.getHours() == 8`,
		"client.id=bot":                     `client.id == "bot"`, "client.kind=workload": `client.kind == "workload"`,
		"client.groups=[eu, us]": `"us" in client.groups`, "client.attributes.tier=gold": `client.attributes.tier == "gold"`,
		"subject.id=bob": `subject.id == "bob"`, "subject.issuer=https://idp.example": `subject.issuer == "https://idp.example"`,
		"subject.kind=human": `subject.kind == "human"`, "subject.attributes.x=1": `subject.attributes.x == 1`,
		"actor.id=planner": `actor.id == "planner"`, "actor.attributes.x={y: 2}": `actor.attributes.x.y == 2`,
		"chain=[{id: a, kind: agent}]": `chain[0].id == "a"`, "request.scopes=[cases:read]": `subset(request.scopes, ["cases:read"])`,
		"request.lifetime=90s": `request.lifetime == duration("90s")`, "request.details=[{type: payment}]": `request.details[0].type == "payment"`,
		"task.present=false": `!task.present`, "task.id=t9": `task.id == "t9"`, "task.context.ticket=T-9": `task.context.ticket == "T-9"`,
		"task.deadline=2026-03-02T12:30:00Z": `task.deadline - now == duration("30m")`,
		"parent.client=planner":              `parent.client == "planner"`, "parent.present=false": `!parent.present`,
		"session.auth_time=2026-03-02T11:59:00Z": `now - session.auth_time == duration("1m")`, "session.acr=aal3": `session.acr == "aal3"`,
		"session.attributes.managed=true": `session.attributes.managed == true`, "risk.level=low": `risk.level == "low"`,
		"risk=low": `risk.level == "low"`, "env.a.b=true": `env.a.b == true`, "scopes=[x]": `subset(request.scopes, ["x"])`,
		"env.gone=": `!has(env.gone)`,
	} {
		dir := files(t, map[string]string{"crm.yaml": "bind: {client: '*', connection: '*', resource: 'https://crm.example.com/'}\n" +
			"allow:\n- rule: r\n  scopes: [cases:read, x]\n  when: |\n    " + want + "\n"})
		base := filepath.Join(dir, "..", filepath.Base(dir)+".yaml")
		require.NoError(t, os.WriteFile(base, []byte(triage+"env: {gone: 1}\nscopes: [cases:read]\nsubject: alice\n"), 0o600))
		t.Cleanup(func() { require.NoError(t, os.Remove(base)) })
		code, stdout, stderr := policyRun("explain", "--request", base, "--set", set, dir)
		require.Equal(t, exitOK, code, "%s\n%s%s", set, stdout, stderr)
	}
}

func TestExplainRefuses(t *testing.T) {
	dir := files(t, explained)
	bad := files(t, map[string]string{"crm.yaml": "bind: {}\n"})
	request := filepath.Join(files(t, map[string]string{"r.yaml": triage + "scops: [x]\n"}), "r.yaml")
	for want, c := range map[string]struct {
		code int
		args []string
	}{
		"0 arguments instead of 1":  {exitUsage, nil},
		"must be NAME=VALUE":        {exitUsage, []string{"--set", "risk", dir}},
		"say what the task is":      {exitUsage, []string{"--set", "task.present=true", dir}},
		"not YAML":                  {exitUsage, []string{"--set", "env.x=[", dir}},
		"request: client":           {exitError, []string{"--grant", "token_exchange", dir}},
		"risk: must be":             {exitError, []string{"--client", "x", "--connection", "y", "--grant", "token_exchange", "--set", "risk=huge", dir}},
		"unknown key":               {exitError, []string{"--client", "x", "--set", "nothing.there=1", dir}},
		"r.yaml:6: scops":           {exitError, []string{"--request", request, dir}},
		"no such file or directory": {exitError, []string{"--request", "does-not-exist.yaml", dir}},
		"the set is refused":        {exitError, []string{"--client", "x", "--connection", "y", "--grant", "token_exchange", bad}},
	} {
		code, stdout, stderr := policyRun(append([]string{"explain"}, c.args...)...)
		require.Equal(t, c.code, code, want)
		require.Empty(t, stdout, want)
		require.Contains(t, stderr, want)
	}
}

// What a request or a policy says does not reach the terminal as anything but text.
func TestExplainPrintsText(t *testing.T) {
	dir := files(t, explained)
	_, stdout, _ := policyRun("explain", "--client", "support-bot", "--connection", "salesforce-prod", "--grant", "token_exchange",
		"--set", `env.tenant_frozen="\e[31m\a"`, "--set", "session.kind=human", dir)
	require.Contains(t, stdout, "env.tenant_frozen = ")
	require.NotContains(t, stdout, "\x1b")
	require.NotContains(t, stdout, "\a")
}
