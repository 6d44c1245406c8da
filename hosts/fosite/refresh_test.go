package fosite_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// family is the first token of a refresh family.
func (w *world) family(scope string) answer {
	w.Helper()
	a := w.granted(w.exchange("orchestrator", human(w.T, "alice"), tb.TypeIDToken, scope))
	require.NotEmpty(w, a.text("refresh_token"))
	return a
}

func TestEveryRefreshIsDecided(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		first := w.family("read write")
		id := w.idOf(first)
		next := w.granted(w.refresh("orchestrator", first.text("refresh_token")))
		c := w.claims(next)
		require.Equal(t, "read write", c["scope"])
		require.Equal(t, "alice", c["sub"])
		require.Equal(t, map[string]any{"sub": "orchestrator", "iss": issuer}, c["act"])
		require.NotEqual(t, id, w.idOf(next))
		require.LessOrEqual(t, next.body["expires_in"], 60.0)
		w.active(next.text("access_token"))
		w.clock.Add(2 * time.Minute)
		w.dead(next.text("access_token"))
		w.active(next.text("refresh_token")) // it is its family that lives

		grant := w.policy
		w.policy = func(f tb.Facts) tb.Verdict { f.Scopes = []string{"read"}; return grant(f) }
		next = w.granted(w.refresh("orchestrator", next.text("refresh_token")))
		require.Equal(t, "read", next.text("scope"))
		require.Equal(t, "read", w.claims(next)["scope"])
		w.policy = grant
		next = w.granted(w.refresh("orchestrator", next.text("refresh_token"), "scope", "write"))
		require.Equal(t, "write", next.text("scope"))
		next = w.granted(w.refresh("orchestrator", next.text("refresh_token")))
		require.Equal(t, "read write", next.text("scope"), "what was narrowed is not lost")

		token := next.text("refresh_token")
		w.refused(w.refresh("orchestrator", token, "scope", "offline"), http.StatusBadRequest, "invalid_scope")
		require.Contains(t, w.denied("orchestrator"), "more than was granted")
		w.policy = func(tb.Facts) tb.Verdict {
			return tb.Verdict{Effect: tb.Deny, Code: tb.CodeInvalidTarget, Path: "/agents/x"}
		}
		w.refused(w.refresh("orchestrator", token), http.StatusBadRequest, "invalid_target")
		w.policy = grant
		w.granted(w.refresh("orchestrator", token)) // a denial burns nothing
	})
}

func TestARefreshedTokenHasItsOwnTimes(t *testing.T) {
	w := newWorld(t)
	first := w.family("read")
	for _, r := range w.host.RefreshTokens {
		require.False(t, r.GetSession().GetExpiresAt(fosite.RefreshToken).IsZero())
		claims := r.GetSession().(*oauth2.JWTSession).JWTClaims
		claims.IssuedAt = claims.IssuedAt.Add(-time.Hour)
	}
	nodes, err := w.Lineage(w.ctx, ops, w.idOf(first))
	require.NoError(t, err)
	require.Equal(t, lineage.KindGrant, nodes[len(nodes)-2].Record.Kind)
	w.clock.Add(30 * time.Second)
	next := w.granted(w.refresh("orchestrator", first.text("refresh_token")))
	require.Greater(t, w.claims(next)["exp"], w.claims(first)["exp"])
	require.GreaterOrEqual(t, w.claims(next)["iat"], w.claims(first)["iat"])
}

func TestARevokedFamilyIsRefusedAlthoughFositeGoesOn(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		a := w.family("read")
		nodes, err := w.Lineage(w.ctx, ops, w.idOf(a))
		require.NoError(t, err)
		family := nodes[len(nodes)-2].Record.ID().String()
		w.active(a.text("refresh_token"))
		w.revoke("token:" + family)
		w.dead(a.text("access_token"))
		w.dead(a.text("refresh_token"))
		w.refused(w.refresh("orchestrator", a.text("refresh_token")), http.StatusBadRequest, "invalid_grant")
		require.Contains(t, w.denied("orchestrator"), "the refresh family is revoked")
		w.aliveAlone(a.text("refresh_token"))
		w.granted(w.post("/alone/token", "orchestrator", form("grant_type", "refresh_token", "refresh_token", a.text("refresh_token"))))
	})
}

func TestARefreshTokenIsItsClientsAndUsedOnce(t *testing.T) {
	w := newWorld(t)
	first := w.family("read").text("refresh_token")
	w.refused(w.refresh("tool", first), http.StatusBadRequest, "invalid_grant")
	w.refused(w.post("/revoke", "tool", form("token", first)), http.StatusOK, "")
	next := w.granted(w.refresh("orchestrator", first))
	w.refused(w.refresh("orchestrator", first), http.StatusBadRequest, "invalid_grant")
	w.refused(w.refresh("orchestrator", next.text("refresh_token")), http.StatusBadRequest, "invalid_grant")
}

func TestARefreshTokenRevokesItsFamily(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		first := w.family("read")
		child := w.granted(w.exchange("tool", first.text("access_token"), tb.TypeAccessToken, "read")).text("access_token")
		next := w.granted(w.refresh("orchestrator", first.text("refresh_token")))
		w.active(child)
		require.Equal(t, http.StatusOK, w.post("/revoke", "orchestrator", form("token", next.text("refresh_token"), "token_type_hint", "refresh_token")).status)
		w.dead(child) // of a token before, in the same family
		w.dead(next.text("access_token"))
		w.dead(next.text("refresh_token"))
		w.aliveAlone(child)
	})
}

func TestNoRefreshTokenComesWhereItIsNotWanted(t *testing.T) {
	none := func(w *world, a answer) { require.NotContains(w, w.granted(a).body, "refresh_token") }
	w := newWorld(t)
	w.policy = func(f tb.Facts) tb.Verdict {
		v := grantAll(f)
		for i := range v.Reasons {
			v.Reasons[i].Refresh = false
		}
		return v
	}
	none(w, w.credentials("tool", "read"))
	w.policy = grantAll
	w.host.Clients["tool"].(*fosite.DefaultClient).GrantTypes = []string{"client_credentials"}
	none(w, w.credentials("tool", "read"))
	require.NotEmpty(t, w.granted(w.credentials("sub", "read")).text("refresh_token"), "control")

	w = newWorld(t, func(w *world) { w.config.RefreshTokenScopes = nil }) // offline, offline_access
	none(w, w.credentials("tool", "read"))
	a := w.granted(w.credentials("tool", "read offline"))
	w.granted(w.refresh("tool", a.text("refresh_token")))
}

func TestRecheckBoundsTheLifetime(t *testing.T) {
	w := newWorld(t)
	w.policy = func(f tb.Facts) tb.Verdict { v := grantAll(f); v.Recheck = 20 * time.Second; return v }
	a := w.granted(w.credentials("tool", "read"))
	require.LessOrEqual(t, a.body["expires_in"], 20.0)
	w.policy = func(f tb.Facts) tb.Verdict { v := grantAll(f); v.Recheck = time.Hour; return v }
	require.Greater(t, w.granted(w.credentials("tool", "read")).body["expires_in"], 20.0)
	w.policy = func(f tb.Facts) tb.Verdict { v := grantAll(f); v.Lifetime = 10 * time.Hour; return v }
	w.config.AccessTokenLifespan = 40 * time.Second
	require.LessOrEqual(t, w.granted(w.credentials("tool", "read")).body["expires_in"], 40.0, "no longer than the server lets tokens live")
}
