package policycli

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/endpoint"
	"github.com/tokenboundary/tokenboundary/identity"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/policy"
	"github.com/tokenboundary/tokenboundary/policy/suggest"
	"github.com/tokenboundary/tokenboundary/store/bolt"
)

const (
	servedIssuer   = "https://boundary.example"
	servedResource = "https://crm.example/"
)

// served is a boundary behind HTTP, over a policy directory and a file.
type served struct {
	*testing.T
	url   string
	clock *clock.Mock
	store *bolt.Store
}

func serving(t *testing.T, dir, file string) *served {
	s := &served{T: t, clock: clock.NewMock()}
	s.clock.Set(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	var err error
	s.store, err = bolt.Open(file)
	require.NoError(t, err)
	set, err := policy.Load(os.DirFS(dir))
	require.NoError(t, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	m, err := mint.Open(t.Context(), mint.Config{Issuer: servedIssuer, Store: s.store, Signer: key, Clock: s.clock})
	require.NoError(t, err)
	clients := tokenboundary.ClientMap{
		"bot": {ID: "bot", Kind: tokenboundary.KindAgent, Connections: []string{"prod"}, Grants: []tokenboundary.Grant{tokenboundary.ClientCredentials}},
		"crm": {ID: "crm", Kind: tokenboundary.KindResource, Resource: servedResource},
	}
	secrets := identity.ClientsConfig{Issuer: servedIssuer, Clock: s.clock}
	for id := range clients {
		secrets.Clients = append(secrets.Clients, identity.ClientAuth{ID: id, Secret: secretOf(id)})
	}
	source, err := identity.Clients(secrets)
	require.NoError(t, err)
	all, err := identity.Sources(source)
	require.NoError(t, err)
	g, err := tokenboundary.New(tokenboundary.Config{
		Issuer: servedIssuer, Store: s.store, Minter: m, Clock: s.clock, Clients: clients, Identities: all, Policy: set,
	})
	require.NoError(t, err)
	h, err := endpoint.New(g, endpoint.Config{Clock: s.clock})
	require.NoError(t, err)
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	s.url = srv.URL
	return s
}

func secretOf(client string) string { return "a long secret of " + client }

// post sends a request as a client and returns the answer.
func (s *served) post(client, path, kind, body string) map[string]any {
	s.Helper()
	r, err := http.NewRequestWithContext(s.Context(), http.MethodPost, s.url+path, strings.NewReader(body))
	require.NoError(s, err)
	r.Header.Set("Content-Type", kind)
	r.SetBasicAuth(url.QueryEscape(client), url.QueryEscape(secretOf(client)))
	resp, err := http.DefaultClient.Do(r)
	require.NoError(s, err)
	defer resp.Body.Close()
	var out map[string]any
	require.NoError(s, json.NewDecoder(resp.Body).Decode(&out))
	require.Less(s, resp.StatusCode, 300, "%v", out)
	return out
}

// works lets the bot ask for two scopes, and the CRM report the use of one.
func (s *served) works(times int) {
	for range times {
		s.clock.Add(12 * time.Hour)
		token := s.post("bot", "/token", "application/x-www-form-urlencoded", "grant_type=client_credentials&scope=cases:read+cases:write")
		claims := s.post("crm", "/introspect", "application/x-www-form-urlencoded", "token="+token["access_token"].(string))
		require.Equal(s, "cases:read cases:write", claims["scope"])
		s.clock.Add(10 * time.Second)
		receipt := s.post("crm", "/usage", "application/json", fmt.Sprintf(`{"uses":[{"jti":%q,"at":%q,"scopes":["cases:read"],"count":2}]}`,
			claims["jti"], s.clock.Now().Format(time.RFC3339)))
		require.Equal(s, 1.0, receipt["accepted"])
	}
	s.clock.Add(time.Hour)
}

const granted = `# What the bot may do.
bind: {client: bot, connection: prod, resource: https://crm.example/}
allow:
  - rule: work
    when: client.id == "bot"     # nobody else
    scopes: [cases:read, cases:write]
    lifetime: 5m                 # long enough?
`

func TestSuggestFromWhatAServerRecorded(t *testing.T) {
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "boundary.db")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "agents"), 0o700))
	leaf := filepath.Join(dir, "agents", "bot.yaml")
	require.NoError(t, os.WriteFile(leaf, []byte(granted), 0o600))
	s := serving(t, dir, file)
	s.works(60)
	run := func(more ...string) (code int, out, errs string) {
		var stdout, stderr bytes.Buffer
		args := append([]string{"suggest", "--store", file, "--issuer", servedIssuer}, more...)
		code = Run(append(args, dir), &stdout, &stderr)
		return code, stdout.String(), stderr.String()
	}
	code, out, errs := run()
	require.Equal(t, exitError, code, "the server has the file")
	require.Contains(t, errs, bolt.ErrLocked.Error())
	require.Empty(t, out)
	require.NoError(t, s.store.Close())

	code, out, errs = run("--until", "2027-01-01")
	require.Equal(t, exitOK, code, errs)
	comment := strings.Join([]string{
		"# 60 tokens until 2027-01-01T00:00:00Z; 60 recorded decisions were asked again under the patched set",
		"#   agents/bot.yaml:4: rule work: a lifetime of 20s is enough: 60 tokens from 2026-03-02 to 2026-03-31, 60 of them used, last on 2026-03-31, no later than 10s after they were issued",
		"#   agents/bot.yaml:4: rule work: the scope cases:write is not used: 60 tokens from 2026-03-02 to 2026-03-31, 60 of them used for something else, last on 2026-03-31",
		"--- a/agents/bot.yaml\n",
	}, "\n")
	require.True(t, strings.HasPrefix(out, comment), out)
	text, err := os.ReadFile(leaf)
	require.NoError(t, err)
	require.Equal(t, granted, string(text), "nothing is written")

	apply(t, dir, out)
	text, err = os.ReadFile(leaf)
	require.NoError(t, err)
	require.Equal(t, strings.NewReplacer(", cases:write", "", "5m  ", "20s  ").Replace(granted), string(text))
	_, err = policy.Load(os.DirFS(dir))
	require.NoError(t, err)
	code, out, errs = run("--until", "2027-01-01")
	require.Equal(t, exitOK, code, errs)
	require.Contains(t, out, "nothing to suggest")

	var r suggest.Report
	code, out, errs = run("--json", "--since", "2026-03-20", "--until", "2026-03-25T00:00:00Z", "--min-grants", "3", "--min-time", "24h")
	require.Equal(t, exitOK, code, errs)
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	require.Equal(t, 10, r.Grants)
}

// apply applies a patch, with what is there for it.
func apply(t *testing.T, dir, text string) {
	t.Helper()
	tool := []string{"git", "apply", "-"}
	if _, err := exec.LookPath("git"); err != nil {
		tool = []string{"patch", "-p1", "-s"}
	}
	cmd := exec.CommandContext(t.Context(), tool[0], tool[1:]...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(text)
	cmd.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func TestSuggestIsMisused(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bot.yaml"), []byte(granted), 0o600))
	none := filepath.Join(dir, "none.db")
	for want, args := range map[string][]string{
		"--store and --issuer are required":                  {"--store", "x", dir},
		"may not be negative":                                {"--store", "x", "--issuer", "y", "--min-grants", "-1", dir},
		`invalid value "yesterday" for flag -since`:          {"--store", "x", "--issuer", "y", "--since", "yesterday", dir},
		"0 arguments instead of 1":                           {"--store", "x", "--issuer", "y"},
		"tokenboundary: policy suggest: stat " + none:        {"--store", none, "--issuer", "y", dir},
		"tokenboundary: policy suggest: open " + dir + "/no": {"--store", none, "--issuer", "y", dir + "/no"},
	} {
		var stdout, stderr bytes.Buffer
		require.NotEqual(t, exitOK, Run(append([]string{"suggest"}, args...), &stdout, &stderr))
		require.Contains(t, stderr.String(), want)
		require.Empty(t, stdout.String())
	}
	_, err := os.Stat(none)
	require.ErrorIs(t, err, os.ErrNotExist, "no store is made")
}
