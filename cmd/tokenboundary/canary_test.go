package main_test

import (
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/internal/canary"
)

// canaries knows every secret that any test here presents, or is handed. When a server has ended they must be neither in
// what it wrote to its log nor in a file that it keeps.
var canaries = &canary.Keeper{}

func init() {
	canaries.Plant("client secret", crmSecret, opsSecret, workerSecret)
	http.DefaultTransport = observer{http.DefaultTransport}
}

// observer sees what goes over the wire, whichever client sends it.
type observer struct{ http.RoundTripper }

func (o observer) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(raw))
		form, _ := url.ParseQuery(string(raw))
		for _, name := range []string{"client_assertion", "subject_token", "actor_token", "refresh_token", "deferral_code", "token"} {
			canaries.Plant(name, form[name]...)
		}
	}
	canaries.Plant("proof", r.Header.Values("DPoP")...)
	if _, value, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok {
		canaries.Plant("credential", value)
	}
	resp, err := o.RoundTripper.RoundTrip(r)
	if err != nil || r.URL.Path != "/token" {
		return resp, err
	}
	raw, err := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(bytes.NewReader(raw))
	var members map[string]any
	_ = json.Unmarshal(raw, &members)
	for _, name := range []string{"access_token", "refresh_token", "deferral_code"} {
		if value, ok := members[name].(string); ok {
			canaries.Plant(name, value)
		}
	}
	return resp, err
}

// searchAll searches a log, and what a server keeps in its directory, except the secrets and private keys that are
// configured.
func searchAll(t testing.TB, log, dir string) {
	t.Helper()
	keys, _ := filepath.Glob(filepath.Join(dir, "*", "*.pem"))
	for _, name := range keys {
		if raw, err := os.ReadFile(name); err == nil {
			canaries.Plant("private key", strings.Split(string(raw), "\n")[1:3]...)
		}
	}
	var all strings.Builder // one search, for there may be many files, and many secrets
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) == ".secret" || filepath.Ext(path) == ".pem" {
			return err
		}
		raw, err := os.ReadFile(path)
		all.WriteString("\x00" + d.Name() + "\x00" + string(raw))
		return err
	})
	for _, leak := range append(canaries.Find("the log", log), canaries.Find("the files", all.String())...) {
		t.Errorf("a secret has leaked: %s", leak)
	}
}

// TestTheServerKeepsSecretsToItself: also where it logs all it can, and is asked by nobody it knows.
func TestTheServerKeepsSecretsToItself(t *testing.T) {
	w := newWorld(t).start("--debug")
	answer := w.token(w.asBot(w.exchange("alice", "cases:read")))
	w.requireActive(answer["access_token"])
	const told = "a-secret-that-was-told-to-us"
	for _, with := range []func(*http.Request){
		basic("ops", told), basic(told, opsSecret), basic(told, told),
		func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+told) },
		func(r *http.Request) { r.Header.Set("Authorization", told) },
		func(r *http.Request) { r.Header.Set("Cookie", told) },
	} {
		status, _ := w.form("/token?"+told+"="+told, url.Values{"grant_type": {told}, told: {told}, "client_id": {told}}, with)
		require.Equal(t, http.StatusUnauthorized, status)
	}
	status, _ := w.form("/introspect", url.Values{"token": {answer["access_token"].(string)}}, basic("crm", opsSecret))
	require.Equal(t, http.StatusUnauthorized, status)
	status, _ = w.call("GET", "/"+told, "", "", basic("ops", opsSecret))
	require.Equal(t, http.StatusNotFound, status)

	k := &canary.Keeper{}
	k.Plant("what was told", told)
	require.Empty(t, k.Find("the log", w.text()))
	require.Contains(t, w.text(), "client authentication failed", "control: attempts are logged")
	require.NotEmpty(t, canaries.Find("an answer", answer["access_token"].(string)), "control: the token would be found")
	require.NotEmpty(t, k.Find("the log", w.text()+told), "control: so would what was told")
	secrets, _ := canaries.Counts()
	require.Greater(t, secrets, 5)
}

// TestTheStoreHoldsNoSecret: the control of the search in files, which finds what is in the store by contract.
func TestTheStoreHoldsNoSecret(t *testing.T) {
	w := newWorld(t).start()
	const purpose = "a-purpose-that-is-recorded"
	form := w.asBot(url.Values{
		"grant_type": {"client_credentials"}, "authorization_details": {`[{"type":"task","purpose":"` + purpose + `"}]`}, "scope": {"cases:read"},
	})
	w.token(form)
	w.end()
	raw, err := os.ReadFile(filepath.Join(w.dir, "boundary.db"))
	require.NoError(t, err)
	k := &canary.Keeper{}
	k.Plant("the purpose", purpose)
	require.NotEmpty(t, k.Find("the store", string(raw)))
}
