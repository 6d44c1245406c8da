package gate_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/gate"
	"github.com/tokenboundary/tokenboundary/lineage"
)

var hydra = gate.Hydra{Host: gate.Host{Lifetime: 5 * time.Minute}}

func TestOnlyTheServerIsHeard(t *testing.T) {
	w := newWorld(t)
	url := w.hook(hydra, func(c *gate.HookConfig) { c.Header, c.Secrets = "X-Hook", []gate.Secret{callerSecret, nextSecret} })
	body := w.fixture("hydra_client_credentials")
	only := func(values ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header["X-Hook"] = values }
	}
	for name, values := range map[string][]string{
		"none": nil, "empty": {""}, "wrong": {"canary-of-the-server-3"}, "longer": {string(callerSecret) + "x"}, "shorter": {string(callerSecret[:21])},
		"twice": {string(callerSecret), string(callerSecret)}, "right and wrong": {string(callerSecret), "x"}, "both": {string(callerSecret) + ", " + string(nextSecret)},
	} {
		r := w.call(url, body, only(values...))
		require.Equal(t, 401, r.status, name)
		require.Equal(t, "invalid_client", r.at("error"), name)
		require.NotEmpty(t, r.header.Get("WWW-Authenticate"))
	}
	require.Empty(t, w.facts, "nothing was decided")
	require.Equal(t, 200, w.call(url, body, only(string(callerSecret))).status, "positive control")
	require.Equal(t, 200, w.call(url, body, only(string(nextSecret))).status, "while it is changed")
}

func TestACallIsBoundedAndUnambiguous(t *testing.T) {
	w := newWorld(t)
	url := w.hook(hydra)
	plain, err := json.Marshal(w.fixture("hydra_client_credentials"))
	require.NoError(t, err)
	good := string(plain)
	with := func(old, new string) string {
		require.Contains(t, good, old)
		return strings.Replace(good, old, new, 1)
	}
	padded := with(`"extra":{}`, `"extra":{"x":"`+strings.Repeat("x", 2<<20)+`"}`)
	for name, c := range map[string]struct {
		body   string
		change func(*http.Request)
		status int
		why    string
	}{
		"method": {good, func(r *http.Request) { r.Method = http.MethodPut }, 405, "only POST"},
		"type":   {good, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 415, "application/json"},
		"long type": {good, func(r *http.Request) {
			r.Header.Set("Content-Type", "application/json"+strings.Repeat(" ", 300)+";x=y")
		}, 415, "application/json"},
		"too large":          {padded, nil, 413, "too large"},
		"too large, chunked": {padded, func(r *http.Request) { r.ContentLength = -1 }, 413, "too large"},
		"empty":              {"", nil, 400, "not a JSON object"},
		"array":              {"[]", nil, 400, "not a JSON object"},
		"cut":                {good[:len(good)-2], nil, 400, "not JSON"},
		"behind":             {good + "{}", nil, 400, "behind"},
		"duplicate":          {with(`"client_id":"bot"`, `"client_id":"bot","client_id":"other"`), nil, 400, "repeats"},
		"duplicate inside":   {with(`"extra":{}`, `"extra":{"a":[{"b":1,"b":1}]}`), nil, 400, "repeats"},
		"escaped twin":       {with(`"extra":{}`, `"extra":{"ab":1,"\u0061b":1}`), nil, 400, "repeats"},
		"not UTF-8":          {with(`"extra":{}`, "\"extra\":{\"a\":\"\xff\"}"), nil, 400, "UTF-8"},
		"deep":               {with(`"extra":{}`, `"extra":`+strings.Repeat(`{"a":`, 99)+"1"+strings.Repeat("}", 99)), nil, 400, "too deep"},
		"wrong type":         {with(`"granted_scopes":["read"]`, `"granted_scopes":"read"`), nil, 400, "granted_scopes is malformed"},
		"null in a list":     {with(`"granted_scopes":["read"]`, `"granted_scopes":["read",null]`), nil, 400, "granted_scopes is malformed"},
		"another spelling":   {strings.ReplaceAll(good, `"client_id"`, `"Client_ID"`), nil, 400, "client_id is missing"},
		"no client":          {strings.ReplaceAll(good, `"client_id":"bot"`, `"client_id":""`), nil, 400, "client_id is missing"},
		"two clients":        {with(`"client_id":"bot"`, `"client_id":"other"`), nil, 400, "there are two"},
	} {
		change := []func(*http.Request){}
		if c.change != nil {
			change = append(change, c.change)
		}
		r := w.call(url, c.body, change...)
		require.Equal(t, c.status, r.status, name)
		require.Contains(t, r.at("error_description"), c.why, name)
		require.Equal(t, c.status == 405, r.header.Get("Allow") == "POST", name)
	}
	require.Empty(t, w.facts, "nothing was decided")
	require.Equal(t, 200, w.call(url, good).status, "positive control")
}

func TestAHookRefusesToStart(t *testing.T) {
	w := newWorld(t)
	good := func() gate.HookConfig {
		return gate.HookConfig{Governor: w.Governor, Codec: hydra, Secrets: []gate.Secret{callerSecret}}
	}
	_, err := gate.NewHook(good())
	require.NoError(t, err, "positive control")
	for why, change := range map[string]func(*gate.HookConfig){
		"HookConfig.Governor":  func(c *gate.HookConfig) { c.Governor = nil },
		"HookConfig.Codec":     func(c *gate.HookConfig) { c.Codec = nil },
		"HookConfig.Timeout":   func(c *gate.HookConfig) { c.Timeout = -1 },
		"must hold one secret": func(c *gate.HookConfig) { c.Secrets = nil },
		"must hold one secret or": func(c *gate.HookConfig) {
			c.Secrets = []gate.Secret{callerSecret, nextSecret, "canary-of-the-server-3"}
		},
		"16 to 4096":             func(c *gate.HookConfig) { c.Secrets[0] = "" },
		"16 to 4096 printable":   func(c *gate.HookConfig) { c.Secrets[0] = "canary-is-short" },
		"without a space":        func(c *gate.HookConfig) { c.Secrets[0] = " " + callerSecret },
		"are the same":           func(c *gate.HookConfig) { c.Secrets = []gate.Secret{callerSecret, callerSecret} },
		"Host.Lifetime must say": func(c *gate.HookConfig) { c.Codec = gate.Hydra{} },
		"Host.Lifetime must":     func(c *gate.HookConfig) { c.Codec = gate.Auth0{} },
		"from five minutes to":   func(c *gate.HookConfig) { c.Codec = gate.Okta{Host: gate.Host{Lifetime: time.Minute}} },
		"from five minutes to a": func(c *gate.HookConfig) { c.Codec = gate.Okta{Host: gate.Host{Lifetime: 25 * time.Hour}} },
		"in whole seconds":       func(c *gate.HookConfig) { c.Codec = gate.Okta{Host: gate.Host{Lifetime: 5*time.Minute + 1}} },
	} {
		cfg := good()
		change(&cfg)
		_, err := gate.NewHook(cfg)
		require.ErrorContains(t, err, why)
		require.NotContains(t, err.Error(), "canary-")
	}
}

func TestSecretsHideThemselves(t *testing.T) {
	cfg := gate.HookConfig{Secrets: []gate.Secret{callerSecret}}
	plain, err := json.Marshal(cfg.Secrets)
	require.NoError(t, err)
	for _, text := range []string{fmt.Sprint(cfg), fmt.Sprintf("%+v", cfg), fmt.Sprintf("%#v", cfg), string(plain), callerSecret.LogValue().String()} {
		require.NotContains(t, text, "canary")
		require.Contains(t, text, "secret")
	}
}

func TestWhatCannotBeDecidedIsNoPermission(t *testing.T) {
	for name, c := range map[string]struct {
		codec   gate.Codec
		fixture string
		refusal func(reply)
	}{
		"hydra": {hydra, "hydra_client_credentials", func(r reply) {
			require.Equal(t, 503, r.status)
			require.Equal(t, "temporarily_unavailable", r.at("error"))
		}},
		"okta": {gate.Okta{}, "okta_client_credentials", func(r reply) {
			require.Equal(t, 200, r.status, "an error object, which is what Okta takes for a refusal")
			require.Equal(t, "not decided: temporarily_unavailable", r.at("error", "errorSummary"))
			require.Nil(t, r.at("commands"))
		}},
		"auth0": {gate.Auth0(hydra), "auth0", func(r reply) {
			require.Equal(t, 503, r.status)
			require.Equal(t, false, r.at("allow"))
			require.Equal(t, "server_error", r.at("code"))
		}},
		"generic": {gate.Generic{}, "generic", func(r reply) {
			require.Equal(t, 503, r.status)
			require.Equal(t, "temporarily_unavailable", r.at("error"))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, fault := range []func(*world){
				func(w *world) { w.store.reads.Store(true) },
				func(w *world) { w.rules.err = errors.New("the policy has a canary-") },
				func(w *world) { w.rules.until = true },
			} {
				w := newWorld(t)
				url := w.hook(c.codec, func(c *gate.HookConfig) { c.Logger = nil })
				require.Equal(t, 200, w.call(url, w.fixture(c.fixture)).status, "positive control")
				fault(w)
				url = w.hook(c.codec, func(c *gate.HookConfig) { c.Timeout, c.Logger = 50*time.Millisecond, nil })
				c.refusal(w.call(url, w.fixture(c.fixture)))
			}
		})
	}
}

func TestAHookWaitsForNobody(t *testing.T) {
	w := newWorld(t)
	url := w.hook(gate.Okta{}, func(c *gate.HookConfig) { c.Timeout = 50 * time.Millisecond })
	w.patches(w.call(url, w.fixture("okta_client_credentials"))) // positive control
	w.store.stuck = make(chan struct{})
	t.Cleanup(func() { close(w.store.stuck) })
	r := w.call(url, w.fixture("okta_client_credentials"))
	require.Equal(t, "not decided: temporarily_unavailable", r.at("error", "errorSummary"))
}

func TestAClientThatIsNotRegisteredIsRefused(t *testing.T) {
	w := newWorld(t)
	r := w.call(w.hook(hydra), w.fixture("hydra_client_credentials", "session.client_id", "who", "request.client_id", "who"))
	require.Equal(t, 403, r.status)
	require.Equal(t, "unauthorized_client", r.at("error"))
	require.Empty(t, w.records(lineage.KindDenial))
}

func TestACodecOfOnesOwn(t *testing.T) {
	w := newWorld(t)
	url := w.hook(odd{})
	require.Equal(t, 204, w.call(url, `{"client":"bot"}`).status)
	require.Equal(t, 400, w.call(url, `{"client":"bot","client":"bot"}`).status, "duplicates are refused before a codec sees them")
	require.Equal(t, 400, w.call(url, `{"client":""}`).status, "a call without an answer")
}

// odd answers without a body.
type odd struct{}

func (odd) Decode(body []byte) (gate.Call, error) {
	var in struct{ Client string }
	if err := json.Unmarshal(body, &in); err != nil || in.Client == "" {
		return gate.Call{}, err
	}
	return gate.Call{
		Request: tb.Request{Grant: tb.ClientCredentials, Client: tb.Credential{Verified: &tb.Principal{Party: lineage.Party{ID: in.Client}}}},
		Answer:  func(tb.Decision) gate.Answer { return gate.Answer{Status: 204} },
	}, nil
}

func (odd) Fail(e *exchange.Error) gate.Answer { return gate.Answer{Status: e.Status} }
