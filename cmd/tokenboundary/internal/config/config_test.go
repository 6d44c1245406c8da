package config_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/broker"
	"github.com/tokenboundary/tokenboundary/cmd/tokenboundary/internal/config"
	"github.com/tokenboundary/tokenboundary/store/postgres"
)

const secret = "sixteen bytes or more"

// base uses every key that has an effect. Its first line is line 1.
const base = `issuer: http://127.0.0.1:8911
listen: 127.0.0.1:0
store: {bolt: {path: boundary.db}}
policies: policies
signing: {alg: EdDSA, dir: keys}
lifetimes: {access_token: 4m, task: 2h, clock_leeway: 3s, refresh_token: 6h, refresh_idle: 1h, refresh_grace: 10s, approval: 7m}
env: {tenant_frozen: false, limit: 3, ratio: 0.5, regions: [eu, us], nested: {a: b}}
trust:
  - oidc: {issuer: https://idp.example, audience: a, jwks_file: keys.json, session: human, subject_prefix: "idp:"}
  - spiffe: {trust_domain: acme.example, bundle_file: keys.json, audience: a}
  - kubernetes: {issuer: https://k8s.example, audience: a, jwks_uri: https://k8s.example/keys, max_lifetime: 30m}
clients:
  - id: support-bot
    kind: agent
    grants: [client_credentials, token-exchange, refresh_token]
    connections: [salesforce-prod]
    actors: [spiffe://acme.example/agents/*]
    auth: {private_key_jwt: {jwks_file: keys.json}}
    dpop: required
  - id: crm
    kind: resource
    resource: HTTPS://CRM.example.com:443/
    auth: {client_secret_basic: {secret_file: crm.secret}}
  - id: ops
    kind: operator
    groups: [support-leads]
    person: alice@example.com
    auth: {client_secret_basic: {secret_file: crm.secret}}
  - id: legacy
    kind: resource
    resource: https://legacy.example.com/
    connections: [db, erp, files, wiki]
    auth: {client_secret_basic: {secret_file: crm.secret}}
brokers:
  - client: legacy
    sealing: {key_file: crm.secret}
    connections:
      db: {vault: {address: https://vault.example, namespace: team, ca_file: crm.secret, kind: dynamic, paths: {read: database/creds/reader}, fields: {user: username}, token_role: lease, journal: kv/leases, login: {jwt: {mount: boundary, role: broker, client: support-bot, resource: https://vault.example/}}}}
      erp: {files: {key: crm.secret}}
      wiki: {environ: {token: WIKI_TOKEN}}
      files: {oauth: {token_endpoint: https://as.example/token, revocation_endpoint: https://as.example/revoke, client_id: b, client_secret_file: crm.secret, refresh_token_file: crm.secret, scopes: {read: [files.read]}, broad: true, ca_file: crm.secret}}
    proxies:
      - listen: 127.0.0.1:0
        connection: erp
        upstream: https://erp.example.com:8443
        ca_file: crm.secret
        routes: [{methods: [GET, HEAD], path: /v1/invoices/*, scopes: [invoices:read]}]
        inject: {X-Api-Key: "{key}"}
        request_headers: [X-Request-Id]
        response_headers: [X-Total]
        max_request: 1000
        max_response: 2000
        timeout: 5s
        origin: https://proxy.example.com
        forward_auth: {listen: 127.0.0.1:0, style: envoy, prefix: /check, deliver: true, gateway: {header: X-Gateway, secret_file: crm.secret}}
`

// room returns a directory with every file that base names.
func room(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for _, sub := range []string{"policies", "policies/deep", "trial"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, sub), 0o700))
	}
	for name, content := range map[string]string{
		"keys.json": "{}", "crm.secret": secret + "\n", "short.secret": "fifteen bytes..\n",
		"empty.dsn": "\n", "long.dsn": strings.Repeat("x", 8193), "long.secret": strings.Repeat("x", 1025), "crlf.secret": secret + "\r\n", "two.secret": secret + "\n\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	return dir
}

func parse(dir, text string) (*config.Config, error) {
	return config.Parse(filepath.Join(dir, "boundary.yaml"), []byte(text))
}

func TestEveryKeyIsRead(t *testing.T) {
	dir := room(t)
	c, err := parse(dir, base)
	require.NoError(t, err)
	in := func(name string) string { return filepath.Join(dir, name) }

	require.Equal(t, "http://127.0.0.1:8911", c.Issuer)
	require.Equal(t, "127.0.0.1:0", c.Listen)
	require.Equal(t, in("boundary.db"), c.Store.Bolt)
	require.Equal(t, in("policies"), c.Policies)
	require.Equal(t, "EdDSA", c.Signing.Alg)
	require.Equal(t, in("keys"), c.Signing.Dir)
	require.Equal(t, tokenboundary.Lifetimes{
		AccessToken: 4 * time.Minute, Task: 2 * time.Hour, ClockLeeway: 3 * time.Second, RefreshToken: 6 * time.Hour,
		RefreshIdle: time.Hour, RefreshGrace: 10 * time.Second, Approval: 7 * time.Minute,
	}, c.Lifetimes)
	require.Equal(t, map[string]any{"tenant_frozen": false, "limit": int64(3), "ratio": 0.5, "regions": []any{"eu", "us"},
		"nested": map[string]any{"a": "b"}}, c.Env)

	require.Len(t, c.Trust, 3)
	for i := range c.Trust {
		require.Equal(t, 9+i, c.Trust[i].Line)
		c.Trust[i].Place = config.Place{}
	}
	require.Equal(t, []config.Trust{
		{Kind: "oidc", Issuer: "https://idp.example", Audience: "a", Keys: config.Keys{File: in("keys.json")}, Session: "human", SubjectPrefix: "idp:"},
		{Kind: "spiffe", Domain: "acme.example", Audience: "a", Bundle: in("keys.json")},
		{Kind: "kubernetes", Issuer: "https://k8s.example", Audience: "a", Keys: config.Keys{URI: "https://k8s.example/keys"}, MaxLifetime: 30 * time.Minute},
	}, c.Trust)

	require.Len(t, c.Clients, 4)
	require.Equal(t, tokenboundary.Client{
		ID: "support-bot", Kind: tokenboundary.KindAgent,
		Grants:      []tokenboundary.Grant{tokenboundary.ClientCredentials, tokenboundary.Exchange, tokenboundary.Refresh},
		Connections: []string{"salesforce-prod"}, Actors: []string{"spiffe://acme.example/agents/*"}, Binding: tokenboundary.BindingRequired,
	}, c.Clients[0].Client)
	require.Equal(t, config.Auth{Assertion: &config.Keys{File: in("keys.json")}}, c.Clients[0].Auth)
	require.Equal(t, tokenboundary.Client{ID: "crm", Kind: tokenboundary.KindResource, Resource: "https://crm.example.com/"}, c.Clients[1].Client)
	require.Equal(t, config.Auth{Secret: secret}, c.Clients[1].Auth)
	require.Equal(t, tokenboundary.Client{
		ID: "ops", Kind: tokenboundary.KindOperator, Groups: []string{"support-leads"}, Person: "alice@example.com",
	}, c.Clients[2].Client)
	require.Equal(t, []string{"db", "erp", "files", "wiki"}, c.Clients[3].Connections)
	brokered(t, c, in)
}

// brokered checks what base says of a broker.
func brokered(t *testing.T, c *config.Config, in func(string) string) {
	require.Len(t, c.Brokers, 1)
	b := c.Brokers[0]
	require.Equal(t, []string{"legacy", in("crm.secret")}, []string{b.Client, b.Keys})
	require.Equal(t, map[string]string{"key": in("crm.secret")}, b.Connections["erp"].Files)
	require.Equal(t, map[string]string{"token": "WIKI_TOKEN"}, b.Connections["wiki"].Environ)
	require.Equal(t, &config.OAuth{Secret: secret, Refresh: secret, CA: in("crm.secret"), Config: broker.OAuthConfig{
		TokenURL: "https://as.example/token", RevocationURL: "https://as.example/revoke", ClientID: "b", Broad: true,
		Scopes: map[string][]string{"read": {"files.read"}},
	}}, b.Connections["files"].OAuth)
	require.Equal(t, &config.Vault{CA: in("crm.secret"), Method: "jwt", Client: "support-bot", Resource: "https://vault.example/",
		Config: broker.VaultConfig{
			Address: "https://vault.example", Namespace: "team", Kind: broker.VaultDynamic, TokenRole: "lease", Journal: "kv/leases",
			Paths: map[string]string{"read": "database/creds/reader"}, Fields: map[string]string{"user": "username"},
			Login: broker.VaultLogin{Mount: "boundary", Role: "broker"},
		}}, b.Connections["db"].Vault)
	require.Len(t, b.Connections, 4)
	require.Len(t, b.Proxies, 1)
	require.Equal(t, &config.ForwardAuth{
		Listen: "127.0.0.1:0", Header: "X-Gateway", Secret: secret, Config: broker.ForwardConfig{Style: broker.ForwardEnvoy, Prefix: "/check", Deliver: true},
	}, b.Proxies[0].Forward)
	require.Equal(t, []string{"127.0.0.1:0", in("crm.secret")}, []string{b.Proxies[0].Listen, b.Proxies[0].CA})
	require.Equal(t, broker.ProxyConfig{
		Connection: "erp", Upstream: &url.URL{Scheme: "https", Host: "erp.example.com:8443"},
		Routes: []broker.Route{{Methods: []string{"GET", "HEAD"}, Path: "/v1/invoices/*", Scopes: []string{"invoices:read"}}},
		Inject: map[string]string{"X-Api-Key": "{key}"}, RequestHeaders: []string{"X-Request-Id"}, ResponseHeaders: []string{"X-Total"},
		MaxRequest: 1000, MaxResponse: 2000, Timeout: 5 * time.Second, Origin: "https://proxy.example.com",
	}, b.Proxies[0].Config)
}

func TestWhatMayBeLeftOut(t *testing.T) {
	least := "issuer: https://as.example/tenant\nlisten: '[::1]:80'\nstore: {memory: {}}\npolicies: policies\n" +
		"signing: {dir: keys}\nclients: []\n"
	c, err := parse(room(t), least)
	require.NoError(t, err)
	require.Equal(t, "ES256", c.Signing.Alg)
	require.Empty(t, c.Store.Bolt)
	require.Equal(t, tokenboundary.Lifetimes{ClockLeeway: 5 * time.Second}, c.Lifetimes)
	require.Empty(t, c.Env)
	require.Empty(t, c.Trust)
	require.Empty(t, c.Clients)
}

// connection is a connection string with a password.
const connection = "postgres://serve:the-password@db.example/boundary?sslmode=verify-full"

func TestAPostgresStore(t *testing.T) {
	dir := room(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "boundary.dsn"), []byte(connection+"\n"), 0o600))
	in := func(keys string) *config.Postgres {
		c, err := parse(dir, strings.Replace(base, "{bolt: {path: boundary.db}}", "{postgres: {"+keys+"}}", 1))
		require.NoError(t, err)
		require.Empty(t, c.Store.Bolt)
		require.True(t, c.Store.Durable())
		return c.Store.Postgres
	}
	require.Equal(t, &config.Postgres{DSN: connection, Migrate: true}, in("dsn: '"+connection+"'"))
	require.Equal(t, &config.Postgres{DSN: connection, Migrate: true}, in("dsn_file: boundary.dsn"), "one trailing newline is ignored")
	require.Equal(t, connection, string(in("dsn: x, pooled: true, listen: '"+connection+"'").Options.Listen))
	require.Equal(t, connection, string(in("dsn: x, listen_file: boundary.dsn").Options.Listen))
	require.True(t, in("dsn: x, silent: true").Options.Silent)
	require.NotContains(t, fmt.Sprintf("%+v", in("dsn: x, listen: '"+connection+"'")), "the-password")
	require.Equal(t, &config.Postgres{DSN: connection, Options: postgres.Options{
		Schema: "tenants", Pooled: true, MaxConns: 12, Timeout: 3 * time.Second,
	}}, in("dsn_file: boundary.dsn, schema: tenants, pooled: true, migrate: false, max_connections: 12, timeout: 3s"))
}

func TestASetOnTrialAndMetrics(t *testing.T) {
	dir := room(t)
	c, err := parse(dir, base)
	require.NoError(t, err)
	require.Empty(t, c.Shadow, "nothing is on trial where nothing is said")
	require.Empty(t, c.Metrics)
	c, err = parse(dir, base+"shadow: trial\nmetrics: {listen: 127.0.0.1:9464}\n")
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "trial"), c.Shadow)
	require.Equal(t, "127.0.0.1:9464", c.Metrics)
}

func TestEnvMayBeAsDeepAsJSON(t *testing.T) {
	_, err := parse(room(t), strings.Replace(base, "regions: [eu", "regions: ["+lists(30)+", eu", 1))
	require.NoError(t, err)
}

func TestKeysAreBoundAsTheClientSays(t *testing.T) {
	dir := room(t)
	for said, want := range map[string]tokenboundary.Binding{
		"    dpop: off\n": tokenboundary.BindingOff, "    dpop: optional\n": tokenboundary.BindingOptional, "": tokenboundary.BindingOff,
	} {
		c, err := parse(dir, strings.Replace(base, "    dpop: required\n", said, 1))
		require.NoError(t, err)
		require.Equal(t, want, c.Clients[0].Binding, said)
	}
	_, err := parse(dir, strings.Replace(base, "    kind: operator\n", "    kind: operator\n    dpop: off\n", 1))
	require.NoError(t, err, "what changes nothing is no contradiction")
}

// TestEveryMistakeStopsTheStart changes base in one place and expects the one message, with line and key.
func TestEveryMistakeStopsTheStart(t *testing.T) {
	dir := room(t)
	_, err := parse(dir, base)
	require.NoError(t, err, "base itself must load")
	for _, c := range mistakes {
		t.Run(c.want, func(t *testing.T) {
			text := strings.Replace(base, c.old, c.new, 1)
			require.NotEqual(t, base, text, "the case must change something")
			got, err := parse(dir, text)
			require.Nil(t, got)
			var e *config.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, filepath.Join(dir, "boundary.yaml")+":"+strings.ReplaceAll(c.want, "DIR", dir), err.Error())
		})
	}
}

func TestTheFileItself(t *testing.T) {
	dir := room(t)
	path := filepath.Join(dir, "boundary.yaml")
	load := func() error {
		_, err := config.Load(path)
		return err
	}
	require.EqualError(t, load(), path+": no such file or directory")
	require.NoError(t, os.WriteFile(path, []byte(base), 0o600))
	require.NoError(t, load())
	for text, want := range map[string]string{
		"":                        path + ": the document is empty",
		"[]":                      path + ":1: must be a mapping",
		base + "---\nissuer: x\n": path + ":56: more than one YAML document",
		base + "# \xff":           path + ": the document is not UTF-8",
		"issuer: [\n":             path + ":1: not YAML: did not find expected node content",
		"env: [" + strings.Repeat("x,", 200_000) + "]": path + ":1: env[199997]: too many values",
		strings.Repeat("#", 1<<20) + "#":               path + ": longer than 1048576 bytes",
	} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		require.EqualError(t, load(), want)
	}
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.Mkdir(path, 0o700))
	require.EqualError(t, load(), path+": not a regular file")
}

func TestOneTrailingNewlineOfASecretIsIgnored(t *testing.T) {
	dir := room(t)
	for file, want := range map[string]string{"crm": secret, "crlf": secret, "two": secret + "\n"} {
		c, err := parse(dir, strings.Replace(base, "crm.secret", file+".secret", 1))
		require.NoError(t, err)
		require.Equal(t, want, string(c.Clients[1].Auth.Secret), file)
	}
}

func TestASecretIsNeverShown(t *testing.T) {
	c, err := parse(room(t), strings.Replace(base, "{bolt: {path: boundary.db}}", "{postgres: {dsn: '"+connection+"'}}", 1))
	require.NoError(t, err)
	require.Contains(t, string(c.Store.Postgres.DSN), "the-password")
	var out strings.Builder
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "config", c, "client", c.Clients[1], "secret", c.Clients[1].Auth.Secret)
	raw, err := json.Marshal(c)
	require.NoError(t, err)
	out.Write(raw)
	fmt.Fprintf(&out, "%v %+v %#v %q", *c, *c, *c, c.Clients[1].Auth.Secret)
	fmt.Fprintf(&out, "%v %+v %#v", c.Store.Postgres, *c.Store.Postgres, *c.Store.Postgres)
	require.NotContains(t, out.String(), secret)
	require.NotContains(t, out.String(), "the-password")
	require.Contains(t, out.String(), "[hidden]")
}

func TestAPlaceNamesWhereLaterProblemsAre(t *testing.T) {
	c, err := parse(room(t), base)
	require.NoError(t, err)
	cause := errors.New("bad key")
	err = c.Clients[0].Errorf("auth: %w", cause)
	require.ErrorIs(t, err, cause)
	require.Equal(t, c.Clients[0].File+":13: clients[0]: auth: bad key", err.Error())
}
