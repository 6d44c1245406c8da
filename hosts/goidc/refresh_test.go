package goidc_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/luikyv/go-oidc/pkg/goidc"
	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
)

// family exchanges a person's ID token for a refresh token.
func (w *world) family(scope string) string {
	w.Helper()
	a := w.granted(w.exchange("orchestrator", human(w.T, "alice"), typeID, scope, "requested_token_type", typeRefresh))
	require.Equal(w, typeRefresh, a.text("issued_token_type"))
	return a.text("access_token")
}

func TestARefreshIsDecidedAnew(t *testing.T) {
	w := newWorld(t)
	token := w.family("read write")
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
	a := w.granted(w.refresh("orchestrator", w.family("read write"), "scope", "read"))
	require.Equal(t, "read", a.claims(t)["scope"])
	child := w.granted(w.exchange("tool", a.text("access_token"), typeAccess, "read write"))
	require.Equal(t, "read", child.claims(t)["scope"])
	a = w.granted(w.refresh("orchestrator", a.text("refresh_token")))
	require.Equal(t, "read write", a.claims(t)["scope"])
}

func TestARefreshIsNarrowedBelowWhatItAsksFor(t *testing.T) {
	w := newWorld(t)
	token := w.family("read write")
	w.policy = func(f tb.Facts) tb.Verdict { f.Scopes = []string{"read"}; return grantAll(f) }
	a := w.granted(w.refresh("orchestrator", token, "scope", "read write"))
	require.Equal(t, "read", a.claims(t)["scope"])
	require.Equal(t, "read", a.text("scope"))
	w.policy = grantAll
	a = w.granted(w.refresh("orchestrator", a.text("refresh_token"), "scope", "read write"))
	require.Equal(t, "read write", a.claims(t)["scope"], "the grant is what it was")
}

func TestARevokedFamilyIsRefused(t *testing.T) {
	w := newWorld(t)
	token := w.family("read")
	access := w.granted(w.refresh("orchestrator", token))
	token = access.text("refresh_token")
	require.Equal(t, true, w.introspect(token).body["active"])
	w.revoke("subject:alice")
	w.refused(w.refresh("orchestrator", token), http.StatusBadRequest, "invalid_grant")
	require.Contains(t, w.denied("orchestrator"), "the refresh family is revoked")
	require.Equal(t, false, w.introspect(token).body["active"])
	require.Equal(t, false, w.introspect(access.text("access_token")).body["active"])
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
	a = w.exchange("orchestrator", human(t, "alice"), typeID, "read", "requested_token_type", typeID)
	w.refused(a, http.StatusBadRequest, "invalid_request")
	w.granted(w.exchange("orchestrator", human(t, "alice"), typeID, "read", "requested_token_type", typeAccess))
}

func TestRevocationReachesTheBoundary(t *testing.T) {
	w := newWorld(t)
	token := w.family("read")
	a := w.granted(w.refresh("orchestrator", token))
	child := w.granted(w.exchange("tool", a.text("access_token"), typeAccess, "read"))
	require.Equal(t, http.StatusForbidden, w.post("/revoke", "tool", form("token", a.text("refresh_token"))).status, "another's")
	require.Equal(t, true, w.introspect(child.text("access_token")).body["active"])
	require.Equal(t, http.StatusOK, w.post("/revoke", "orchestrator", form("token", a.text("refresh_token"))).status)
	require.Equal(t, false, w.introspect(child.text("access_token")).body["active"], "of another grant of the provider")
	w.refused(w.exchange("sub", child.text("access_token"), typeAccess, "read"), http.StatusBadRequest, "invalid_request")
	require.Contains(t, w.denied("sub"), "the token is revoked")
	w.refused(w.refresh("orchestrator", a.text("refresh_token")), http.StatusBadRequest, "invalid_grant")
	require.Equal(t, http.StatusOK, w.post("/revoke", "orchestrator", form("token", "nothing")).status)
}

// live hands out the grants that it keeps themselves, as a manager in memory does.
type live struct {
	*grants
	kept map[string]*goidc.Grant
}

func (l live) SaveGrant(ctx context.Context, grant *goidc.Grant) error {
	l.mu.Lock()
	l.kept[grant.ID] = grant
	l.mu.Unlock()
	return l.grants.SaveGrant(ctx, grant)
}

func (l live) GrantByRefreshToken(_ context.Context, token string) (*goidc.Grant, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, grant := range l.kept {
		if grant.RefreshToken == token {
			return grant, nil
		}
	}
	return nil, goidc.ErrNotFound
}

func TestARefusalBurnsNothingInAManagerInMemory(t *testing.T) {
	w := newWorld(t, func(w *world) {
		m := live{w.grants, map[string]*goidc.Grant{}}
		w.cfg.RefreshTokens, w.manager = m, m
	})
	token := w.family("read")
	w.policy = func(tb.Facts) tb.Verdict { return tb.Verdict{Effect: tb.Deny, Code: tb.CodeInvalidScope, Path: "/x"} }
	w.refused(w.refresh("orchestrator", token), http.StatusBadRequest, "invalid_scope")
	w.policy = grantAll
	w.granted(w.refresh("orchestrator", token))
}

func TestAnEndedFamilyEndsWhatIsLeft(t *testing.T) {
	w := newWorld(t)
	grant := w.policy
	w.policy = func(f tb.Facts) tb.Verdict { v := grant(f); v.Lifetime = 10 * time.Hour; return v }
	a := w.granted(w.refresh("orchestrator", w.family("read")))
	require.LessOrEqual(t, a.body["expires_in"], 300.0, "what the boundary bounds besides")
}
