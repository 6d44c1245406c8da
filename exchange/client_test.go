package exchange_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
)

// answering is a server that gives one answer and keeps what it was asked.
func answering(t *testing.T, status int, kind, body string) (*exchange.Client, *http.Request) {
	t.Helper()
	asked := new(http.Request)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		*asked = *r
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(srv.Close)
	return &exchange.Client{Endpoint: srv.URL, Auth: exchange.Basic("me:&", "s e%c"), HTTPClient: srv.Client()}, asked
}

// good is a good answer to an exchange, changed by pairs of member and JSON; "-" removes the member.
func good(pairs ...string) string {
	m := map[string]json.RawMessage{
		"access_token": json.RawMessage(`"T0KEN"`), "token_type": json.RawMessage(`"bearer"`), "expires_in": json.RawMessage(`300`),
		"issued_token_type": json.RawMessage(`"` + accessToken + `"`), "scope": json.RawMessage(`"a"`), "extra": json.RawMessage(`1`),
	}
	for i := 0; i < len(pairs); i += 2 {
		if m[pairs[i]] = json.RawMessage(pairs[i+1]); pairs[i+1] == "-" {
			delete(m, pairs[i])
		}
	}
	raw, _ := json.Marshal(m)
	return string(raw)
}

var subject = tokenboundary.Credential{Type: idToken, Value: "SUBJECT"}

func TestClientExchanges(t *testing.T) {
	c, asked := answering(t, 200, "application/json; charset=utf-8", good("task_id", `"t1"`, "authorization_details", `[{"type":"x"}]`))
	r, err := c.Exchange(t.Context(), exchange.Params{
		Subject: subject, Actor: tokenboundary.Credential{Type: tokenboundary.TypeJWT, Value: "ACTOR"},
		Connection: "prod", Resource: []string{"u:1", "u:2"}, Scopes: []string{"a", "b"}, Details: json.RawMessage(`[{"type":"x"}]`),
	})
	require.NoError(t, err)
	require.Equal(t, "T0KEN", r.Value())
	require.Equal(t, 5*time.Minute, r.ExpiresIn)
	require.Equal(t, []string{"a"}, r.Scopes)
	require.Equal(t, "t1", r.TaskID)
	require.Equal(t, []json.RawMessage{json.RawMessage(`{"type":"x"}`)}, r.Details)
	require.Equal(t, url.Values{
		"grant_type": {exchange.GrantTokenExchange}, "requested_token_type": {accessToken},
		"subject_token": {"SUBJECT"}, "subject_token_type": {idToken},
		"actor_token": {"ACTOR"}, "actor_token_type": {tokenboundary.TypeJWT},
		"connection": {"prod"}, "resource": {"u:1", "u:2"}, "scope": {"a b"}, "authorization_details": {`[{"type":"x"}]`},
	}, asked.PostForm)
	id, secret, ok := asked.BasicAuth()
	require.True(t, ok)
	require.Equal(t, "me%3A%26", id)
	require.Equal(t, "s+e%25c", secret)

	for _, text := range []string{fmt.Sprintf("%v %+v %#v", r, r, r), slog.AnyValue(r).Resolve().String(), mustJSON(t, r)} {
		require.NotContains(t, text, "T0KEN")
	}
}

func mustJSON(t *testing.T, v any) string {
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	return string(raw)
}

func TestClientCredentials(t *testing.T) {
	c, asked := answering(t, 200, "application/json", good("issued_token_type", "-", "scope", "-"))
	c.Auth = exchange.Assertion(func(context.Context) (string, error) { return "SIGNED", nil })
	r, err := c.ClientCredentials(t.Context(), exchange.Params{Scopes: []string{"a"}})
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, r.Scopes, "no scope in the answer means that all were granted")
	require.Equal(t, url.Values{
		"grant_type": {"client_credentials"}, "scope": {"a"},
		"client_assertion": {"SIGNED"}, "client_assertion_type": {exchange.AssertionType},
	}, asked.PostForm)
	require.Empty(t, asked.Header.Get("Authorization"))

	_, err = c.ClientCredentials(t.Context(), exchange.Params{Subject: subject})
	require.ErrorContains(t, err, "are for an exchange")
	_, err = c.Exchange(t.Context(), exchange.Params{})
	require.ErrorContains(t, err, "Subject is required")
}

func TestClientRefusesAnswers(t *testing.T) {
	const json200 = "application/json"
	for _, c := range []struct{ name, kind, body, why string }{
		{"HTML", "text/html", good(), "not a JSON object"},
		{"no content type", "", good(), "not a JSON object"},
		{"array", json200, `[]`, "not a JSON object"},
		{"duplicate members", json200, `{"access_token":"a","access_token":"b"}`, "not a JSON object"},
		{"trailing data", json200, good() + good(), "not a JSON object"},
		{"too long", json200, strings.Repeat(" ", 1<<20) + good(), "too long"},
		{"no token", json200, good("access_token", "-"), "no usable access_token"},
		{"empty token", json200, good("access_token", `""`), "no usable access_token"},
		{"token that breaks a header", json200, good("access_token", `"a\r\nb"`), "no usable access_token"},
		{"token of another case", json200, good("access_token", "-", "Access_Token", `"T"`), "no usable access_token"},
		{"N_A", json200, good("token_type", `"N_A"`), "token_type other than Bearer"},
		{"DPoP", json200, good("token_type", `"DPoP"`), "token_type other than Bearer"},
		{"no type", json200, good("token_type", "-"), "token_type other than Bearer"},
		{"no expiry", json200, good("expires_in", "-"), "no expires_in"},
		{"expiry of zero", json200, good("expires_in", "0"), "no expires_in"},
		{"expiry as text", json200, good("expires_in", `"300"`), "no expires_in"},
		{"negative expiry", json200, good("expires_in", "-1"), "no expires_in"},
		{"other issued type", json200, good("issued_token_type", `"`+idToken+`"`), "issued_token_type"},
		{"no issued type", json200, good("issued_token_type", "-"), "issued_token_type"},
		{"other scopes", json200, good("scope", `"c d"`), "none of the scopes that were asked for"},
		{"scope as array", json200, good("scope", `["a"]`), "malformed scope"},
		{"details of no array", json200, good("authorization_details", `{}`), "authorization_details"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, _ := answering(t, 200, c.kind, c.body)
			r, err := client.Exchange(t.Context(), exchange.Params{Subject: subject, Scopes: []string{"a", "b"}})
			require.ErrorContains(t, err, c.why)
			require.Zero(t, r)
		})
	}
	client, _ := answering(t, 200, json200, good("scope", `"a c"`))
	r, err := client.Exchange(t.Context(), exchange.Params{Subject: subject})
	require.NoError(t, err, "positive control: no scope was asked for, so the server's default is not more")
	require.Equal(t, []string{"a", "c"}, r.Scopes)
}

func TestClientReportsRefusals(t *testing.T) {
	client, _ := answering(t, 400, "application/json", `{"error":"invalid_target","error_description":"resource\nwas refused"}`)
	_, err := client.Exchange(t.Context(), exchange.Params{Subject: subject})
	var e *exchange.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, &exchange.Error{Code: "invalid_target", Description: "resource?was refused", Status: 400, RetryAfter: 7 * time.Second}, e)
	require.NotContains(t, err.Error(), "SUBJECT")

	client, _ = answering(t, 502, "text/html", `<html>`)
	_, err = client.Exchange(t.Context(), exchange.Params{Subject: subject})
	require.ErrorAs(t, err, &e)
	require.Equal(t, "server_error", e.Code)
	require.Equal(t, 502, e.Status)
}

func TestClientFollowsNoRedirect(t *testing.T) {
	hit := false
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		hit = true
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, good())
	}))
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		srv := httptest.NewServer(http.RedirectHandler(other.URL, status))
		c := &exchange.Client{Endpoint: srv.URL, Auth: exchange.Basic("a", "b"), HTTPClient: srv.Client()}
		_, err := c.Exchange(t.Context(), exchange.Params{Subject: subject})
		var e *exchange.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, status, e.Status)
		srv.Close()
	}
	require.False(t, hit)
	c := &exchange.Client{Endpoint: other.URL, Auth: exchange.Basic("a", "b")}
	_, err := c.Exchange(t.Context(), exchange.Params{Subject: subject, Scopes: []string{"a"}})
	require.NoError(t, err, "positive control")
	require.True(t, hit)
}

func TestClientChecksItsConfiguration(t *testing.T) {
	auth := exchange.Basic("a", "b")
	for why, c := range map[string]exchange.Client{
		"Auth is required":           {Endpoint: "https://a.example/token"},
		"must be an https URL":       {Endpoint: "http://a.example/token", Auth: auth},
		"authenticate: out of order": {Endpoint: "https://a.example/token", Auth: exchange.Assertion(func(context.Context) (string, error) { return "", errors.New("out of order") })},
	} {
		_, err := c.Exchange(t.Context(), exchange.Params{Subject: subject})
		require.ErrorContains(t, err, why)
	}
	for _, endpoint := range []string{"", "/token", "ftp://a.example/", "https://:443/", "https://a.example/#", "https://u:p@a.example/", "https://a.example/#f", "http://127.0.0.1.evil.example/"} {
		c := exchange.Client{Endpoint: endpoint, Auth: auth}
		_, err := c.Exchange(t.Context(), exchange.Params{Subject: subject})
		require.ErrorContains(t, err, "Client.Endpoint", endpoint)
	}
}

// TestClientTakesABoundTokenForAProofAndNoOther: the proof goes with the request, and decides which type is accepted.
func TestClientTakesABoundTokenForAProofAndNoOther(t *testing.T) {
	proved := exchange.Params{Subject: subject, Proof: tokenboundary.Credential{Type: tokenboundary.TypeDPoP, Value: "PROOF"}}
	plain := exchange.Params{Subject: subject}
	for _, c := range []struct {
		kind string
		p    exchange.Params
		text string
	}{
		{"DPoP", proved, ""}, {"dpop", proved, ""}, {"bearer", plain, ""},
		{"DPoP", plain, "other than Bearer"}, {"Bearer", proved, "not bound to the key"}, {"N_A", proved, "not bound to the key"},
	} {
		client, asked := answering(t, 200, "application/json", good("token_type", `"`+c.kind+`"`))
		_, err := client.Exchange(t.Context(), c.p)
		require.Equal(t, c.p.Proof.Value, asked.Header.Get("DPoP"))
		if c.text == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, c.text)
		}
	}
}

func TestClientPostsToOtherEndpoints(t *testing.T) {
	c, asked := answering(t, 200, "application/json", `{}`)
	require.NoError(t, c.Post(t.Context(), c.Endpoint+"/tasks/x/complete"))
	require.Equal(t, "/tasks/x/complete", asked.URL.Path)
	require.Equal(t, "POST", asked.Method)
	require.Zero(t, asked.ContentLength)
	_, _, basic := asked.BasicAuth()
	require.True(t, basic)
	c.Auth = exchange.Assertion(func(context.Context) (string, error) { return "ASSERTION", nil })
	require.NoError(t, c.Post(t.Context(), c.Endpoint))
	require.Equal(t, "Bearer ASSERTION", asked.Header.Get("Authorization"))
	require.ErrorContains(t, c.Post(t.Context(), "http://a.example/"), "must be an https URL")
	c.Auth = exchange.Assertion(func(context.Context) (string, error) { return "", errors.New("out of order") })
	require.ErrorContains(t, c.Post(t.Context(), c.Endpoint), "authenticate: out of order")

	for _, bad := range []struct {
		status     int
		kind, body string
	}{{409, "application/json", `{"error":"invalid_request"}`}, {302, "text/html", ""}, {503, "application/json", `{}`}} {
		c, _ := answering(t, bad.status, bad.kind, bad.body)
		var e *exchange.Error
		require.ErrorAs(t, c.Post(t.Context(), c.Endpoint), &e)
		require.Equal(t, bad.status, e.Status)
		require.Equal(t, 7*time.Second, e.RetryAfter)
	}
	c, _ = answering(t, 200, "text/html", `{}`)
	require.ErrorContains(t, c.Post(t.Context(), c.Endpoint), "not a JSON object")
}
