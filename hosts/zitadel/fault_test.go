package zitadel_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	tb "github.com/tokenboundary/tokenboundary"
	governed "github.com/tokenboundary/tokenboundary/hosts/zitadel"
	"github.com/tokenboundary/tokenboundary/store/memory"
	"github.com/tokenboundary/tokenboundary/store/storetest"
)

var errDown = errors.New("the store is down")

func TestNoTokenLeavesWhileTheStoreIsDown(t *testing.T) {
	for _, fault := range []storetest.Op{storetest.Commit, storetest.Heads, storetest.Get} {
		t.Run(string(fault), func(t *testing.T) {
			down := storetest.FailOn(memory.New(), fault, errDown).Set(false)
			w := newWorld(t, func(w *world) { w.store = down })
			first := w.family("read")
			parent, token := first.text("access_token"), first.text("refresh_token")

			down.Set(true)
			tries := []func() answer{
				func() answer { return w.exchange("tool", parent, typeAccess, "read") },
				func() answer { return w.refresh("orchestrator", token) },
			}
			if fault == storetest.Get {
				tries = append(tries, func() answer { return w.introspect(parent) })
			} else {
				tries = append(tries, func() answer { return w.credentials("tool", "read") })
			}
			for _, try := range tries {
				w.refused(try(), http.StatusServiceUnavailable, "temporarily_unavailable")
			}

			down.Set(false)
			w.granted(w.exchange("tool", parent, typeAccess, "read"))
			w.granted(w.refresh("orchestrator", token)) // it was not burnt
			require.Equal(t, true, w.introspect(parent).body["active"])
		})
	}
}

func TestNoTokenLeavesWhileTheStorageIsDown(t *testing.T) {
	w := newWorld(t)
	token := w.family("read").text("access_token")
	w.host.down = errDown
	w.refused(w.credentials("tool", "read"), http.StatusServiceUnavailable, "temporarily_unavailable")
	w.refused(w.exchange("tool", token, typeAccess, "read"), http.StatusServiceUnavailable, "temporarily_unavailable")
	w.host.down = oidc.ErrInvalidScope()
	w.refused(w.credentials("tool", "read"), http.StatusBadRequest, "invalid_scope")
	w.host.down = nil
	w.granted(w.credentials("tool", "read"))
}

func TestRevocationWaitsForTheBoundary(t *testing.T) {
	down := storetest.FailOn(memory.New(), storetest.Commit, errDown).Set(false)
	w := newWorld(t, func(w *world) { w.store = down })
	token := w.granted(w.credentials("orchestrator", "read")).text("access_token")
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

func TestNoTokenOrSecretIsLogged(t *testing.T) {
	var log bytes.Buffer
	slog.SetDefault(slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	defer slog.SetDefault(slog.New(slog.DiscardHandler))
	down := storetest.FailOn(memory.New(), storetest.Commit, errDown).Set(false)
	w := newWorld(t, func(w *world) { w.store = down })
	first := w.family("read")
	token, refresh := first.text("access_token"), first.text("refresh_token")
	w.revoke("subject:alice")
	w.refused(w.exchange("tool", token, typeAccess, "read"), http.StatusBadRequest, "invalid_request")
	w.refused(w.exchange("tool", token+"x", typeAccess, "read"), http.StatusBadRequest, "invalid_request")
	w.refused(w.refresh("orchestrator", refresh), http.StatusBadRequest, "invalid_grant")
	down.Set(true)
	w.refused(w.credentials("tool", "read"), http.StatusServiceUnavailable, "temporarily_unavailable")
	w.server.Close() // so that nobody writes any more
	require.Contains(t, log.String(), "temporarily_unavailable", "positive control")
	for _, secret := range []string{token, refresh, secretOf("tool"), secretOf("orchestrator")} {
		require.NotContains(t, log.String(), secret)
	}
}

func TestNewIsChecked(t *testing.T) {
	w := newWorld(t)
	server := op.NewLegacyServer(w.provider, *op.DefaultEndpoints)
	for why, try := range map[string]func() (*governed.Server, error){
		"a server with a provider": func() (*governed.Server, error) { return governed.New(nil, w.Governor, governed.Config{Operator: ops}) },
		"a Governor is required":   func() (*governed.Server, error) { return governed.New(server, nil, governed.Config{Operator: ops}) },
		"must be an operator": func() (*governed.Server, error) {
			return governed.New(server, w.Governor, governed.Config{Operator: tb.Client{ID: "x", Kind: tb.KindAgent}})
		},
		`names "refresh_token"`: func() (*governed.Server, error) {
			return governed.New(server, w.Governor, governed.Config{Operator: ops, Undecided: []oidc.GrantType{oidc.GrantTypeRefreshToken}})
		},
		`names ""`: func() (*governed.Server, error) {
			return governed.New(server, w.Governor, governed.Config{Operator: ops, Undecided: []oidc.GrantType{""}})
		},
	} {
		_, err := try()
		require.ErrorContains(t, err, why)
	}
	_, err := governed.New(server, w.Governor, governed.Config{Operator: ops, Undecided: []oidc.GrantType{oidc.GrantTypeCode}})
	require.NoError(t, err)
}
