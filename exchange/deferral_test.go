package exchange_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
)

func code(value string) tokenboundary.Credential {
	return tokenboundary.Credential{Type: tokenboundary.TypeDeferralCode, Value: value}
}

// written is what a client receives of an error.
func written(e *exchange.Error) string {
	w := httptest.NewRecorder()
	e.Write(w)
	return w.Body.String()
}

func TestErrorSaysHowToPoll(t *testing.T) {
	e := &exchange.Error{Code: "authorization_pending", Description: "the request waits", Deferral: &exchange.Deferral{
		Code: code("D3FERRAL"), ExpiresIn: 600*time.Second + 900*time.Millisecond, Interval: 4100 * time.Millisecond,
	}}
	require.JSONEq(t, `{"error":"authorization_pending","error_description":"the request waits","deferral_code":"D3FERRAL","expires_in":600,"interval":5}`,
		written(e), "the time is rounded to what is safe to rely on")
	e.Deferral = &exchange.Deferral{Interval: 10 * time.Second}
	require.JSONEq(t, `{"error":"authorization_pending","error_description":"the request waits","interval":10}`, written(e))
	e.Deferral = &exchange.Deferral{}
	require.JSONEq(t, `{"error":"authorization_pending","error_description":"the request waits"}`, written(e))
}

func TestErrorHidesTheCode(t *testing.T) {
	e := &exchange.Error{Code: "authorization_pending", Deferral: &exchange.Deferral{Code: code("D3FERRAL"), Interval: 5 * time.Second}}
	require.Contains(t, written(e), "D3FERRAL", "positive control")
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewJSONHandler(&log, nil), slog.NewTextHandler(&log, nil)} {
		slog.New(h).Info("x", "pointer", e, "value", *e, "deferral", e.Deferral, "wrapped", fmt.Errorf("x: %w", e))
	}
	text := fmt.Sprintf("%v %+v %#v %v %+v %#v %v %+v %#v %s", e, e, e, *e, *e, *e, *e.Deferral, *e.Deferral, *e.Deferral, e.Error())
	require.NotContains(t, log.String()+text+mustJSON(t, e), "D3FERRAL")
	require.Contains(t, log.String(), "authorization_pending")
}

func TestAsErrorOfAPoll(t *testing.T) {
	denied := func(code tokenboundary.Code, d *tokenboundary.Deferral) error {
		return &tokenboundary.DeniedError{Decision: tokenboundary.Decision{Code: code, Parameter: "deferral_code", Deferral: d, Path: "/secret"}}
	}
	every := &tokenboundary.Deferral{Interval: 10 * time.Second, ExpiresIn: time.Minute}
	for _, c := range []struct {
		name, body string
		err        error
	}{
		{"pending", `{"error":"authorization_pending","error_description":"the request waits"}`, denied(tokenboundary.CodeAuthorizationPending, nil)},
		{"pending, how often", `{"error":"authorization_pending","error_description":"the request waits","interval":10}`,
			denied(tokenboundary.CodeAuthorizationPending, every)},
		{"too early", `{"error":"slow_down","error_description":"the request waits","interval":10}`, denied(tokenboundary.CodeSlowDown, every)},
		{"refused", `{"error":"access_denied","error_description":"deferral_code was refused"}`, denied(tokenboundary.CodeAccessDenied, every)},
		{"lapsed", `{"error":"expired_token","error_description":"deferral_code was refused"}`, denied(tokenboundary.CodeExpiredToken, nil)},
		{"final", `{"error":"invalid_grant","error_description":"deferral_code was refused"}`, denied(tokenboundary.CodeInvalidGrant, nil)},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			exchange.AsError(c.err).Write(w)
			require.Equal(t, 400, w.Code)
			require.JSONEq(t, c.body, w.Body.String())
			require.Empty(t, w.Header().Get("Retry-After"))
		})
	}
}

func TestClientIsToldToPoll(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       *exchange.Deferral
	}{
		{"deferred", `{"error":"authorization_pending","deferral_code":"D3FERRAL","expires_in":600,"interval":7}`,
			&exchange.Deferral{Code: code("D3FERRAL"), ExpiresIn: 10 * time.Minute, Interval: 7 * time.Second}},
		{"still pending", `{"error":"authorization_pending"}`, nil},
		{"too early", `{"error":"slow_down","interval":10}`, &exchange.Deferral{Interval: 10 * time.Second}},
		{"not a code", `{"error":"authorization_pending","deferral_code":"a b","interval":7}`, &exchange.Deferral{Interval: 7 * time.Second}},
		{"not numbers", `{"error":"authorization_pending","deferral_code":"D","expires_in":-1,"interval":1e9}`, &exchange.Deferral{Code: code("D")}},
		{"another error", `{"error":"access_denied","deferral_code":"D3FERRAL","interval":7}`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, asked := answering(t, 400, "application/json", c.body)
			_, err := client.ClientCredentials(t.Context(), exchange.Params{Scopes: []string{"a"}, Deferrable: true})
			var e *exchange.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, c.want, e.Deferral)
			require.NotContains(t, err.Error(), "D3FERRAL")
			require.Equal(t, "deferred", asked.PostForm.Get("completion_mode"))
		})
	}
}

func TestClientPolls(t *testing.T) {
	p := exchange.Params{Subject: subject, Scopes: []string{"a"}, Deferrable: true}
	client, asked := answering(t, 200, "application/json", good("refresh_token", `"R3FRESH"`))
	r, err := client.Poll(t.Context(), "D3FERRAL", p)
	require.NoError(t, err)
	require.Equal(t, "T0KEN", r.Value())
	require.Equal(t, "R3FRESH", r.RefreshValue())
	require.Equal(t, url.Values{"grant_type": {exchange.GrantDeferred}, "deferral_code": {"D3FERRAL"}}, asked.PostForm)
	_, err = client.Poll(t.Context(), "", p)
	require.ErrorContains(t, err, "takes the code")

	client, _ = answering(t, 200, "application/json", good("scope", `"b c"`))
	_, err = client.Poll(t.Context(), "D3FERRAL", p)
	require.ErrorContains(t, err, "none of the scopes that were asked for", "by the request that was deferred")
}

func TestClientRefreshes(t *testing.T) {
	client, asked := answering(t, 200, "application/json", good("issued_token_type", "-", "refresh_token", `"N3XT"`))
	r, err := client.Refresh(t.Context(), "R3FRESH", exchange.Params{Scopes: []string{"a"}, Connection: "prod"})
	require.NoError(t, err)
	require.Equal(t, "T0KEN", r.Value())
	require.Equal(t, "N3XT", r.RefreshValue())
	require.Equal(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"R3FRESH"}, "scope": {"a"}, "connection": {"prod"}}, asked.PostForm)
	for _, text := range []string{fmt.Sprintf("%v %+v %#v", r, r, r), slog.AnyValue(r).Resolve().String(), mustJSON(t, r)} {
		require.NotContains(t, text, "N3XT")
	}

	for _, p := range []exchange.Params{{Subject: subject}, {Actor: subject}, {Deferrable: true}} {
		_, err = client.Refresh(t.Context(), "R3FRESH", p)
		require.ErrorContains(t, err, "takes a refresh token")
	}
	_, err = client.Refresh(t.Context(), "", exchange.Params{})
	require.ErrorContains(t, err, "takes a refresh token")

	for _, unusable := range []string{`""`, `1`, `null`, `"a b"`} {
		client, _ = answering(t, 200, "application/json", good("refresh_token", unusable))
		r, err = client.Refresh(t.Context(), "R3FRESH", exchange.Params{})
		require.ErrorContains(t, err, "no usable refresh_token")
		require.Zero(t, r)
	}
	client, _ = answering(t, 200, "application/json", good())
	r, err = client.Refresh(t.Context(), "R3FRESH", exchange.Params{})
	require.NoError(t, err, "the server has not rotated it")
	require.Empty(t, r.RefreshValue())
}
