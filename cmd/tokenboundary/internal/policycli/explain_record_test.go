package policycli

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store/bolt"
)

const (
	recordedIssuer = "https://auth.example.com"
	recordedLeaf   = `bind: {client: support-bot, connection: crm, resource: https://crm.example.com/}
allow:
  - {rule: reads, when: client.kind == "agent", scopes: [cases:read]}
  - {rule: deletes, when: env.open == true, scopes: [cases:delete]}
`
)

// record decides and records a request, and returns the file of the store and the record's id.
func record(t *testing.T, dir string) (file, id string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "store.db")
	records, err := bolt.Open(file)
	require.NoError(t, err)
	set, err := loaded(dir)
	require.NoError(t, err)
	mock := clock.NewMock()
	mock.Set(time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC))
	boundary, err := tokenboundary.New(tokenboundary.Config{
		Issuer: recordedIssuer, Store: records, Policy: set, Clock: mock,
		Clients: tokenboundary.ClientMap{"support-bot": {
			ID: "support-bot", Kind: tokenboundary.KindAgent,
			Grants: []tokenboundary.Grant{tokenboundary.ClientCredentials}, Connections: []string{"crm"},
		}},
	})
	require.NoError(t, err)
	decision, err := boundary.Decide(t.Context(), tokenboundary.Request{
		Grant:    tokenboundary.ClientCredentials,
		Client:   tokenboundary.Credential{Verified: &tokenboundary.Principal{Party: lineage.Party{ID: "support-bot"}}},
		Resource: []string{"https://crm.example.com/"}, Scopes: []string{"cases:read", "cases:delete"},
		Enforce: tokenboundary.CapScopes | tokenboundary.CapLifetime | tokenboundary.CapRecord,
	})
	require.NoError(t, err)
	require.NoError(t, boundary.Record(t.Context(), decision, tokenboundary.HostToken{Handle: "token-1"}))
	require.NoError(t, records.Close())
	return file, decision.ID.String()
}

func TestExplainOfARecord(t *testing.T) {
	dir := files(t, map[string]string{"crm.yaml": recordedLeaf})
	file, id := record(t, dir)
	about := []string{"--record", id, "--store", file, "--issuer", recordedIssuer}
	run := func(more ...string) (int, string, string) {
		return policyRun(append(append([]string{"explain"}, about...), more...)...)
	}
	code, stdout, stderr := run(dir)
	require.Equal(t, exitOK, code, stderr)
	requireGolden(t, "explain-record.txt", stdout)

	stricter := files(t, map[string]string{"crm.yaml": recordedLeaf + "deny: [{rule: agents, when: client.kind == \"agent\"}]\n"})
	code, stdout, _ = run(stricter)
	require.Equal(t, exitError, code, "another set decides otherwise")
	require.Contains(t, stdout, "agents: line 5: ✗ denies")

	for want, c := range map[string]struct {
		code int
		args []string
	}{
		"--record, --store and --issuer go together": {exitUsage, []string{"explain", "--record", id, dir}},
		"goes without --request":                     {exitUsage, append(append([]string{"explain", "--client", "x"}, about...), dir)},
		"not found":                                  {exitError, []string{"explain", "--record", lineage.IDOf([]byte("another")).String(), "--store", file, "--issuer", recordedIssuer, dir}},
		"no such file":                               {exitError, []string{"explain", "--record", id, "--store", file + ".gone", "--issuer", recordedIssuer, dir}},
		"lineage":                                    {exitError, []string{"explain", "--record", "no-id", "--store", file, "--issuer", recordedIssuer, dir}},
	} {
		code, stdout, stderr := policyRun(c.args...)
		require.Equal(t, c.code, code, want)
		require.Empty(t, stdout, want)
		require.Contains(t, stderr, want)
	}
	require.NoFileExists(t, file+".gone")
}
