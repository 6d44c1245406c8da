package main_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/require"
)

const erp, erpKey = "https://erp.example.com/", "the-one-key-of-the-erp"

const erpClients = `  - id: erp-proxy
    kind: resource
    resource: ` + erp + `
    connections: [erp]
    auth: {client_secret_basic: {secret_file: crm.secret}}
`

const erpBroker = `brokers:
  - client: erp-proxy
    connections: {erp: {files: {key: erp.key}}}
    proxies:
      - listen: 127.0.0.1:0
        upstream: UPSTREAM
        routes: [{methods: [GET], path: /v1/**, scopes: [invoices:read]}]
        inject: {X-Api-Key: "{key}"}
`

const erpLeaf = `bind: {client: worker, connection: erp, resource: ` + erp + `}
default_scopes: [invoices:read]
allow:
  - {rule: reads, when: 'true', scopes: [invoices:read], lifetime: 5m}
`

// legacy is a system that knows nothing but its key. What it streams ends when nobody reads it any more.
func legacy(t *testing.T) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Api-Key") != erpKey || r.Header.Get("Authorization") != "" {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		_, _ = fmt.Fprintln(w, "served", r.URL.Path)
		if r.URL.Path == "/v1/stream" {
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// proxied is a server with a proxy before such a system, and what the proxy says to a token.
func proxied(t *testing.T, change ...func(*world)) (w *world, ask func(path string, token any) *http.Response) {
	upstream := legacy(t)
	w = newWorld(t)
	config := strings.Replace(configuration, "connections: [salesforce-prod]\n    auth: {client_secret", "connections: [salesforce-prod, erp]\n    auth: {client_secret", 1)
	w.write("boundary.yaml", config+erpClients+strings.Replace(erpBroker, "UPSTREAM", upstream.URL, 1)+
		"metrics: {listen: 127.0.0.1:0}\n")
	w.write("policies/worker/erp.yaml", erpLeaf)
	w.write("erp.key", erpKey+"\n")
	for _, c := range change {
		c(w)
	}
	w.start()
	front := "http://" + w.await(0, "proxy")["proxy"].(string)
	return w, func(path string, token any) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, front+path, nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", fmt.Sprint("Bearer ", token))
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		t.Cleanup(func() { _ = resp.Body.Close() })
		return resp
	}
}

func body(t *testing.T, resp *http.Response) string {
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(raw)
}

// TestAProxyServesALegacySystem: with a key that nobody else gets, for as long as the token lives.
func TestAProxyServesALegacySystem(t *testing.T) {
	w, ask := proxied(t)
	form := func(more url.Values) url.Values {
		more.Set("grant_type", "client_credentials")
		more.Set("connection", "erp")
		return more
	}
	task := w.token(form(url.Values{"authorization_details": {`[{"type":"task","purpose":"close the month"}]`}}), basic("worker", workerSecret))
	token := task["access_token"]
	resp := ask("/v1/invoices", token)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, "served /v1/invoices\n", body(t, resp))
	require.Equal(t, http.StatusForbidden, ask("/v2/invoices", token).StatusCode)
	require.Equal(t, http.StatusUnauthorized, ask("/v1/invoices", "nonsense").StatusCode)

	stream := ask("/v1/stream", token)
	first, err := bufio.NewReader(stream.Body).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "served /v1/stream\n", first)
	status, _ := w.post("/tasks/"+task["task_id"].(string)+"/complete", map[string]any{}, basic("worker", workerSecret))
	require.Equal(t, http.StatusOK, status)
	_, err = io.ReadAll(stream.Body)
	require.Error(t, err, "the stream is cut, and not ended")
	require.Equal(t, http.StatusUnauthorized, ask("/v1/invoices", token).StatusCode)

	w.eventually("the credential is taken back", func() bool { return slices.Contains(w.metrics(), `tokenboundary_leases{state="all"} 0`) })

	w.post("/revocations", map[string]any{"selector": "connection:erp", "block": true}, basic("ops", opsSecret))
	status, denied := w.form("/token", form(url.Values{}), basic("worker", workerSecret))
	require.Equal(t, http.StatusBadRequest, status, "%v", denied)
	w.process.end()
	require.NotContains(t, w.process.text(), erpKey)
}

// TestWhatAProxyServesIsInTheLineage: as a use of the token, also when the server ends right after.
func TestWhatAProxyServesIsInTheLineage(t *testing.T) {
	w, ask := proxied(t)
	token := w.token(url.Values{"grant_type": {"client_credentials"}, "connection": {"erp"}}, basic("worker", workerSecret))["access_token"]
	require.Equal(t, http.StatusOK, ask("/v1/invoices", token).StatusCode)
	_, claims := w.form("/introspect", url.Values{"token": {token.(string)}}, basic("ops", opsSecret))
	w.process.end()
	w.start()
	_, chain := w.get("/lineage/"+claims["jti"].(string), basic("ops", opsSecret))
	records := chain["records"].([]any)
	require.NotEmpty(t, records[len(records)-1].(map[string]any)["usage"], "%v", chain)
}

// vaulted is a vault that lets in whoever has a token of the boundary for it, and has one value.
func vaulted(t *testing.T, keys func() string) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/auth/jwt/login", func(w http.ResponseWriter, r *http.Request) {
		var login struct{ Role, JWT string }
		if json.NewDecoder(r.Body).Decode(&login) != nil || login.Role != "erp" || !issuedFor(login.JWT, "https://vault.example/", keys()) {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		_, _ = io.WriteString(w, `{"auth":{"client_token":"hvs.of-the-broker","lease_duration":600,"renewable":false}}`)
	})
	mux.HandleFunc("GET /v1/kv/data/erp", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Vault-Token") != "hvs.of-the-broker" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = io.WriteString(w, `{"data":{"data":{"key":"`+erpKey+`"},"metadata":{"version":1}}}`)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// issuedFor reports whether a token was signed with one of the keys, for the audience.
func issuedFor(raw, audience, keys string) bool {
	var set jose.JSONWebKeySet
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil || json.Unmarshal([]byte(keys), &set) != nil {
		return false
	}
	var c jwt.Claims
	return token.Claims(set, &c) == nil && c.Issuer == issuer && c.Subject == "erp-vault" && c.Audience.Contains(audience)
}

// TestABrokerLogsInToItsVaultWithATokenOfTheBoundary: which is decided like any other.
func TestABrokerLogsInToItsVaultWithATokenOfTheBoundary(t *testing.T) {
	var w *world
	vault := vaulted(t, func() string {
		resp, err := http.Get(w.base + "/jwks.json") //nolint:noctx // of this test
		require.NoError(t, err)
		defer resp.Body.Close() //nolint:errcheck // only read
		return body(t, resp)
	})
	w, ask := proxied(t, func(w *world) {
		w.edit("boundary.yaml", "{files: {key: erp.key}}", "{vault: {address: '"+vault.URL+"', kind: kv, path: kv/data/erp, "+
			"login: {jwt: {role: erp, client: erp-vault, resource: https://vault.example/}}}}")
		w.edit("boundary.yaml", "  - id: erp-proxy\n", "  - id: erp-vault\n    kind: workload\n    grants: [client_credentials]\n    connections: [vault]\n"+
			"    auth: {client_secret_basic: {secret_file: crm.secret}}\n  - id: erp-proxy\n")
	})
	token := func() any {
		return w.token(url.Values{"grant_type": {"client_credentials"}, "connection": {"erp"}}, basic("worker", workerSecret))["access_token"]
	}
	require.Equal(t, http.StatusForbidden, ask("/v1/invoices", token()).StatusCode, "no policy lets it log in")
	w.write("policies/vault.yaml", "bind: {client: erp-vault, connection: vault, resource: https://vault.example/}\n"+
		"default_scopes: [login]\nallow:\n  - {rule: logs-in, when: 'true', scopes: [login], lifetime: 1m}\n")
	w.eventually("the policy is in force", func() bool { return ask("/v1/invoices", token()).StatusCode == http.StatusOK })
	w.process.end()
	require.NotContains(t, w.process.text(), erpKey)
	require.NotContains(t, w.process.text(), "hvs.")
}

// edit changes what stands in a file.
func (w *world) edit(name, old, with string) {
	w.t.Helper()
	raw := string(w.file(name))
	require.Contains(w.t, raw, old)
	w.write(name, strings.Replace(raw, old, with, 1))
}

// TestAGatewayAsksBeforeItForwards: what the proxy would let through, and only if it is the gateway.
func TestAGatewayAsksBeforeItForwards(t *testing.T) {
	w, _ := proxied(t, func(w *world) {
		w.write("gateway.secret", "the secret of the gateway\n")
		w.edit("boundary.yaml", `        inject: {X-Api-Key: "{key}"}`+"\n", `        inject: {X-Api-Key: "{key}"}`+
			"\n        forward_auth: {listen: 127.0.0.1:0, style: nginx, gateway: {header: X-Gateway, secret_file: gateway.secret}}\n")
	})
	asked := "http://" + w.await(0, "forward_auth")["forward_auth"].(string)
	token := w.token(url.Values{"grant_type": {"client_credentials"}, "connection": {"erp"}}, basic("worker", workerSecret))["access_token"]
	ask := func(uri, secret string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, asked+"/verify", nil)
		require.NoError(t, err)
		for name, value := range map[string]string{
			"Authorization": fmt.Sprint("Bearer ", token), "X-Original-Method": "GET", "X-Original-Uri": uri, "X-Gateway": secret,
		} {
			req.Header.Set(name, value)
		}
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close() //nolint:errcheck // only read
		require.Empty(t, resp.Header.Get("X-Api-Key"))
		return resp.StatusCode
	}
	require.Equal(t, http.StatusOK, ask("/v1/invoices", "the secret of the gateway"))
	require.Equal(t, http.StatusForbidden, ask("/v2/invoices", "the secret of the gateway"))
	require.Equal(t, http.StatusForbidden, ask("/v1/invoices", "a guess"))
	w.post("/revocations", map[string]any{"selector": "connection:erp"}, basic("ops", opsSecret))
	require.Equal(t, http.StatusUnauthorized, ask("/v1/invoices", "the secret of the gateway"))
}
