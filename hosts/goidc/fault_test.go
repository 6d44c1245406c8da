package goidc_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/luikyv/go-oidc/pkg/goidc"
	"github.com/luikyv/go-oidc/pkg/provider"
	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	governed "github.com/tokenboundary/tokenboundary/hosts/goidc"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store/memory"
	"github.com/tokenboundary/tokenboundary/store/storetest"
)

var errDown = errors.New("the store is down")

func TestNoTokenLeavesWhileTheStoreIsDown(t *testing.T) {
	for _, op := range []storetest.Op{storetest.Commit, storetest.Heads, storetest.Get} {
		t.Run(string(op), func(t *testing.T) {
			down := storetest.FailOn(memory.New(), op, errDown).Set(false)
			w := newWorld(t, func(w *world) { w.store = down })
			parent := w.granted(w.exchange("orchestrator", human(t, "alice"), typeID, "read")).text("access_token")
			token := w.family("read")

			down.Set(true)
			tries := []func() answer{
				func() answer { return w.exchange("tool", parent, typeAccess, "read") },
				func() answer { return w.refresh("orchestrator", token) },
			}
			if op == storetest.Get {
				tries = append(tries, func() answer { return w.introspect(parent) })
			} else {
				tries = append(tries, func() answer { return w.credentials("tool", "read") })
			}
			for _, try := range tries {
				a := w.refused(try(), http.StatusServiceUnavailable, "temporarily_unavailable")
				require.Equal(t, "1", a.header.Get("Retry-After"))
			}

			down.Set(false)
			w.granted(w.exchange("tool", parent, typeAccess, "read"))
			w.granted(w.refresh("orchestrator", token)) // it was not burnt
			require.Equal(t, true, w.introspect(parent).body["active"])
		})
	}
}

func TestALostAcknowledgementIsSettled(t *testing.T) {
	lost := storetest.FailOn(memory.New(), storetest.CommitLost, errDown).Set(false)
	w := newWorld(t, func(w *world) { w.store = lost })
	w.granted(w.credentials("tool", "read"))
	lost.Set(true)
	require.Equal(t, true, w.introspect(w.granted(w.credentials("tool", "read")).text("access_token")).body["active"])
}

func TestRevocationWaitsForTheBoundary(t *testing.T) {
	down := storetest.FailOn(memory.New(), storetest.Commit, errDown).Set(false)
	w := newWorld(t, func(w *world) { w.store = down })
	token := w.granted(w.exchange("orchestrator", human(t, "alice"), typeID, "read")).text("access_token")
	down.Set(true)
	w.refused(w.post("/revoke", "orchestrator", form("token", token)), http.StatusServiceUnavailable, "temporarily_unavailable")
	down.Set(false)
	require.Equal(t, true, w.introspect(token).body["active"])
	require.Equal(t, http.StatusOK, w.post("/revoke", "orchestrator", form("token", token)).status)
	require.Equal(t, false, w.introspect(token).body["active"])
}

func TestADecisionThatNoLongerHoldsGivesNoToken(t *testing.T) {
	w := newWorld(t)
	parent := w.granted(w.exchange("orchestrator", human(t, "alice"), typeID, "read")).text("access_token")
	grant := w.policy
	w.policy = func(f tb.Facts) tb.Verdict { // the parent dies between the decision and its record
		if f.Client.ID == "tool" {
			w.revoke("subject:alice")
		}
		return grant(f)
	}
	w.refused(w.exchange("tool", parent, typeAccess, "read"), http.StatusServiceUnavailable, "temporarily_unavailable")
	w.refused(w.exchange("tool", parent, typeAccess, "read"), http.StatusBadRequest, "invalid_request")
	w.granted(w.credentials("tool", "read"))
}

func TestNoTokenLeavesAProviderThatIsNotWired(t *testing.T) {
	for name, change := range map[string]func(*world){
		"no middleware": func(w *world) { w.bare = true },
		"another token handler": func(w *world) {
			w.last = append(w.last, provider.WithTokenHandler(func(context.Context, *goidc.Token, *goidc.Grant) error { return nil }))
		},
		"another grant handler": func(w *world) {
			w.last = append(w.last, provider.WithGrantHandler(func(context.Context, goidc.GrantType, *goidc.Grant) error { return nil }))
		},
		"another maker of ids": func(w *world) {
			w.last = append(w.last, provider.WithJWTIDFunc(func(context.Context) string { return "id" }))
		},
		"other claims": func(w *world) {
			w.last = append(w.last, provider.WithTokenClaims(func(_ context.Context, tkn *goidc.Token, _ *goidc.Grant) map[string]any {
				tkn.Scopes += " delete"
				return nil
			}))
		},
		"opaque tokens": func(w *world) {
			w.more = append(w.more, provider.WithOpaqueTokens(nil))
			w.cfg.Token = func(context.Context, *goidc.Grant, *goidc.Client) goidc.TokenOptions {
				return goidc.NewOpaqueTokenOptions(60)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, change)
			a := w.credentials("tool", "read")
			require.Equal(t, http.StatusInternalServerError, a.status, "%v", a.body)
			require.Empty(t, a.text("access_token"))
		})
	}
	w := newWorld(t)
	w.granted(w.credentials("tool", "read"))
}

func TestAHostChoosesFormAndClaims(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.cfg.Token = func(context.Context, *goidc.Grant, *goidc.Client) goidc.TokenOptions {
			return goidc.NewJWTTokenOptions(goidc.RS256, 20)
		}
		w.cfg.Claims = func(context.Context, *goidc.Token, *goidc.Grant) map[string]any {
			return map[string]any{"tenant": "acme", "scope": "delete", "act": "nobody", "jti": "mine", "exp": 1 << 40, "sub": "root"}
		}
	})
	a := w.granted(w.credentials("tool", "read"))
	c := a.claims(t)
	require.Equal(t, "acme", c["tenant"])
	require.Equal(t, "read", c["scope"])
	require.Equal(t, "tool", c["sub"])
	require.NotContains(t, c, "act")
	require.Equal(t, 20.0, a.body["expires_in"])
	_, err := lineage.ParseID(c["jti"].(string))
	require.NoError(t, err)
}

func TestNoTokenOrSecretIsInAnError(t *testing.T) {
	var seen strings.Builder
	down := storetest.FailOn(memory.New(), storetest.Commit, errDown).Set(false)
	w := newWorld(t, func(w *world) {
		w.store = down
		w.more = append(w.more, provider.WithErrorHandler(func(_ context.Context, err error) { seen.WriteString(err.Error()) }))
	})
	token, refresh := w.granted(w.exchange("orchestrator", human(t, "alice"), typeID, "read")).text("access_token"), w.family("read")
	w.revoke("subject:alice")
	w.refused(w.exchange("tool", token, typeAccess, "read"), http.StatusBadRequest, "invalid_request")
	w.refused(w.exchange("tool", token+"x", typeAccess, "read"), http.StatusBadRequest, "invalid_request")
	w.refused(w.refresh("orchestrator", refresh), http.StatusBadRequest, "invalid_grant")
	down.Set(true)
	w.refused(w.credentials("tool", "read"), http.StatusServiceUnavailable, "temporarily_unavailable")
	w.server.Close() // so that nobody writes any more
	require.Contains(t, seen.String(), "temporarily_unavailable", "positive control")
	for _, secret := range []string{token, refresh, secretOf("tool"), secretOf("orchestrator")} {
		require.NotContains(t, seen.String(), secret)
	}
}

func TestWithoutAManagerThereIsNoRefresh(t *testing.T) {
	w := newWorld(t, func(w *world) { w.cfg.RefreshTokens = nil })
	a := w.exchange("orchestrator", human(t, "alice"), typeID, "read", "requested_token_type", typeRefresh)
	w.refused(a, http.StatusBadRequest, "invalid_request")
	w.refused(w.refresh("orchestrator", "x"), http.StatusBadRequest, "unsupported_grant_type")
	w.granted(w.exchange("orchestrator", human(t, "alice"), typeID, "read"))
}

func TestOptionsAreChecked(t *testing.T) {
	w := newWorld(t)
	never := func(context.Context, *goidc.Client) bool { return false }
	for why, opts := range map[string][]provider.Option{
		"a Governor is required":     governed.Options(nil, governed.Config{}),
		"Operator must be":           governed.Options(w.Governor, governed.Config{Revocation: never}),
		"must be an operator":        governed.Options(w.Governor, governed.Config{Revocation: never, Operator: tb.Client{ID: "x", Kind: tb.KindAgent}}),
		`names "refresh_token"`:      governed.Options(w.Governor, governed.Config{Undecided: []goidc.GrantType{goidc.GrantRefreshToken}}),
		`names "client_credentials"`: governed.Options(w.Governor, governed.Config{Undecided: []goidc.GrantType{goidc.GrantClientCredentials}}),
		`names ""`:                   governed.Options(w.Governor, governed.Config{Undecided: []goidc.GrantType{""}}),
	} {
		_, err := w.provider(opts...)
		require.ErrorContains(t, err, why)
	}
	opts := governed.Options(w.Governor, governed.Config{})
	_, err := w.provider(opts...)
	require.NoError(t, err)
	_, err = w.provider(opts...)
	require.ErrorContains(t, err, "for one provider")
}
