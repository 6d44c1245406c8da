package tokenboundary_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

func TestWhatAHostSaysOfItsOwnTokenCounts(t *testing.T) {
	w := newWorld(t)
	one := w.granted(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	cred := host(one)
	only := party("orchestrator", issuer)
	cred.Verified.MayAct = &only
	w.refused(w.exchange("researcher", cred, crm, "read"), tb.CodeInvalidRequest, "may_act names another party")

	cred = host(one)
	cred.Verified.Once, cred.Verified.Expires = "x", w.clock.Now().Add(time.Minute)
	w.granted(w.exchange("researcher", cred, crm, "read"))
	w.clock.Add(time.Second)
	req := w.exchange("researcher", cred, crm, "read")
	req.Enforce = everything &^ tb.CapRecord
	d, err := w.Decide(w.ctx, req)
	require.NoError(t, err)
	require.Contains(t, d.Reasons[len(d.Reasons)-1].Why, "used before")

	cred = host(one)
	cred.Verified.Expires = w.clock.Now().Add(-time.Minute)
	w.refused(w.exchange("researcher", cred, crm, "read"), tb.CodeInvalidRequest, "expired")
	w.granted(w.exchange("researcher", host(one), crm, "read"))
}

func TestASingleUseCredentialStandsOnceInARequest(t *testing.T) {
	w := newWorld(t)
	cred := w.outside(alias("tool"))
	cred.Verified.Once = "x"
	req := w.exchange("tool", cred, crm, "read")
	req.Actor = cred
	w.refused(req, tb.CodeInvalidRequest, "stands twice")
	req.Actor = tb.Credential{}
	req.Enforce = everything &^ tb.CapRecord
	d, err := w.Decide(w.ctx, req)
	require.NoError(t, err)
	require.Contains(t, d.Reasons[len(d.Reasons)-1].Why, "used before", "it was answered, and so it is spent")
}

func TestADenialThatCannotBeSealedSpendsAllTheSame(t *testing.T) {
	for _, path := range []string{"/agents/tool", "no-slash"} {
		w := newWorld(t)
		w.policy = func(tb.Facts) tb.Verdict { return tb.Verdict{Effect: tb.Deny, Path: path} }
		cred := w.once("tool", "a")
		d, err := w.Decide(w.ctx, asked(cred))
		require.NoError(t, err)
		require.Equal(t, tb.CodeInvalidTarget, d.Code)
		require.Equal(t, path == "no-slash", d.ID.IsZero())
		w.spent(cred)
	}
}

func TestAnUndatedAssertionOfALongLifeIsOfAnyAge(t *testing.T) {
	w := newWorld(t)
	old := w.once("tool", "a")
	old.Verified.Issued, old.Verified.Expires = time.Time{}, w.clock.Now().Add(time.Hour)
	w.clock.Add(30 * time.Second)
	w.revoke("client:tool", lineage.Cut)
	w.clock.Add(30 * time.Second)
	w.refused(asked(old), tb.CodeInvalidRequest, "revoked: client")
	w.granted(asked(w.once("tool", "b")))
}

func TestAClientIsInAChainOnceUnderAnyOfItsNames(t *testing.T) {
	w := newWorld(t)
	c := w.clients["tool"]
	c.Actors = append(c.Actors, "spiffe://acme.example/tool/*")
	w.clients["tool"] = c
	other := party("spiffe://acme.example/tool/b", "spiffe://acme.example")
	req := w.exchange("tool", w.outside(party("alice", idp), party("mid", idp), other), crm, "read")
	w.refused(req, tb.CodeInvalidRequest, "deeper in the chain")
	req.Actor = w.outside(alias("tool"))
	w.refused(req, tb.CodeInvalidRequest, "deeper in the chain")
	w.granted(w.exchange("tool", w.outside(party("alice", idp), party("mid", idp)), crm, "read"))
}

func TestWhatASourceSaysIsLoggedWithoutTheCredential(t *testing.T) {
	var log bytes.Buffer
	w := newWorld(t, func(w *world) {
		w.cfg.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		w.cfg.Identities = []tb.IdentitySource{tb.IdentityFunc(func(_ context.Context, c tb.Credential) (tb.Principal, error) {
			return tb.Principal{}, errors.New("bad credential " + c.Value)
		})}
	})
	_, err := w.Authenticate(w.ctx, tb.Credential{Type: tb.TypeClientSecret, ID: "tool", Value: "canary-secret"})
	require.ErrorIs(t, err, tb.ErrUnauthenticated)
	require.Contains(t, log.String(), "bad credential", "positive control")
	require.NotContains(t, log.String(), "canary-secret")
}
