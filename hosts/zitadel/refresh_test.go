package zitadel_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
)

// family exchanges a person's ID token for an access and a refresh token.
func (w *world) family(scope string) answer {
	w.Helper()
	a := w.granted(w.exchange("orchestrator", human(w.T, "alice"), typeID, scope, "requested_token_type", typeRefresh))
	require.NotEmpty(w, a.text("refresh_token"))
	return a
}

func TestARefreshIsDecidedAnew(t *testing.T) {
	w := newWorld(t)
	first := w.family("read write")
	require.Equal(t, "read write", first.claims(t)["scope"])
	require.Equal(t, "read write", first.text("scope"), "the mark of the family stays in")
	token := first.text("refresh_token")
	a := w.granted(w.refresh("orchestrator", token))
	require.Equal(t, "read write", a.claims(t)["scope"])
	require.Equal(t, map[string]any{"sub": "orchestrator", "iss": issuer}, a.claims(t)["act"])
	require.NotEqual(t, token, a.text("refresh_token"))
	w.refused(w.refresh("orchestrator", token), http.StatusBadRequest, "invalid_grant")
	token = a.text("refresh_token")

	w.policy = func(f tb.Facts) tb.Verdict {
		f.Scopes = f.Scopes[:1]
		v := grantAll(f)
		v.Version = "v2"
		return v
	}
	a = w.granted(w.refresh("orchestrator", token))
	require.Equal(t, "read", a.claims(t)["scope"])
	require.Equal(t, "read", a.text("scope"))
	child := w.granted(w.exchange("tool", a.text("access_token"), typeAccess, "read write"))
	require.Equal(t, "read", child.claims(t)["scope"], "the record is what the token is")
	token = a.text("refresh_token")

	w.policy = func(tb.Facts) tb.Verdict {
		return tb.Verdict{Effect: tb.Deny, Code: tb.CodeInvalidScope, Version: "v3", Path: "/x"}
	}
	w.refused(w.refresh("orchestrator", token), http.StatusBadRequest, "invalid_scope")

	w.policy = grantAll
	a = w.granted(w.refresh("orchestrator", token))
	require.Equal(t, "read write", a.claims(t)["scope"], "the refusal has burnt nothing, and the narrowing was for once")
}

func TestARefreshForLessIsRecordedAsLess(t *testing.T) {
	w := newWorld(t)
	a := w.granted(w.refresh("orchestrator", w.family("read write").text("refresh_token"), "scope", "read"))
	require.Equal(t, "read", a.claims(t)["scope"])
	require.Equal(t, "read", w.introspect(a.text("access_token")).text("scope"))
	child := w.granted(w.exchange("tool", a.text("access_token"), typeAccess, "read write"))
	require.Equal(t, "read", child.claims(t)["scope"])
	a = w.granted(w.refresh("orchestrator", a.text("refresh_token")))
	require.Equal(t, "read write", a.claims(t)["scope"])
	w.refused(w.refresh("orchestrator", a.text("refresh_token"), "scope", "read delete"), http.StatusBadRequest, "invalid_scope")
}

func TestARevokedFamilyIsRefused(t *testing.T) {
	w := newWorld(t)
	a := w.granted(w.refresh("orchestrator", w.family("read").text("refresh_token")))
	w.revoke("subject:alice")
	w.refused(w.refresh("orchestrator", a.text("refresh_token")), http.StatusBadRequest, "invalid_grant")
	require.Contains(t, w.denied("orchestrator"), "the refresh family is revoked")
	require.Equal(t, false, w.introspect(a.text("access_token")).body["active"])
}

func TestARevokedRefreshTokenEndsItsFamily(t *testing.T) {
	w := newWorld(t)
	a := w.granted(w.refresh("orchestrator", w.family("read").text("refresh_token")))
	child := w.granted(w.exchange("tool", a.text("access_token"), typeAccess, "read"))
	w.post("/revoke", "tool", form("token", a.text("refresh_token")))
	require.Equal(t, true, w.introspect(child.text("access_token")).body["active"], "another's token")
	require.Equal(t, http.StatusOK, w.post("/revoke", "orchestrator", form("token", a.text("refresh_token"))).status)
	require.Equal(t, false, w.introspect(child.text("access_token")).body["active"])
	w.refused(w.refresh("orchestrator", a.text("refresh_token")), http.StatusBadRequest, "invalid_grant")
}

func TestAStrangerCannotRefresh(t *testing.T) {
	w := newWorld(t)
	token := w.family("read").text("refresh_token")
	w.refused(w.refresh("tool", token), http.StatusBadRequest, "invalid_grant")
	require.Contains(t, w.denied("tool"), "issued to another client")
	w.granted(w.refresh("orchestrator", token))
}

func TestAFamilyIsOfOneSubject(t *testing.T) {
	w := newWorld(t)
	token := w.family("read").text("refresh_token")
	kept := w.host.rows[token]
	w.host.rows[token] = strings.Replace(kept, `"alice"`, `"bob"`, 1)
	w.refused(w.refresh("orchestrator", token), http.StatusBadRequest, "invalid_request")
	w.host.rows[token] = kept
	w.granted(w.refresh("orchestrator", token))
}

func TestNoRefreshTokenWithoutARule(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.policy = func(f tb.Facts) tb.Verdict {
			v := grantAll(f)
			for i := range v.Reasons {
				v.Reasons[i].Refresh = false
			}
			return v
		}
	})
	a := w.exchange("orchestrator", human(t, "alice"), typeID, "read", "requested_token_type", typeRefresh)
	w.refused(a, http.StatusBadRequest, "invalid_request")
	require.Equal(t, "requested_token_type was refused", a.text("error_description"))
	w.refused(w.exchange("orchestrator", human(t, "alice"), typeID, "read", "requested_token_type", typeID), http.StatusBadRequest, "invalid_request")
	w.granted(w.exchange("orchestrator", human(t, "alice"), typeID, "read", "requested_token_type", typeAccess))
}

func TestAStorageThatForgetsTheFamilyGetsNoRefreshToken(t *testing.T) {
	w := newWorld(t, func(w *world) { w.host.forgets = true })
	a := w.exchange("orchestrator", human(t, "alice"), typeID, "read", "requested_token_type", typeRefresh)
	w.refused(a, http.StatusServiceUnavailable, "temporarily_unavailable")
	w.granted(w.exchange("orchestrator", human(t, "alice"), typeID, "read"))
}

func TestTwoRefreshTokensInOneRequestAreRefused(t *testing.T) {
	w := newWorld(t)
	one, other := w.family("read").text("refresh_token"), w.family("read").text("refresh_token")
	f := form("grant_type", "refresh_token", "refresh_token", one)
	w.refused(w.post("/oauth/token?refresh_token="+other, "orchestrator", f), http.StatusBadRequest, "invalid_request")
	require.Contains(t, w.denied("orchestrator"), "malformed")
	require.False(t, strings.Contains(w.denied("orchestrator"), other))
	w.granted(w.refresh("orchestrator", one))
	w.granted(w.refresh("orchestrator", other))
}
