package exchange_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
)

func TestAsError(t *testing.T) {
	denied := func(code tokenboundary.Code, param string) error {
		return &tokenboundary.DeniedError{Decision: tokenboundary.Decision{
			Code: code, Parameter: param, Path: "/secret/path", Version: "secret-version",
		}}
	}
	wait := func(d time.Duration) error {
		return &tokenboundary.UnavailableError{RetryAfter: d, Err: errors.New("secret dsn")}
	}
	for _, c := range []struct {
		name       string
		err        error
		status     int
		body       string
		retryAfter string
	}{
		{"denied", denied(tokenboundary.CodeInvalidTarget, "resource"), 400, `{"error":"invalid_target","error_description":"resource or audience was refused"}`, ""},
		{"denied, wrapped", fmt.Errorf("x: %w", denied(tokenboundary.CodeInvalidScope, "scope")), 400,
			`{"error":"invalid_scope","error_description":"scope was refused"}`, ""},
		{"denied without a parameter", denied(tokenboundary.CodeInvalidGrant, ""), 400, `{"error":"invalid_grant","error_description":"refused"}`, ""},
		{"denied for a parameter of nobody", denied(tokenboundary.CodeInvalidRequest, "secret-rule"), 400,
			`{"error":"invalid_request","error_description":"a parameter was refused"}`, ""},
		{"denied without a code", denied("", ""), 400, `{"error":"invalid_request","error_description":"refused"}`, ""},
		{"unauthenticated", tokenboundary.ErrUnauthenticated, 401, `{"error":"invalid_client","error_description":"client authentication failed"}`, ""},
		{"forbidden", fmt.Errorf("secret: %w", tokenboundary.ErrForbidden), 403,
			`{"error":"unauthorized_client","error_description":"not permitted for this client"}`, ""},
		{"unavailable", tokenboundary.ErrUnavailable, 503, `{"error":"temporarily_unavailable"}`, "1"},
		{"unavailable for a moment", wait(time.Millisecond), 503, `{"error":"temporarily_unavailable"}`, "1"},
		{"unavailable for longer", wait(2100 * time.Millisecond), 503, `{"error":"temporarily_unavailable"}`, "3"},
		{"given up", context.Canceled, 503, `{"error":"temporarily_unavailable"}`, "1"},
		{"unavailable, whatever else", errors.Join(denied(tokenboundary.CodeInvalidScope, "scope"), wait(0)), 503,
			`{"error":"temporarily_unavailable"}`, "1"},
		{"invalid", fmt.Errorf("%w: secret", tokenboundary.ErrInvalid), 400, `{"error":"invalid_request","error_description":"the request is not acceptable"}`, ""},
		{"not found", tokenboundary.ErrNotFound, 404, `{"error":"invalid_request","error_description":"there is no such thing"}`, ""},
		{"conflict", tokenboundary.ErrConflict, 409, `{"error":"invalid_request","error_description":"the state has changed"}`, ""},
		{"gone", tokenboundary.ErrGone, 410, `{"error":"invalid_request","error_description":"the position is not in the feed"}`, ""},
		{"anything else", errors.New("secret"), 500, `{"error":"server_error"}`, ""},
		{"nothing", nil, 500, `{"error":"server_error"}`, ""},
		{"a value in a description", &exchange.Error{Code: "x\"\n", Description: "a\\b\x00é"}, 400,
			`{"error":"x??","error_description":"a?b??"}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			exchange.AsError(c.err).Write(w)
			require.Equal(t, c.status, w.Code)
			require.JSONEq(t, c.body, w.Body.String())
			require.NotContains(t, w.Body.String(), "secret")
			require.Equal(t, c.retryAfter, w.Header().Get("Retry-After"))
			require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
			require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
			require.Equal(t, "application/json", w.Header().Get("Content-Type"))
			require.Equal(t, c.status == 401, w.Header().Get("WWW-Authenticate") != "")
			require.True(t, json.Valid(w.Body.Bytes()))
		})
	}
}

func TestResponseOfNoToken(t *testing.T) {
	body, err := exchange.Response(tokenboundary.Request{}, tokenboundary.Token{})
	require.ErrorContains(t, err, "not a released token")
	require.Empty(t, body)
}
