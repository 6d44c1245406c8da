package lineage

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// short replaces the ids in a rendering, which random salts make different every time, by names.
func short(text string, nodes []Node, names ...string) string {
	for i, n := range nodes {
		text = strings.ReplaceAll(text, n.Record.ID().String()[:8], names[i])
	}
	return text
}

func TestWriteTree(t *testing.T) {
	task := mustSeal(t, first(taskParts()), second(taskParts()))
	env, body := childParts(task)
	body.Reasons = []Reason{
		{Resource: "https://crm.example.com/", Scope: "cases:read", Granted: true, Rule: "/agents/support-bot#triage-reads"},
		{Resource: "https://crm.example.com/", Scope: "refunds:write", Why: "no rule grants it"},
	}
	token := mustSeal(t, env, body)
	env, body = childParts(token)
	body.Actors, body.Client = []Party{{ID: "crm-tool"}, {ID: "support-bot"}}, "crm-tool"
	leaf := mustSeal(t, env, body)
	env, body = childParts(token)
	env.Kind, env.ExpiresAt, body.Granted = KindDenial, time.Time{}, Authority{}
	body.Code, body.Reasons = "invalid_target", []Reason{{Why: "the policy denies the target"}}
	denial := mustSeal(t, env, body)
	last := mustSeal(t, first(childParts(task)), second(childParts(task)))

	nodes := []Node{{Record: task, State: Active}, {Record: token, State: Active}, {Record: leaf, State: Suspended}, {Record: denial, State: Denied}, {Record: last.Erase(), State: Revoked}}
	var out strings.Builder
	require.NoError(t, WriteTree(&out, nodes))
	require.Equal(t, strings.TrimPrefix(`
task TASK…  active  until 12:05:00  alice  via support-bot
│  purpose triage
├─ token TOKEN…  active  until 12:05:00  alice  via support-bot
│  │  cases:read @ https://crm.example.com/  allowed by /agents/support-bot#triage-reads
│  │  refunds:write @ https://crm.example.com/  dropped: no rule grants it
│  ├─ token LEAF…  suspended  until 12:05:00  alice ← crm-tool ← support-bot  via crm-tool
│  └─ denial DENIAL…  denied  alice  via support-bot
│        refused: invalid_target
│        the policy denies the target
└─ token LAST…  revoked  until 12:05:00  (erased)
`, "\n"), short(out.String(), nodes, "TASK", "TOKEN", "LEAF", "DENIAL", "LAST"))
}

func TestWriteTreeOfGrantsAndApprovals(t *testing.T) {
	grant := mustSeal(t, first(grantParts()), second(grantParts()))
	env, body := childParts(grant)
	env.ExpiresAt = noon.Add(5 * time.Minute)
	body.Approved = &Approved{ID: mustID(1), By: "back-office", Person: "bob the boss", At: noon}
	token := mustSeal(t, env, body)
	body.Approved = &Approved{ID: mustID(1), At: noon}
	stepped := mustSeal(t, env, body)
	_, waiting := approvalParts()
	env.Kind, body.Approved, body.Deferred, body.Task = KindApproval, nil, waiting.Deferred, waiting.Task
	body.Deferred.Wants[0].Args["by"] = "managers and\nleads"
	approval := mustSeal(t, env, body)
	env, body = childParts(grant)
	env.Kind, body.Granted, body.Task = KindGrant, Authority{}, nil
	nested := mustSeal(t, env, body)

	nodes := []Node{{Record: grant, State: Active}, {Record: token, State: Active}, {Record: stepped, State: Expired}, {Record: approval, State: Active}, {Record: nested, State: Revoked}}
	var out strings.Builder
	require.NoError(t, WriteTree(&out, nodes))
	require.Equal(t, strings.TrimPrefix(`
refresh family GRANT…  active  until 2026-03-31 12:00:00  alice  via support-bot
│  cases:read @ https://crm.example.com/  allowed by /agents/support-bot#triage-reads
├─ token TOKEN…  active  until 12:05:00  alice  via support-bot
│     approved by back-office for "bob the boss" at 12:00:00
├─ token STEPPED…  expired  until 12:05:00  alice  via support-bot
│     released by a step-up at 12:00:00
├─ approval APPROVAL…  active  until 12:05:00  alice  via support-bot
│     asks for a task, purpose refund an order
│     waits for approval by="managers and\nleads"  cases:read contacts:read
│     waits for step_up acr=urn:mfa max_age=300  contacts:read
└─ refresh family NESTED…  revoked  until 2026-03-31 12:00:00  alice  via support-bot
`, "\n"), short(out.String(), nodes, "GRANT", "TOKEN", "STEPPED", "APPROVAL", "NESTED"))
}

func TestWriteTreeOfAPart(t *testing.T) {
	l := line(t)
	nodes := []Node{{Record: l[2], State: Active}, {Record: l[3], State: Active}}
	var out strings.Builder
	require.NoError(t, WriteTree(&out, nodes))
	got := short(out.String(), nodes, "A", "B")
	require.Equal(t, "token A…  active  until 12:05:00  alice  via support-bot\n"+
		"└─ token B…  active  until 12:05:00  alice  via support-bot\n", got, "a record whose parent is not there stands at the top")

	out.Reset()
	require.NoError(t, WriteTree(&out, nil))
	require.Empty(t, out.String())
}

func TestWriteTreeEscapesNames(t *testing.T) {
	env, body := taskParts()
	body.Subject.ID = "mallory\n└─ token FORGED…  active"
	body.Actors = []Party{{ID: "\x1b[31mred\a"}}
	body.Client = "right\u202eleft\u200b"
	body.Task.Purpose = "line\u2028two\r\x00"
	body.Reasons = []Reason{{Scope: "a\tb", Resource: "urn:\u009b", Rule: "rule\n", Granted: true}, {Why: `a "quoted" \ text é 日`}, {Scope: "x", Why: "\x7f"}}
	r := mustSeal(t, env, body)
	var out strings.Builder
	require.NoError(t, WriteTree(&out, []Node{{Record: r, State: Active}}))
	got := out.String()
	require.Equal(t, 5, strings.Count(got, "\n"), "no name makes a line: %s", got)
	for _, hidden := range []string{"\x1b", "\a", "\r", "\x00", "\x7f", "\t", "\u009b", "\u2028", "\u202e", "\u200b"} {
		require.NotContains(t, got, hidden)
	}
	for _, shown := range []string{
		`mallory\n└─ token FORGED…`, `\x1b[31mred\a`, `right\u202eleft\u200b`, `line\u2028two\r\x00`, `a\tb @ urn:\u009b  allowed by rule\n`,
		`a "quoted" \\ text é 日`, `dropped: \x7f`,
	} {
		require.Contains(t, got, shown)
	}
}

func TestWriteTreeReportsAFailedWrite(t *testing.T) {
	nodes := make([]Node, 0, 4)
	for _, r := range line(t) {
		nodes = append(nodes, Node{Record: r, State: Active})
	}
	w := &failing{after: 2}
	require.ErrorIs(t, WriteTree(w, nodes), errFull)
	require.Equal(t, 3, w.calls, "nothing is written after a failure")
}

var errFull = errors.New("full")

type failing struct{ after, calls int }

func (f *failing) Write(p []byte) (int, error) {
	if f.calls++; f.calls > f.after {
		return 0, errFull
	}
	return len(p), nil
}
