package main_test

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestArguments(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{nil, 2, "a command is required"},
		{[]string{"lineages", "trace"}, 2, `unknown command "lineages"`},
		{[]string{"lineage", "trace"}, 2, "lineage trace: 0 arguments instead of 1"},
		{[]string{"policy"}, 2, "policy: a command is required"},
		{[]string{"policy", "enforce"}, 2, `policy: unknown command "enforce"`},
		{[]string{"serve"}, 2, "--config is required"},
		{[]string{"serve", "--config"}, 2, "flag needs an argument"},
		{[]string{"serve", "--port", "1"}, 2, "flag provided but not defined"},
		{[]string{"serve", "--config", "a", "b"}, 2, `unexpected argument "b"`},
		{[]string{"version", "x"}, 2, "takes no arguments"},
	} {
		stdout, stderr, code := command(t, c.args...)
		require.Equal(t, c.code, code, "%v", c.args)
		require.Empty(t, stdout)
		require.Contains(t, stderr, c.says)
		require.Contains(t, stderr, "Usage:")
	}
	stdout, stderr, code := command(t, "version")
	require.Equal(t, 0, code)
	require.Empty(t, stderr)
	require.Regexp(t, `^tokenboundary \S+ go1\.\S+ \S+/\S+\n$`, stdout)
	stdout, _, code = command(t, "help")
	require.Equal(t, 0, code)
	require.Contains(t, stdout, "Usage:")
}

// TestAStartThatFailsSaysWhyInOneLine breaks one thing at a time in a world that starts otherwise.
func TestAStartThatFailsSaysWhyInOneLine(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(w *world)
		want  string
	}{
		"no configuration": {func(w *world) { require.NoError(t, os.Remove(w.config())) }, "DIR/boundary.yaml: no such file or directory"},
		"a wrong key": {func(w *world) { w.write("boundary.yaml", configuration+"tls: {}\n") },
			"DIR/boundary.yaml:30: tls: unknown key"},
		"two methods": {func(w *world) {
			w.write("boundary.yaml", strings.Replace(configuration, "{secret_file: worker.secret}", "{secret_file: worker.secret}, private_key_jwt: {jwks_file: idp.jwks.json}", 1))
		}, "DIR/boundary.yaml:20: clients[1].auth: exactly one method is required"},
		"a rule that does not compile": {func(w *world) { w.write(policyFile, strings.Replace(leaf, "session.kind in", "session.kind im", 1)) },
			`DIR/policies: policy: the set is refused; agents/support-bot/crm.yaml:8:24: rule "reads": `},
		"no policies":        {func(w *world) { require.NoError(t, os.Remove(filepath.Join(w.dir, policyFile))) }, "DIR/policies: policy: the set is refused; "},
		"keys that are none": {func(w *world) { w.write("idp.jwks.json", "{}") }, "DIR/boundary.yaml:9: trust[0].oidc: identity: "},
		"a client's keys that are none": {func(w *world) { w.write("support-bot.jwks.json", "[]") },
			`DIR/boundary.yaml:11: clients[0]: identity: client "support-bot": `},
		"a private key among the public": {func(w *world) { w.write("idp.jwks.json", `{"keys":[{"kty":"oct","k":"c2VjcmV0LWtleS1ieXRlcw"}]}`) },
			"DIR/boundary.yaml:9: trust[0].oidc: identity: "},
		"two issuers of one name": {func(w *world) {
			w.write("boundary.yaml", strings.Replace(configuration, "clients:\n",
				"  - oidc: {issuer: "+idp+", audience: "+issuer+", jwks_file: idp.jwks.json, session: human, subject_prefix: 'b:'}\nclients:\n", 1))
		}, "DIR/boundary.yaml:10: trust[1].oidc: identity: two sources for issuer"},
		"a person that no subject can be": {func(w *world) {
			w.write("boundary.yaml", strings.Replace(configuration, "session: human", "session: human, subject_prefix: 'idp:'", 1))
		}, "DIR/boundary.yaml:25: clients[3]: person: not a subject that trust knows"},
		"a store that is none": {func(w *world) { w.write("boundary.db", strings.Repeat("no store", 1000)) }, "DIR/boundary.yaml:3: store: bolt: DIR/boundary.db: "},
		"a store that has no place": {func(w *world) {
			w.write("boundary.yaml", strings.Replace(configuration, "path: boundary.db", "path: none/boundary.db", 1))
		}, "DIR/boundary.yaml:3: store: bolt: DIR/none/boundary.db: "},
		"signing keys that others can read": {func(w *world) {
			w.write("signing/"+strings.Repeat("A", 43)+".pem", "x")
			require.NoError(t, os.Chmod(filepath.Join(w.dir, "signing", strings.Repeat("A", 43)+".pem"), 0o644))
		}, "DIR/boundary.yaml:5: signing: mint: key file "},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.spoil(w)
			stdout, stderr, code := command(t, "serve", "--config", w.config())
			require.Equal(t, 1, code)
			require.Empty(t, stdout)
			require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
			require.True(t, strings.HasPrefix(stderr, "tokenboundary: "+strings.ReplaceAll(c.want, "DIR", w.dir)), stderr)
			require.NotContains(t, stderr, "c2VjcmV0")
		})
	}
}

func TestAnAddressAndAStoreAreUsedByOneProcess(t *testing.T) {
	w := newWorld(t).start()
	_, stderr, code := command(t, "serve", "--config", w.config())
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "boundary.db: already open")

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close() //nolint:errcheck // ends with the test
	other := newWorld(t)
	other.write("boundary.yaml", strings.Replace(configuration, "listen: 127.0.0.1:0", "listen: "+taken.Addr().String(), 1))
	_, stderr, code = command(t, "serve", "--config", other.config())
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "tokenboundary: listen: ")
	require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
}

func TestAMemoryStoreServesToo(t *testing.T) {
	w := newWorld(t)
	w.write("boundary.yaml", strings.Replace(configuration, "{bolt: {path: boundary.db}}", "{memory: {}}", 1))
	w.start()
	token, err := w.workerToken("cases:read")
	require.NoError(t, err)
	w.requireActive(token.AccessToken)
	w.end()
	w.start()
	w.requireDead(token.AccessToken)
}

// TestTheExampleStarts fills what the example leaves to its reader, and serves it.
func TestTheExampleStarts(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, os.RemoveAll(filepath.Join(w.dir, "policies")))
	require.NoError(t, os.CopyFS(filepath.Join(w.dir, "example"), os.DirFS("example")))
	text, err := os.ReadFile(filepath.Join(w.dir, "example", "boundary.yaml"))
	require.NoError(t, err)
	w.write("example/boundary.yaml", strings.Replace(string(text), "listen: 127.0.0.1:8911", "listen: 127.0.0.1:0", 1))
	w.write("example/keys/idp.jwks.json", w.idp.jwks(t, "sig"))
	w.write("example/keys/acme.bundle.json", newKey(t, "acme-1").jwks(t, "jwt-svid"))
	w.write("example/keys/support-bot.jwks.json", w.bot.jwks(t, "sig"))
	w.write("example/keys/crm.secret", crmSecret)
	w.write("example/keys/ops.secret", opsSecret)
	w.process = serve(t, filepath.Join(w.dir, "example", "boundary.yaml"))
	answer := w.token(w.asBot(w.exchange("alice", "cases:read")))
	w.requireActive(answer["access_token"])
	w.requireActive(w.token(w.asBot(refresh(answer["refresh_token"], "")))["access_token"])
	status, waits := w.form("/token", w.asBot(deferrable(taskOf(w.exchange("alice", "refunds:write"), "refund"))))
	require.Equal(t, http.StatusBadRequest, status)
	require.Equal(t, "authorization_pending", waits["error"], "%v", waits)
	w.end()
}

// TestTheMinimalExampleStarts: three secrets are all that it needs.
func TestTheMinimalExampleStarts(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, os.CopyFS(filepath.Join(w.dir, "example"), os.DirFS("example")))
	text, err := os.ReadFile(filepath.Join(w.dir, "example", "minimal.yaml"))
	require.NoError(t, err)
	w.write("example/minimal.yaml", strings.Replace(string(text), "listen: 127.0.0.1:8911", "listen: 127.0.0.1:0", 1))
	for _, name := range []string{"bot", "crm", "ops"} {
		w.write("example/"+name+".secret", "the-secret-of-"+name+"\n")
	}
	w.process = serve(t, filepath.Join(w.dir, "example", "minimal.yaml"))
	answer := w.token(url.Values{"grant_type": {"client_credentials"}, "scope": {"cases:read"}}, basic("bot", "the-secret-of-bot"))
	require.Equal(t, "cases:read", answer["scope"])
	w.end()
}

// manyPolicies adds n leaves of three rules each.
func manyPolicies(w *world, n int) {
	for i := range n {
		w.write(fmt.Sprintf("policies/many/group-%02d/leaf-%04d.yaml", i%40, i), fmt.Sprintf(`bind:
  client: client-%[1]d
  connection: salesforce-prod
  resource: https://api-%[1]d.example.com/
default_scopes: [cases:read]
allow:
  - rule: reads
    when: session.kind == "human" && client.id == "client-%[1]d"
    scopes: [cases:read, contacts:read]
    lifetime: 5m
  - rule: closes
    when: grant == "token_exchange" && task.purpose == "triage-%[1]d"
    scopes: [cases:close]
    lifetime: 60s
deny:
  - rule: frozen
    when: env.tenant_frozen == true
`, i))
	}
}

func TestAThousandPoliciesStart(t *testing.T) {
	w := newWorld(t)
	manyPolicies(w, 1000)
	w.start()
	status, answer := w.get("/healthz")
	require.Equal(t, http.StatusOK, status, "%v", answer)
	_, err := w.workerToken("cases:read")
	require.NoError(t, err)
	w.end()

	// All of them were read: a mistake in the last one is found.
	const last = "many/group-39/leaf-0999.yaml"
	text, err := os.ReadFile(filepath.Join(w.dir, "policies", last))
	require.NoError(t, err)
	w.write("policies/"+last, strings.Replace(string(text), "env.tenant_frozen == true", "env.tenant_frozen +", 1))
	_, stderr, code := command(t, "serve", "--config", w.config())
	require.Equal(t, 1, code)
	require.Contains(t, stderr, last+":17:30: rule \"frozen\"")
}

// BenchmarkStart measures from the start of the process to the line that says it listens.
func BenchmarkStart(b *testing.B) {
	for _, n := range []int{0, 1000} {
		b.Run(fmt.Sprintf("policies=%d", n), func(b *testing.B) {
			w := newWorld(b)
			manyPolicies(w, n)
			for b.Loop() {
				w.process = serve(b, w.config())
				b.StopTimer()
				w.end()
				b.StartTimer()
			}
		})
	}
}
