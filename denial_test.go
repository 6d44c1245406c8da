package tokenboundary_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

func TestIdenticalDenialsAreOneRecordWithACount(t *testing.T) {
	w := newWorld(t)
	req := w.exchange("orchestrator", w.human("alice"), crm, "read")
	req.Connection = "elsewhere"
	first := w.refused(req, tb.CodeInvalidTarget, "not a connection of this client")
	for range 4 {
		require.Equal(t, first.ID, w.refused(req, tb.CodeInvalidTarget, "not a connection").ID)
	}
	heads, err := w.store.Heads(w.ctx, issuer, []string{"token:" + first.ID.String()})
	require.NoError(t, err)
	require.EqualValues(t, 4, heads[0].Count, "repeats after the first")
	w.clock.Add(time.Minute)
	require.NotEqual(t, first.ID, w.refused(req, tb.CodeInvalidTarget, "not a connection").ID)
	require.Equal(t, lineage.Denied, w.state(first.ID))
}

func TestAboveTheRateDenialsAreOnlyCountedAndStillRefused(t *testing.T) {
	var log bytes.Buffer
	w := newWorld(t, func(w *world) {
		w.cfg.DenialRate = 5
		w.cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	recorded := 0
	for i := range 20 {
		req := w.exchange("orchestrator", w.human("alice"), crm, "read")
		req.Connection = fmt.Sprint("c", i)
		req.Enforce = everything
		d, err := w.Decide(w.ctx, req)
		require.NoError(t, err)
		require.Equal(t, tb.CodeInvalidTarget, d.Code)
		if !d.ID.IsZero() {
			recorded++
		}
	}
	require.Equal(t, 5, recorded)
	require.Equal(t, 1, bytes.Count(log.Bytes(), []byte("only counted")))
	w.granted(w.exchange("orchestrator", w.human("alice"), crm, "read"))
}

func TestStrangersAreCountedAndNotStored(t *testing.T) {
	w := newWorld(t)
	for _, cred := range []tb.Credential{
		{}, {Type: tb.TypeClientSecret, ID: "tool", Value: "guess"}, w.as("nobody"),
		{Type: "host", ID: "ops", Verified: w.as("tool").Verified},
	} {
		_, err := w.Decide(w.ctx, tb.Request{Grant: tb.ClientCredentials, Client: cred})
		require.ErrorIs(t, err, tb.ErrUnauthenticated)
	}
	h := w.Health(w.ctx)
	require.True(t, h.Ready)
	require.EqualValues(t, 4, h.Unauthenticated)
	recorded := func() (n int) {
		for _, client := range []string{"nobody", "tool", "ops"} {
			for _, err := range w.store.Scan(w.ctx, issuer, lineage.Selector{Kind: "client", Value: client}, store.Position{}) {
				require.NoError(t, err)
				n++
			}
		}
		return n
	}
	require.Zero(t, recorded())
	req := w.exchange("tool", w.human("alice"), crm, "read")
	req.Connection = "elsewhere"
	w.refused(req, tb.CodeInvalidTarget, "not a connection")
	require.Equal(t, 1, recorded(), "positive control: the refusal of a client is")
}

func TestSingleUseEvidenceIsSpentOnceWhateverTheAnswer(t *testing.T) {
	w := newWorld(t)
	assertion := func(jti string) tb.Credential {
		c := w.as("tool")
		c.Verified.Once, c.Verified.Issued, c.Verified.Expires = jti, w.clock.Now(), w.clock.Now().Add(time.Minute)
		return c
	}
	req := tb.Request{Grant: tb.ClientCredentials, Client: assertion("a"), Resource: []string{crm}, Scopes: []string{"read"}}
	w.granted(req)
	d, err := w.Decide(w.ctx, tb.Request{Grant: req.Grant, Client: req.Client, Resource: req.Resource, Scopes: req.Scopes,
		Enforce: everything &^ tb.CapRecord})
	require.ErrorIs(t, err, tb.ErrUnauthenticated, "spent by an allow: %+v", d)

	req.Client, req.Connection = assertion("b"), "elsewhere"
	w.refused(req, tb.CodeInvalidTarget, "not a connection")
	_, err = w.Decide(w.ctx, req)
	require.ErrorIs(t, err, tb.ErrUnauthenticated, "spent by a denial")
	w.restart()
	_, err = w.Decide(w.ctx, req)
	require.ErrorIs(t, err, tb.ErrUnauthenticated, "spent after a restart too")

	by, err := w.Authenticate(w.ctx, assertion("c"))
	require.NoError(t, err)
	_, err = w.Task(w.ctx, by, lineage.ID{1})
	require.ErrorIs(t, err, tb.ErrNotFound, "a read does not spend")
	require.NoError(t, w.Retire(w.ctx, by, "no token of ours"))
	require.ErrorIs(t, w.Retire(w.ctx, by, "no token of ours"), tb.ErrUnauthenticated)
	w.clock.Add(61 * time.Second)
	_, err = w.Task(w.ctx, by, lineage.ID{1})
	require.ErrorIs(t, err, tb.ErrUnauthenticated, "on a read an assertion is good for a minute")
}

func TestZeroValuesDeny(t *testing.T) {
	w := newWorld(t)
	w.clients["zero"] = tb.Client{ID: "zero"}
	w.clients["kindless"] = tb.Client{ID: "kindless", Grants: []tb.Grant{tb.ClientCredentials}, Connections: []string{"prod"}}
	w.clients["grantless"] = tb.Client{ID: "grantless", Kind: tb.KindAgent, Connections: []string{"prod"}}
	w.clients["connectionless"] = tb.Client{ID: "connectionless", Kind: tb.KindAgent, Grants: []tb.Grant{tb.ClientCredentials}}
	cc := func(id string) tb.Request {
		return tb.Request{Grant: tb.ClientCredentials, Client: w.as(id), Resource: []string{crm}, Scopes: []string{"read"}}
	}
	w.granted(cc("tool")) // positive control
	for _, id := range []string{"zero", "kindless", "grantless", "ops", "crm"} {
		w.refused(cc(id), tb.CodeUnauthorizedClient, "may not use this grant")
	}
	w.refused(cc("connectionless"), tb.CodeInvalidTarget, "not a connection")
	req := cc("tool")
	req.Grant = ""
	w.refused(req, tb.CodeUnauthorizedClient, "may not use this grant")

	anonymous := w.human("alice")
	anonymous.Verified.Identity = false
	w.refused(w.exchange("tool", anonymous, crm, "read"), tb.CodeInvalidRequest, "its authority is unknown")
	anonymous.Verified.Authority = &lineage.Authority{Depth: 1}
	w.refused(w.exchange("tool", anonymous, crm, "read"), tb.CodeInvalidTarget, "outside what it is made from")

	grant := w.policy
	for name, f := range map[string]func(*tb.Verdict){
		"zero verdict": func(v *tb.Verdict) { *v = tb.Verdict{} },
		"no depth":     func(v *tb.Verdict) { v.Depth = 0 },
		"no access":    func(v *tb.Verdict) { v.Access = nil },
	} {
		w.policy = func(x tb.Facts) tb.Verdict { v := grant(x); f(&v); return v }
		d, err := w.Decide(w.ctx, w.exchange("tool", w.human("alice"), crm, "read"))
		require.NoError(t, err, name)
		require.Equal(t, tb.Deny, d.Effect, name)
	}
	for name, f := range map[string]func(*tb.Verdict){
		"wider":       func(v *tb.Verdict) { v.Access[0].Scopes = append(v.Access[0].Scopes, "admin") },
		"elsewhere":   func(v *tb.Verdict) { v.Access[0].Resource = mail },
		"no path":     func(v *tb.Verdict) { v.Path = "" },
		"no lifetime": func(v *tb.Verdict) { v.Lifetime = 0 },
	} {
		w.policy = func(x tb.Facts) tb.Verdict { v := grant(x); f(&v); return v }
		_, err := w.Decide(w.ctx, w.exchange("tool", w.human("alice"), crm, "read"))
		require.ErrorIs(t, err, tb.ErrUnavailable, "%s: a verdict beyond the ceiling is a defect", name)
	}
}

func TestADenialTooLargeToRecordWholeIsRecordedAllTheSame(t *testing.T) {
	w := newWorld(t)
	req := tb.Request{Grant: tb.ClientCredentials, Client: w.as("tool"), Enforce: everything}
	for i := range 16 {
		req.Resource = append(req.Resource, fmt.Sprintf("https://r%d.example.com/%0200d", i, i))
	}
	for i := range 128 {
		req.Scopes = append(req.Scopes, fmt.Sprintf("s%0200d", i))
	}
	d := w.refused(req, tb.CodeInvalidRequest, "the record would be too large")
	require.Greater(t, len(d.Reasons), 2000)
	nodes, err := w.Lineage(w.ctx, ops, d.ID)
	require.NoError(t, err)
	require.Len(t, nodes[0].Record.Body.Reasons, 1)
}
