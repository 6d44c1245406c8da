package gate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/gate"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

// fuzzCodec sends bodies through a whole hook over a policy that denies everything but "read" at crm. What must hold: an
// answer is JSON; an allow is only for a body that another reader takes for one JSON object without duplicates; and then the
// record says the client that the body names at the place.
func fuzzCodec(f *testing.F, c gate.Codec, allowed func(body map[string]any) bool, clientAt ...string) {
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(f, err)
	require.NotEmpty(f, files)
	for _, name := range files {
		raw, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(raw)
	}
	f.Add([]byte(`{"a":1,"a":2}`))
	f.Add([]byte(`{"record":{"pending":{}},"handle":"h"}`))
	clk := clock.NewMock()
	clk.Set(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	w := &world{rules: &rules{scopes: []string{"read"}, lifetime: 5 * time.Minute}}
	g, err := tb.New(tb.Config{
		Issuer: issuer, Store: memory.New(), Clock: clk, Policy: tb.PolicyFunc(w.evaluate),
		Clients: tb.ClientMap{"bot": {ID: "bot", Kind: tb.KindAgent, Connections: []string{"prod"}, Grants: []tb.Grant{tb.ClientCredentials, tb.Exchange}}},
	})
	require.NoError(f, err)
	h, err := gate.NewHook(gate.HookConfig{Governor: g, Codec: c, Secrets: []gate.Secret{callerSecret}})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, raw []byte) {
		w.facts = nil
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(raw))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", string(callerSecret))
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		var body map[string]any
		require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &body))
		require.NotEqual(t, http.StatusInternalServerError, rec.Code)
		if rec.Code != http.StatusOK || !allowed(body) {
			return
		}
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber()
		var asked map[string]any
		require.NoError(t, dec.Decode(&asked))
		_, err := dec.Token()
		require.True(t, errors.Is(err, io.EOF), "something is behind it")
		require.False(t, repeats(raw), "a member repeats")
		require.Equal(t, "bot", at(asked, clientAt...))
		require.NotEmpty(t, w.facts)
		require.Equal(t, "bot", w.facts[0].Client.ID)
	})
}

// repeats finds a duplicate member in another way than the code: by writing out the tree and comparing its number of members.
func repeats(raw []byte) bool {
	var tree any
	if json.Unmarshal(raw, &tree) != nil {
		return false
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	tokens := 0
	for {
		if _, err := dec.Token(); err != nil {
			break
		}
		tokens++
	}
	return tokens != size(tree)
}

// size is the number of tokens of a tree.
func size(v any) int {
	n := 1
	switch v := v.(type) {
	case map[string]any:
		n++
		for _, name := range slices.Collect(maps.Keys(v)) {
			n += 1 + size(v[name])
		}
	case []any:
		n++
		for _, x := range v {
			n += size(x)
		}
	}
	return n
}

func FuzzHydra(f *testing.F) {
	fuzzCodec(f, hydra, func(b map[string]any) bool { return b["session"] != nil }, "request", "client_id")
}

func FuzzOkta(f *testing.F) {
	fuzzCodec(f, gate.Okta{}, func(b map[string]any) bool { return b["commands"] != nil }, "data", "context", "protocol", "client", "id")
}

func FuzzAuth0(f *testing.F) {
	fuzzCodec(f, gate.Auth0(hydra), func(b map[string]any) bool { return b["allow"] == true }, "client", "client_id")
}

func FuzzGeneric(f *testing.F) {
	fuzzCodec(f, gate.Generic{}, func(b map[string]any) bool { return b["allow"] == true }, "client_id")
}

// TestTheOraclesSeeAnAllow is the control of the fuzz targets: each of their fixtures is allowed.
func TestTheOraclesSeeAnAllow(t *testing.T) {
	require.True(t, repeats([]byte(`{"a":[{"b":1,"b":1}]}`)))
	require.False(t, repeats([]byte(`{"a":[{"b":1,"c":{}}],"d":null}`)))
	w := newWorld(t)
	for codec, c := range map[string]gate.Codec{"hydra_client_credentials": hydra, "okta_user": gate.Okta{}, "auth0": gate.Auth0(hydra), "generic": gate.Generic{}} {
		r := w.call(w.hook(c), w.fixture(codec))
		require.True(t, r.body["session"] != nil || r.body["commands"] != nil || r.body["allow"] == true, r.raw)
	}
}

// FuzzGate sends forms and credentials to a gate whose endpoint answers with a fixed token: whatever they are, nothing is
// released without a record, and what is no success is an error of ours.
func FuzzGate(f *testing.F) {
	f.Add("grant_type=client_credentials&scope=read&resource=https%3A%2F%2Fcrm.example%2F", `{"access_token":"t","token_type":"Bearer","expires_in":300}`)
	f.Add("grant_type=refresh_token&refresh_token=tbg_AAAA", `{"access_token":"t","token_type":"Bearer","expires_in":300,"refresh_token":"r"}`)
	f.Add("grant_type=client_credentials&scope=read", `{"access_token":"t","token_type":"Bearer","expires_in":301,"scope":"read admin"}`)
	f.Add("grant_type=client_credentials", `{"access_token":"t","access_token":"u","token_type":"Bearer","expires_in":1e2}`)
	clk := clock.NewMock()
	clk.Set(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	w := &world{rules: &rules{scopes: []string{"read"}, lifetime: 5 * time.Minute, refresh: true}}
	f.Fuzz(func(t *testing.T, form, answer string) {
		w.facts = nil
		state := memory.New()
		g, err := tb.New(tb.Config{
			Issuer: issuer, Store: state, Clock: clk, Policy: tb.PolicyFunc(w.evaluate),
			Identities: []tb.IdentitySource{tb.IdentityFunc(anybody)},
			Clients:    tb.ClientMap{"bot": {ID: "bot", Kind: tb.KindAgent, Connections: []string{"prod"}, Grants: []tb.Grant{tb.ClientCredentials, tb.Refresh}}},
		})
		require.NoError(t, err)
		asked := 0
		gt, err := gate.New(gate.Config{
			Governor: g, Token: "https://as.example/token", Keys: []gate.Secret{sealKey}, Clock: clk,
			Clients: map[string]exchange.Authenticator{"bot": exchange.Basic("bot", "x")},
			HTTPClient: &http.Client{Transport: transport(func(r *http.Request) *http.Response {
				asked++
				return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(answer)), Request: r}
			})},
		})
		require.NoError(t, err)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("bot", "x")
		rec := httptest.NewRecorder()
		gt.ServeHTTP(rec, r)
		var body struct {
			Token   string      `json:"access_token"`
			Expires json.Number `json:"expires_in"`
			Scope   string      `json:"scope"`
			Error   string      `json:"error"`
		}
		require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &body))
		if rec.Code != http.StatusOK {
			require.NotEmpty(t, body.Error)
			require.Empty(t, body.Token)
			return
		}
		require.Equal(t, 1, asked)
		seconds, err := body.Expires.Int64()
		require.NoError(t, err)
		require.True(t, seconds > 0 && seconds <= 300)
		require.Equal(t, "read", body.Scope)
		var tokens []lineage.Record
		for r, err := range state.Scan(t.Context(), issuer, lineage.Selector{Kind: lineage.SelectClient, Value: "bot"}, store.Position{}) {
			require.NoError(t, err)
			if r.Kind == lineage.KindToken {
				tokens = append(tokens, r)
			}
		}
		require.Len(t, tokens, 1)
		require.Equal(t, []string{"read"}, tokens[0].Body.Granted.Scopes(tokens[0].Body.Audience[0]))
	})
}

// transport answers requests.
type transport func(*http.Request) *http.Response

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r), nil }

// anybody takes every client's secret for that of bot.
func anybody(_ context.Context, c tb.Credential) (tb.Principal, error) {
	if c.Type != tb.TypeClientSecret {
		return tb.Principal{}, tb.ErrNotMine
	}
	return tb.Principal{Party: lineage.Party{ID: "bot"}}, nil
}
