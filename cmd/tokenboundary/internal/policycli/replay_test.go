package policycli

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/policy/replay"
	"github.com/tokenboundary/tokenboundary/store/bolt"
)

// TestReplayOfAStore: a boundary has decided into a file and is gone.
func TestReplayOfAStore(t *testing.T) {
	same := files(t, map[string]string{"crm.yaml": recordedLeaf})
	file, id := record(t, same)
	run := func(args ...string) (int, string, string) {
		return policyRun(append([]string{"replay", "--store", file, "--issuer", recordedIssuer}, args...)...)
	}
	code, stdout, stderr := run(same)
	require.Equal(t, exitOK, code, stderr)
	require.Equal(t, "1 decision examined: 0 would change, 1 would not\n", stdout)

	stricter := files(t, map[string]string{"crm.yaml": strings.Replace(recordedLeaf, "cases:read", "cases:other", 1)})
	code, stdout, _ = run(stricter)
	require.Equal(t, exitError, code, "a difference")
	require.Equal(t, "newly denied\n"+
		"       1  /crm#reads\n"+
		"          2026-03-02T12:00:00Z "+id+" support-bot at https://crm.example.com/: allow → invalid_scope (no rule grants it)\n"+
		"1 decision examined: 1 would change, 0 would not\n", stdout)

	wider := files(t, map[string]string{"crm.yaml": strings.Replace(recordedLeaf, "env.open == true", `"true"`, 1)})
	code, stdout, _ = run("--json", "--examples", "0", wider)
	require.Equal(t, exitError, code)
	var out replayOutput
	require.NoError(t, json.Unmarshal([]byte(stdout), &out))
	require.Equal(t, []replay.Group{{Change: replay.ScopeGained, Path: "/crm", Rule: "/crm#deletes", Scope: "cases:delete", Count: 1}}, out.Groups)
	require.NotEmpty(t, out.Candidate)

	code, stdout, _ = run("--baseline", wider, wider)
	require.Equal(t, exitOK, code, "beside itself, not beside what was recorded")
	require.Contains(t, stdout, "1 would not")

	for name, filter := range map[string][]string{
		"since": {"--since", "2026-03-03"}, "until": {"--until", "2026-03-02T12:00:00Z"},
		"client": {"--client", "another"}, "path": {"--path", "/crm/below"},
	} {
		code, stdout, _ = run(append(filter, stricter)...)
		require.Equal(t, exitError, code, name)
		require.Contains(t, stdout, "0 decisions examined", name)
		require.Contains(t, stdout, "no record is of this --issuer", name)
	}
	code, stdout, _ = run("--since", "2026-03-02T12:00:00Z", "--until", "2026-03-03", "--client", "support-bot", "--path", "/crm", stricter)
	require.Equal(t, exitError, code, "control")
	require.Contains(t, stdout, "1 would change")
}

func TestReplayRefuses(t *testing.T) {
	dir := files(t, map[string]string{"crm.yaml": recordedLeaf})
	file, _ := record(t, dir)
	for want, c := range map[string]struct {
		code int
		args []string
	}{
		"--store and --issuer are required": {exitUsage, []string{"--store", file, dir}},
		"0 arguments instead of 1":          {exitUsage, []string{"--store", file, "--issuer", recordedIssuer}},
		"--path starts with a slash":        {exitUsage, []string{"--store", file, "--issuer", recordedIssuer, "--path", "crm", dir}},
		"since":                             {exitUsage, []string{"--store", file, "--issuer", recordedIssuer, "--since", "monday", dir}},
		"no such file":                      {exitError, []string{"--store", file + ".gone", "--issuer", recordedIssuer, dir}},
		"the set is refused":                {exitError, []string{"--store", file, "--issuer", recordedIssuer, t.TempDir()}},
	} {
		code, stdout, stderr := policyRun(append([]string{"replay"}, c.args...)...)
		require.Equal(t, c.code, code, want)
		require.Contains(t, stderr, want)
		require.Empty(t, stdout)
	}

	running, err := bolt.Open(file)
	require.NoError(t, err)
	code, _, stderr := policyRun("replay", "--store", file, "--issuer", recordedIssuer, dir)
	require.Equal(t, exitError, code)
	require.Contains(t, stderr, "already open: a server that runs keeps it to itself; give a copy")
	require.NoError(t, running.Close())
	code, _, stderr = policyRun("replay", "--store", file, "--issuer", recordedIssuer, dir)
	require.Equal(t, exitOK, code, stderr)
}
