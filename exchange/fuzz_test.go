package exchange_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
)

// canned is a transport that gives one answer to everything.
type canned http.Response

func (c canned) RoundTrip(*http.Request) (*http.Response, error) {
	resp := http.Response(c)
	return &resp, nil
}

// answered asks a server that gives this answer for a token with the scopes.
func answered(t *testing.T, status int, header http.Header, body []byte, scopes []string) (exchange.Result, error) {
	t.Helper()
	c := exchange.Client{
		Endpoint: "https://as.example/token", Auth: exchange.Basic("me", "secret"),
		HTTPClient: &http.Client{Transport: canned{StatusCode: status, Header: header, Body: io.NopCloser(bytes.NewReader(body))}},
	}
	return c.Exchange(t.Context(), exchange.Params{Subject: subject, Scopes: scopes})
}

// FuzzAnswer holds that an answer is a usable token for no more than was asked for, or an error that is safe to show.
func FuzzAnswer(f *testing.F) {
	f.Add(200, "application/json", "", []byte(good()), "a b")
	f.Add(200, "application/json;charset=UTF-8", "", []byte(good("scope", `"b a"`, "refresh_token", `"R"`, "authorization_details", `[{"type":"x"}]`)), "a b")
	f.Add(200, "application/json", "", []byte(good("scope", `"a c"`)), "a b")
	f.Add(200, "application/json", "", []byte(good("access_token", `"T\n"`, "expires_in", `3e2`)), "")
	f.Add(400, "application/json", "", []byte(`{"error":"authorization_pending","deferral_code":"c","interval":5,"expires_in":4294967295}`), "")
	f.Add(503, "text/html", "4294967296", []byte(`<h1>`), "")
	f.Add(429, "application/json", "120", []byte(`{"error":"slow\u0000down","error_description":"\u202e"}`), "")
	f.Add(302, "application/json", "-1", []byte(`{"error":"x","error":"y"}`), "")
	f.Fuzz(func(t *testing.T, status int, kind, retry string, body []byte, asked string) {
		status = 200 + (status%400+400)%400
		scopes := strings.Fields(asked)
		header := http.Header{"Content-Type": {kind}, "Retry-After": {retry}}
		r, err := answered(t, status, header, body, scopes)
		if err != nil {
			require.Zero(t, r)
			requireShown(t, err, status, retry)
			return
		}
		require.Equal(t, 200, status)
		var said struct {
			Value string `json:"access_token"`
			Scope string `json:"scope"`
		}
		require.NoError(t, json.Unmarshal(body, &said))
		require.Regexp(t, `^[!-~]+$`, r.Value())
		require.Greater(t, r.ExpiresIn, time.Duration(0))
		require.True(t, slices.IsSorted(r.Scopes) || said.Scope == "")
		if len(scopes) > 0 {
			require.Subset(t, scopes, r.Scopes)
		}
		require.NotContains(t, r.String(), said.Value)
	})
}

// requireShown requires that an error of an answer is bounded, plain text.
func requireShown(t *testing.T, err error, status int, retry string) {
	t.Helper()
	var e *exchange.Error
	if !errors.As(err, &e) {
		require.Equal(t, 200, status, "a refusal is an *Error")
		require.Less(t, len(err.Error()), 120)
		return
	}
	require.NotEqual(t, 200, status)
	require.Equal(t, status, e.Status)
	require.Regexp(t, describable, e.Code)
	require.True(t, e.Description == "" || describable.MatchString(e.Description))
	require.True(t, len(e.Code) <= 64 && len(e.Description) <= 256)
	seconds, err := strconv.ParseUint(retry, 10, 31)
	if err != nil {
		seconds = 0
	}
	require.Equal(t, time.Duration(seconds)*time.Second, e.RetryAfter)
	if d := e.Deferral; d != nil {
		require.Contains(t, []string{"authorization_pending", "slow_down"}, e.Code)
		require.True(t, d.ExpiresIn >= 0 && d.Interval >= 0 && d.ExpiresIn < 1<<32*time.Second)
	}
}

// FuzzError holds that a client reads what a server has written of a refusal, and neither shows anything else.
func FuzzError(f *testing.F) {
	f.Add("invalid_request", "scope is malformed", uint8(0), int64(0), "", int64(0))
	f.Add("authorization_pending", "the request waits", uint8(0), int64(0), "tbd_A", int64(5_000_000_000))
	f.Add("slow_down", "", uint8(103), int64(1), "", int64(1))
	f.Add("a\"b\\c\u00e9\r\nX: y", strings.Repeat("\xff", 300), uint8(1), int64(1<<60), "c d", int64(-1))
	f.Fuzz(func(t *testing.T, code, why string, status uint8, retry int64, deferral string, interval int64) {
		if !describable.MatchString(deferral) {
			deferral = "" // no code of a Governor
		}
		said := exchange.Error{
			Code: code, Description: why, Status: 400 + int(status)%200, RetryAfter: time.Duration(retry),
			Deferral: &exchange.Deferral{Code: tokenboundary.Credential{Value: deferral}, Interval: time.Duration(interval)},
		}
		w := httptest.NewRecorder()
		said.Write(w)
		require.True(t, json.Valid(w.Body.Bytes()))
		require.Equal(t, said.Status == 401, w.Header().Get("WWW-Authenticate") != "")
		_, err := answered(t, w.Code, w.Header(), w.Body.Bytes(), nil)
		requireShown(t, err, said.Status, w.Header().Get("Retry-After"))
		var heard *exchange.Error
		require.ErrorAs(t, err, &heard)
		if describable.MatchString(code) && len(code) <= 64 && code != "" {
			require.Equal(t, code, heard.Code)
		}
		if describable.MatchString(why) && len(why) <= 256 {
			require.Equal(t, why, heard.Description)
		}
		if up := said.RetryAfter.Round(time.Second); said.RetryAfter > 0 && up < 1<<31*time.Second {
			require.GreaterOrEqual(t, heard.RetryAfter, said.RetryAfter, "never too early")
			require.Less(t, heard.RetryAfter-said.RetryAfter, time.Second+time.Second/2)
		}
		if heard.Deferral != nil && interval > 0 && interval < 1<<60 {
			require.GreaterOrEqual(t, heard.Deferral.Interval, said.Deferral.Interval)
		}
	})
}

// FuzzDetails holds that authorization_details mean what their JSON says: every entry is kept as it is, in order, or is the
// one that asks for a task, and the spelling of the JSON does not matter.
func FuzzDetails(f *testing.F) {
	f.Add(`[{"type":"payment","amount":"10.0"},{"type":"x","n":[1,{"b":1,"a":2}]}]`)
	f.Add(`[{"type":"task","purpose":"p","expires_in":60,"max_derivations":0,"context":{"case":1},"authority":[{"resource":"u:1","scopes":["a","b"]}]}]`)
	f.Add(`[{"type":"a"},{"type":"task","purpose":"p"},{"type":"b"}]`)
	f.Add(`[{"type":"task","purpose":"p"},{"type":"task","purpose":"p"}]`)
	f.Add(`[{"typ\u0065":"task","purpose":"\u0070","expires_in":4294967295}]`)
	f.Add(`[{"Type":"task","type":"x"}]`)
	f.Add(`[]`)
	f.Add(`{"type":"x"}`)
	f.Fuzz(func(t *testing.T, details string) {
		req, err := detailed(details)
		if err != nil {
			requireSafe(t, err)
			require.Zero(t, req)
			return
		}
		if details == "" {
			require.Zero(t, req.Details)
			return
		}
		var entries, kept []any
		decode(t, details, &entries)
		if req.Details != nil {
			decode(t, string(req.Details), &kept)
			require.NotEmpty(t, kept)
		}
		var rest []any
		for _, e := range entries {
			if entry := e.(map[string]any); entry["type"] != "task" {
				require.NotEmpty(t, entry["type"])
				rest = append(rest, e)
			} else {
				requireTask(t, entry, req.Task)
			}
		}
		require.Equal(t, rest, kept)
		require.Equal(t, len(rest) < len(entries), req.Task != nil)
		respelled, err := json.Marshal(entries)
		require.NoError(t, err)
		if again, err := detailed(string(respelled)); err == nil { // it may have become too long
			require.True(t, reflect.DeepEqual(req, again), "%q", respelled)
		}
	})
}

func detailed(details string) (tokenboundary.Request, error) {
	body := url.Values{"grant_type": {"client_credentials"}, "authorization_details": {details}}
	form, err := exchange.ParseForm(strings.NewReader(body.Encode()))
	if err != nil {
		return tokenboundary.Request{}, err
	}
	return exchange.Parse(form)
}

func decode(t *testing.T, text string, v any) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	require.NoError(t, dec.Decode(v))
}

// requireTask requires that spec says what the entry says.
func requireTask(t *testing.T, entry map[string]any, spec *tokenboundary.TaskSpec) {
	t.Helper()
	require.NotNil(t, spec)
	require.Equal(t, entry["purpose"], spec.Purpose)
	if n, given := entry["expires_in"]; given {
		require.Equal(t, n, json.Number(strconv.FormatInt(int64(spec.ExpiresIn/time.Second), 10)))
	}
	n, given := entry["max_derivations"]
	require.Equal(t, given, spec.MaxDerivations != nil)
	if given {
		require.Equal(t, n, json.Number(strconv.FormatUint(*spec.MaxDerivations, 10)))
	}
	if c, given := entry["context"]; given {
		var context any
		decode(t, string(spec.Context), &context)
		require.Equal(t, c, context)
	}
	authority, _ := entry["authority"].([]any)
	require.Len(t, spec.Authority, len(authority))
	for i, a := range authority {
		require.Equal(t, a.(map[string]any)["resource"], spec.Authority[i].Resource)
		require.Len(t, spec.Authority[i].Scopes, len(a.(map[string]any)["scopes"].([]any)))
	}
}
