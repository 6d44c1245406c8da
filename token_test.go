package tokenboundary_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

func TestOfATokenOnlySignatureAndIDAreBelieved(t *testing.T) {
	w := newWorld(t, minting)
	tok := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	other := w.issued(w.exchange("orchestrator", w.human("bob"), mail, "read"))
	good, err := w.cfg.Minter.Verify(w.ctx, tok.Value())
	require.NoError(t, err)
	resign := func(change func(*tb.Claims)) tb.Credential {
		c := good
		change(&c)
		raw, err := w.cfg.Minter.Mint(w.ctx, c)
		require.NoError(t, err)
		return tb.Credential{Type: tb.TypeAccessToken, Value: raw}
	}
	same := resign(func(*tb.Claims) {})
	s, err := w.Introspect(w.ctx, w.client("crm"), same.Value)
	require.NoError(t, err)
	require.True(t, s.Active, "positive control: the same claims, signed again")
	require.Equal(t, good, s.Claims)

	for name, change := range map[string]func(*tb.Claims){
		"wider scope":   func(c *tb.Claims) { c.Scope = "read write" },
		"other subject": func(c *tb.Claims) { c.Subject = "bob" },
		"other target":  func(c *tb.Claims) { c.Audience = tb.Audience{mail} },
		"longer life":   func(c *tb.Claims) { c.ExpiresAt += 60 },
		"other client":  func(c *tb.Claims) { c.ClientID = "tool" },
		"no actor":      func(c *tb.Claims) { c.Act = nil },
		"no session":    func(c *tb.Claims) { c.SessionID = "" },
		"raised acr":    func(c *tb.Claims) { c.ACR = "aal3" },
		"a task":        func(c *tb.Claims) { c.Task = &tb.TaskClaim{ID: c.ID, Purpose: "x"} },
		"other lineage": func(c *tb.Claims) { c.Lineage = []string{other.ID.String()} },
		"other record":  func(c *tb.Claims) { c.ID = other.ID.String() },
		"no record":     func(c *tb.Claims) { c.ID = lineage.IDOf([]byte("none")).String() },
	} {
		forged := resign(change)
		s, err := w.Introspect(w.ctx, ops, forged.Value)
		require.NoError(t, err)
		require.Equal(t, tb.State{}, s, name)
		why := "the token differs from its record"
		if name == "no record" {
			why = "not found"
		}
		w.refused(w.exchange("orchestrator", forged, crm, "read"), tb.CodeInvalidRequest, why)
	}
	for _, by := range []string{"crm", "ops"} {
		s, err := w.Introspect(w.ctx, w.client(by), other.Value())
		require.NoError(t, err)
		require.Equal(t, by == "ops", s.Active, "to a resource, a token for another one is inactive")
	}
	_, err = w.Introspect(w.ctx, w.client("tool"), tok.Value())
	require.ErrorIs(t, err, tb.ErrForbidden)
	w.clock.Add(5 * time.Minute)
	s, err = w.Introspect(w.ctx, ops, tok.Value())
	require.NoError(t, err)
	require.False(t, s.Active, "expired")
}

func TestWhatHoldsACredentialHidesIt(t *testing.T) {
	w := newWorld(t, minting)
	tok := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	for _, v := range []any{tok, &tok, bearer(tok), tb.Request{Subject: bearer(tok), Actor: bearer(tok), Client: bearer(tok)}} {
		var out bytes.Buffer
		fmt.Fprintf(&out, "%v %+v %#v %s", v, v, v, v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
		raw, err := json.Marshal(v)
		require.NoError(t, err)
		out.Write(raw)
		require.NotContains(t, out.String(), tok.Value(), "%T", v)
	}
	require.Contains(t, tok.Value(), ".", "positive control: there is something to hide")
}

func TestATokenIsRetiredByTheClientItWasIssuedTo(t *testing.T) {
	w := newWorld(t, minting)
	active := func(tok tb.Token) bool {
		s, err := w.Introspect(w.ctx, ops, tok.Value())
		require.NoError(t, err)
		return s.Active
	}
	tok := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	derived := w.issued(w.exchange("researcher", bearer(tok), crm, "read"))
	var denied *tb.DeniedError
	require.ErrorAs(t, w.Retire(w.ctx, w.client("researcher"), tok.Value()), &denied)
	require.Equal(t, tb.CodeUnauthorizedClient, denied.Decision.Code)
	require.ErrorIs(t, w.Retire(w.ctx, w.client("crm"), tok.Value()), tb.ErrForbidden)
	require.NoError(t, w.Retire(w.ctx, w.client("orchestrator"), "no.such.token"))
	require.True(t, active(tok) && active(derived))

	require.NoError(t, w.Retire(w.ctx, w.client("orchestrator"), tok.Value()))
	require.False(t, active(tok) || active(derived))

	req := w.exchange("orchestrator", w.human("alice"), crm, "read")
	req.Task = &tb.TaskSpec{Purpose: "work"}
	task := w.issued(req)
	derived = w.issued(w.exchange("researcher", bearer(task), crm, "read"))
	require.NoError(t, w.Retire(w.ctx, ops, task.Value()))
	got, err := w.Task(w.ctx, ops, task.TaskID)
	require.NoError(t, err)
	require.Equal(t, tb.TaskRevoked, got.State, "retiring a task token ends the task")
	require.False(t, active(derived))
}
