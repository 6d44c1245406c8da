package main_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// workerToken asks for a token with x/oauth2.
func (w *world) workerToken(scopes ...string) (*oauth2.Token, error) {
	cfg := clientcredentials.Config{
		ClientID: "worker", ClientSecret: workerSecret, TokenURL: w.base + "/token", Scopes: scopes,
		EndpointParams: url.Values{"resource": {crm}}, AuthStyle: oauth2.AuthStyleInHeader,
	}
	return cfg.Token(w.t.Context())
}

func TestClientCredentialsByAnIndependentClient(t *testing.T) {
	w := newWorld(t).start()
	token, err := w.workerToken("cases:read")
	require.NoError(t, err)
	require.Equal(t, "Bearer", token.TokenType)
	require.False(t, token.Expiry.IsZero())
	state := w.introspect(token.AccessToken)
	require.Equal(t, true, state["active"])
	require.Equal(t, "worker", state["sub"])
	require.Equal(t, "worker", state["client_id"])
	require.Equal(t, "cases:read", state["scope"])
	require.Equal(t, crm, state["aud"])
	require.Equal(t, issuer, state["iss"])

	var refused *oauth2.RetrieveError
	_, err = w.workerToken("cases:delete")
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "invalid_scope", refused.ErrorCode)
}

func TestExchangeOfAnIDToken(t *testing.T) {
	w := newWorld(t).start()
	answer := w.token(w.asBot(w.exchange("alice", "cases:read contacts:read cases:delete")))
	require.Equal(t, "cases:read contacts:read", answer["scope"])
	require.Equal(t, accessTokenType, answer["issued_token_type"])
	state := w.introspect(answer["access_token"])
	require.Equal(t, true, state["active"])
	require.Equal(t, "alice", state["sub"])
	require.Equal(t, "support-bot", state["act"].(map[string]any)["sub"])
	require.Equal(t, "session-of-alice", state["sid"])

	// What is not signed by the provider, or for somebody else, is refused.
	stranger := *w
	stranger.idp = newKey(t, "idp-1")
	status, refused := w.form("/token", w.asBot(stranger.exchange("alice", "cases:read")))
	require.Equal(t, http.StatusBadRequest, status)
	require.Equal(t, "invalid_request", refused["error"])
	impostor := *w
	impostor.bot = newKey(t, "bot-1")
	status, refused = w.form("/token", impostor.asBot(w.exchange("alice", "cases:read")))
	require.GreaterOrEqual(t, status, http.StatusBadRequest)
	require.Equal(t, "invalid_client", refused["error"])

	// A refresh token of nobody.
	status, refused = w.form("/token", w.asBot(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}}))
	require.Equal(t, http.StatusBadRequest, status)
	require.Equal(t, "invalid_grant", refused["error"])
}

func TestAnAssertionIsGoodOnce(t *testing.T) {
	w := newWorld(t).start()
	form := w.asBot(w.exchange("alice", "cases:read"))
	w.token(form)
	status, _ := w.form("/token", form)
	require.GreaterOrEqual(t, status, http.StatusBadRequest)
}

func TestMetadataAndKeys(t *testing.T) {
	w := newWorld(t).start()
	status, meta := w.get("/.well-known/oauth-authorization-server")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, issuer, meta["issuer"])
	require.Equal(t, issuer+"/token", meta["token_endpoint"])
	require.Equal(t, issuer+"/jwks.json", meta["jwks_uri"])

	status, doc := w.get("/jwks.json")
	require.Equal(t, http.StatusOK, status)
	raw, err := json.Marshal(doc)
	require.NoError(t, err)
	var keys jose.JSONWebKeySet
	require.NoError(t, json.Unmarshal(raw, &keys))
	require.NotEmpty(t, keys.Keys)
	for _, k := range keys.Keys {
		require.True(t, k.IsPublic())
	}
	token := w.token(w.asBot(w.exchange("alice", "cases:read")))["access_token"].(string)
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
	require.NoError(t, err)
	require.Equal(t, "at+jwt", parsed.Headers[0].ExtraHeaders[jose.HeaderType])
	var claims map[string]any
	require.NoError(t, parsed.Claims(keys, &claims))
	require.Equal(t, issuer, claims["iss"])
	require.Equal(t, "alice", claims["sub"])

	info, err := os.Stat(filepath.Join(w.dir, "signing"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	files, err := filepath.Glob(filepath.Join(w.dir, "signing", "*.pem"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	info, err = os.Stat(files[0])
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

const policyFile = "policies/agents/support-bot/crm.yaml"

func TestPoliciesFollowTheDirectory(t *testing.T) {
	w := newWorld(t).start()
	first, refused := w.health()
	require.Empty(t, refused)
	_, err := w.workerToken("cases:close")
	require.Error(t, err, "the first set does not grant it")

	w.write(policyFile, strings.Replace(leaf, "contacts:read]", "contacts:read, cases:close]", 1))
	w.eventually("a changed directory is loaded", func() bool { v, _ := w.health(); return v != first })
	_, err = w.workerToken("cases:close")
	require.NoError(t, err)
	second, refused := w.health()
	require.Empty(t, refused)

	// A broken set is refused, logged and shown; the last good one stays.
	w.write(policyFile, strings.Replace(leaf, `session.kind in ["human", "agent", "workload"]`, "session.kin == ", 1))
	w.eventually("a broken set is shown", func() bool { _, refused := w.health(); return refused != "" })
	version, refused := w.health()
	require.Equal(t, second, version)
	require.Contains(t, refused, "agents/support-bot/crm.yaml:8:25: rule \"reads\"")
	_, err = w.workerToken("cases:close")
	require.NoError(t, err, "the last good set is in force")

	w.write(policyFile, leaf)
	w.eventually("a repaired set is loaded", func() bool { v, refused := w.health(); return v == first && refused == "" })
	_, err = w.workerToken("cases:close")
	require.Error(t, err)
}

func TestSIGHUPReadsThePoliciesAgain(t *testing.T) {
	w := newWorld(t).start()
	first, _ := w.health()
	// Nothing has changed, so only the signal makes the set be read.
	from := w.mark()
	w.signal(syscall.SIGHUP)
	require.Equal(t, first, w.await(from, "policy set in force")["version"])

	w.write(policyFile, strings.Replace(leaf, "contacts:read]", "contacts:read, cases:close]", 1))
	w.signal(syscall.SIGHUP)
	w.eventually("the new set is in force", func() bool { v, _ := w.health(); return v != first })
	_, err := w.workerToken("cases:close")
	require.NoError(t, err)
}

func TestARestartForgetsNothing(t *testing.T) {
	w := newWorld(t).start()
	kept := w.token(w.asBot(w.exchange("alice", "cases:read")))["access_token"]
	revoked := w.token(w.asBot(w.exchange("bob", "cases:read")))["access_token"]
	worker, err := w.workerToken("cases:read")
	require.NoError(t, err)
	status, _ := w.form("/revoke", w.asBot(url.Values{"token": {revoked.(string)}}))
	require.Equal(t, http.StatusOK, status)
	w.requireDead(revoked)
	w.requireActive(kept)

	w.end()
	w.start()
	w.requireActive(kept)
	w.requireDead(revoked)

	status, _ = w.call(http.MethodPost, "/revocations", "application/json",
		`{"selector":"subject:alice","reason":"gone"}`, basic("ops", opsSecret))
	require.Equal(t, http.StatusCreated, status)
	w.requireDead(kept)
	w.kill() // as if the machine had failed: what was answered is durable
	w.start()
	w.requireDead(kept)
	w.requireDead(revoked)
	w.requireActive(worker.AccessToken)

	// A token from before the restart can still be derived from.
	fresh := w.token(w.asBot(w.exchange("carol", "cases:read")))["access_token"].(string)
	w.token(w.asBot(url.Values{
		"grant_type": {exchangeGrant}, "subject_token": {fresh}, "subject_token_type": {accessTokenType}, "scope": {"cases:read"},
	}))
	w.end()
}

func TestTheEndWaitsForNobodyForLong(t *testing.T) {
	w := newWorld(t).start()
	sent, polled := make(chan struct{}), make(chan int, 1)
	trace := &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { close(sent) }}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodGet,
		w.base+"/revocations?after=0&wait=60s", nil)
	require.NoError(t, err)
	basic("ops", opsSecret)(req)
	go func() {
		status := 0
		if resp, err := http.DefaultClient.Do(req); err == nil {
			status = resp.StatusCode
			_ = resp.Body.Close()
		}
		polled <- status
	}()
	<-sent
	for range 20 { // while the poll waits, others are answered
		w.health()
	}
	require.Empty(t, polled, "nothing was revoked, so the poll still waits")
	w.end()
	require.NotEqual(t, http.StatusOK, <-polled, "a poll that was ended must not look like an answer")
}

func TestWhatIsLogged(t *testing.T) {
	w := newWorld(t).start()
	token, err := w.workerToken("cases:read")
	require.NoError(t, err)
	form := w.asBot(w.exchange("alice", "cases:read"))
	answer := w.token(form)
	w.introspect(token.AccessToken)
	w.signal(os.Interrupt)
	<-w.done
	require.Equal(t, 0, w.cmd.ProcessState.ExitCode())

	require.Equal(t, 1, w.count("listening"), "exactly one line names the address")
	text := w.text()
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		require.True(t, json.Valid([]byte(line)), "not JSON: %s", line)
	}
	require.NotContains(t, text, `"WARN"`)
	for _, hidden := range []string{
		workerSecret, crmSecret, opsSecret, token.AccessToken, answer["access_token"].(string),
		form.Get("subject_token"), form.Get("client_assertion"),
	} {
		require.NotContains(t, text, hidden)
	}
}
