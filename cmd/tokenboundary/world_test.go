package main_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/require"
)

const (
	issuer = "http://127.0.0.1:8911" // stays what it is, whatever port is bound
	idp    = "https://idp.example"
	crm    = "https://crm.example.com/"

	crmSecret    = "crm-secret:with/odd chars %+"
	opsSecret    = "ops-secret-ops-secret"
	workerSecret = "worker-secret-worker-secret"

	idTokenType     = "urn:ietf:params:oauth:token-type:id_token"
	accessTokenType = "urn:ietf:params:oauth:token-type:access_token"
	exchangeGrant   = "urn:ietf:params:oauth:grant-type:token-exchange"
)

const configuration = `issuer: ` + issuer + `
listen: 127.0.0.1:0
store: {bolt: {path: boundary.db}}
policies: policies
signing: {alg: ES256, dir: signing}
lifetimes: {access_token: 5m, task: 1h, clock_leeway: 5s}
env: {tenant_frozen: false}
trust:
  - oidc: {issuer: ` + idp + `, audience: ` + issuer + `, jwks_file: idp.jwks.json, session: human}
clients:
  - id: support-bot
    kind: agent
    grants: [client_credentials, token-exchange, refresh_token]
    connections: [salesforce-prod]
    auth: {private_key_jwt: {jwks_file: support-bot.jwks.json}}
  - id: worker
    kind: workload
    grants: [client_credentials, token-exchange]
    connections: [salesforce-prod]
    auth: {client_secret_basic: {secret_file: worker.secret}}
  - id: crm
    kind: resource
    resource: ` + crm + `
    auth: {client_secret_basic: {secret_file: crm.secret}}
  - id: ops
    kind: operator
    groups: [support-leads]
    person: alice@example.com
    auth: {client_secret_basic: {secret_file: ops.secret}}
`

const leaf = `bind:
  client: [support-bot, worker]
  connection: salesforce-prod
  resource: ` + crm + `
default_scopes: [cases:read]
allow:
  - rule: reads
    when: session.kind in ["human", "agent", "workload"]
    scopes: [cases:read, contacts:read]
    lifetime: 5m
`

const guardrail = `deny:
  - rule: frozen-tenant
    when: env.tenant_frozen == true
limits: {lifetime: 10m, depth: 3, derivations: 50}
`

// key is a private key with the id under which its public part is known.
type key struct {
	id      string
	private *ecdsa.PrivateKey
}

func newKey(t testing.TB, id string) key {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key{id, k}
}

func (k key) jwks(t testing.TB, use string) string {
	t.Helper()
	raw, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: k.private.Public(), KeyID: k.id, Algorithm: "ES256", Use: use},
	}})
	require.NoError(t, err)
	return string(raw)
}

func (k key) signer(t testing.TB) jose.Signer {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: k.private},
		(&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", k.id))
	require.NoError(t, err)
	return s
}

func (k key) sign(t testing.TB, claims map[string]any) string {
	t.Helper()
	raw, err := jwt.Signed(k.signer(t)).Claims(claims).Serialize()
	require.NoError(t, err)
	return raw
}

// world is a directory with everything that a server needs, and the keys of those who talk to it.
type world struct {
	t        testing.TB
	dir      string
	bot, idp key
	*process
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), bot: newKey(t, "bot-1"), idp: newKey(t, "idp-1")}
	w.write("boundary.yaml", configuration)
	w.write("policies/boundary.yaml", guardrail)
	w.write("policies/agents/support-bot/crm.yaml", leaf)
	w.write("support-bot.jwks.json", w.bot.jwks(t, "sig"))
	w.write("idp.jwks.json", w.idp.jwks(t, "sig"))
	w.write("worker.secret", workerSecret+"\n")
	w.write("crm.secret", crmSecret)
	w.write("ops.secret", opsSecret+"\n")
	return w
}

// write replaces a file at once, so that no half of it is ever seen.
func (w *world) write(name, content string) {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	require.NoError(w.t, os.MkdirAll(filepath.Dir(path), 0o700))
	temp := filepath.Join(w.dir, ".new")
	require.NoError(w.t, os.WriteFile(temp, []byte(content), 0o600))
	require.NoError(w.t, os.Rename(temp, path))
}

func (w *world) config() string { return filepath.Join(w.dir, "boundary.yaml") }

// reviewed is what the server logs when it has decided anew what lives.
const reviewed = "live tokens were decided anew"

// start starts the server, or starts it again.
func (w *world) start(flags ...string) *world {
	w.t.Helper()
	w.process = serve(w.t, w.config(), flags...)
	w.await(0, reviewed) // so that the next line of this kind is of a later change
	return w
}

// idToken returns an ID token of the identity provider for a person.
func (w *world) idToken(sub string) string {
	now := time.Now()
	return w.idp.sign(w.t, map[string]any{
		"iss": idp, "sub": sub, "aud": issuer, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"auth_time": now.Unix(), "sid": "session-of-" + sub,
	})
}

// asBot authenticates a form as support-bot, by a fresh assertion.
func (w *world) asBot(form url.Values) url.Values {
	now := time.Now()
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", w.bot.sign(w.t, map[string]any{
		"iss": "support-bot", "sub": "support-bot", "aud": issuer, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	}))
	return form
}

// basic authenticates a request with a secret.
func basic(id, secret string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret)) }
}

// call sends a request and returns the status and the members of the answer.
func (w *world) call(method, path, contentType, body string, with ...func(*http.Request)) (int, map[string]any) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.base+path, strings.NewReader(body))
	require.NoError(w.t, err)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for _, f := range with {
		f(req)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(w.t, err)
	defer resp.Body.Close() //nolint:errcheck // only read
	raw, err := io.ReadAll(resp.Body)
	require.NoError(w.t, err)
	var out map[string]any
	if len(bytes.TrimSpace(raw)) > 0 {
		require.NoError(w.t, json.Unmarshal(raw, &out), string(raw))
	}
	return resp.StatusCode, out
}

func (w *world) get(path string, with ...func(*http.Request)) (int, map[string]any) {
	return w.call(http.MethodGet, path, "", "", with...)
}

func (w *world) form(path string, form url.Values, with ...func(*http.Request)) (int, map[string]any) {
	return w.call(http.MethodPost, path, "application/x-www-form-urlencoded", form.Encode(), with...)
}

// token asks for a token and requires that it is given.
func (w *world) token(form url.Values, with ...func(*http.Request)) map[string]any {
	w.t.Helper()
	status, answer := w.form("/token", form, with...)
	require.Equal(w.t, http.StatusOK, status, "%v", answer)
	require.Equal(w.t, "Bearer", answer["token_type"])
	require.NotEmpty(w.t, answer["access_token"])
	return answer
}

// exchange is the form of an exchange of an ID token.
func (w *world) exchange(sub, scope string) url.Values {
	return url.Values{
		"grant_type": {exchangeGrant}, "subject_token": {w.idToken(sub)}, "subject_token_type": {idTokenType},
		"scope": {scope}, "resource": {crm},
	}
}

// introspect asks as crm.
func (w *world) introspect(token any) map[string]any {
	w.t.Helper()
	status, answer := w.form("/introspect", url.Values{"token": {token.(string)}}, basic("crm", crmSecret))
	require.Equal(w.t, http.StatusOK, status, "%v", answer)
	return answer
}

func (w *world) requireActive(token any) {
	w.t.Helper()
	require.Equal(w.t, true, w.introspect(token)["active"])
}

func (w *world) requireDead(token any) {
	w.t.Helper()
	require.Equal(w.t, map[string]any{"active": false}, w.introspect(token))
}

// health returns what /healthz says of the policies.
func (w *world) health() (version, refused string) {
	w.t.Helper()
	status, answer := w.get("/healthz")
	require.Equal(w.t, http.StatusOK, status)
	p := answer["policies"].(map[string]any)
	refused, _ = p["error"].(string)
	return p["version"].(string), refused
}

// eventually waits until the server says so.
func (w *world) eventually(what string, condition func() bool) {
	w.t.Helper()
	require.Eventually(w.t, condition, patience, 50*time.Millisecond, what)
}
