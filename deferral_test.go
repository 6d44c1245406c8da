package tokenboundary_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store/bolt"
)

func TestNothingWaitsForAClientThatDoesNotAcceptIt(t *testing.T) {
	w := newWorld(t, approving)
	tok := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "read", "write"))
	require.Equal(t, []string{"read"}, tok.Scopes, "what must be approved is dropped")
	var why []string
	for _, r := range w.record(tok.ID).Body.Reasons {
		if r.Scope == "write" {
			require.False(t, r.Granted)
			why = append(why, r.Why)
		}
	}
	require.Equal(t, []string{"an obligation is not met: approval"}, why)

	_, err := w.Issue(w.ctx, w.exchange("orchestrator", w.human("alice"), crm, "write"))
	d := w.denies(err, tb.CodeInvalidScope, "nothing is left")
	require.Nil(t, d.Deferral)
	require.Equal(t, []lineage.Obligation{approvalBy("leads", "write")}, d.Obligations)
	open, err := w.Approvals(w.ctx, lead)
	require.NoError(t, err)
	require.Empty(t, open)

	w.waits(w.exchange("orchestrator", w.human("alice"), crm, "write"))
	open, err = w.Approvals(w.ctx, lead)
	require.NoError(t, err)
	require.Len(t, open, 1, "positive control")

	req := w.exchange("orchestrator", w.human("alice"), crm, "read")
	req.Deferrable = true
	require.Equal(t, []string{"read"}, w.issued(req).Scopes, "what need not be approved does not wait")
	w.policy = obliged(grantAll, lineage.Obligation{Kind: "approval", Scopes: []string{"read"}}, lineage.Obligation{Kind: "prayer", Scopes: []string{"read"}})
	_, err = w.Issue(w.ctx, req)
	w.denies(err, tb.CodeInvalidScope, "nothing is left") // nobody could ever meet either of them
}

func TestADeferralCodeIsASecretThatTheStoreDoesNotKnow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s, err := bolt.Open(path)
	require.NoError(t, err)
	w := newWorld(t, approving, func(w *world) { w.store = s })
	d := w.waits(w.exchange("orchestrator", w.human("alice"), crm, "write"))
	code := d.Deferral.Value()
	raw, err := base64.RawURLEncoding.DecodeString(code[len("tbd_"):])
	require.NoError(t, err)
	require.Equal(t, d.ID[:], raw[:32], "the record's id, which is no secret")
	secret := raw[32:]
	require.GreaterOrEqual(t, len(secret)*8, 128)
	other := w.waits(w.exchange("orchestrator", w.human("alice"), crm, "write"))
	require.NotEqual(t, code, other.Deferral.Value())

	for _, v := range []any{d, *d.Deferral, d.Deferral, tb.Request{Subject: tb.Credential{Type: tb.TypeDeferralCode, Value: code}}} {
		plain, err := json.Marshal(v)
		require.NoError(t, err)
		require.NotContains(t, fmt.Sprintf("%s %v %+v %#v", plain, v, v, v), code)
	}
	w.stillWaits("orchestrator", d)
	w.approved(d)
	w.polled("orchestrator", d)
	require.NoError(t, s.Close())
	dump, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(dump), d.ID.String(), "positive control")
	for _, form := range []string{
		code, string(secret), base64.RawURLEncoding.EncodeToString(secret), base64.StdEncoding.EncodeToString(secret), fmt.Sprintf("%x", secret),
	} {
		require.NotContains(t, string(dump), form)
	}
}

// TestPollingTooFastSlowsDownForGood: RFC 8628, section 3.5: five seconds more, for this and all later polls.
func TestPollingTooFastSlowsDownForGood(t *testing.T) {
	w := newWorld(t, approving)
	d := w.waits(w.exchange("orchestrator", w.human("alice"), crm, "write"))
	require.Equal(t, 5*time.Second, d.Deferral.Interval)
	require.Equal(t, 10*time.Minute, d.Deferral.ExpiresIn)
	left := d.Deferral.ExpiresIn
	for i, step := range []struct {
		after    time.Duration
		code     tb.Code
		interval time.Duration
	}{
		{0, tb.CodeAuthorizationPending, 5 * time.Second},
		{5 * time.Second, tb.CodeAuthorizationPending, 5 * time.Second},
		{5*time.Second - time.Millisecond, tb.CodeSlowDown, 10 * time.Second},
		{5 * time.Second, tb.CodeSlowDown, 15 * time.Second},
		{15*time.Second - time.Millisecond, tb.CodeSlowDown, 20 * time.Second},
		{20 * time.Second, tb.CodeAuthorizationPending, 20 * time.Second},
		{20 * time.Second, tb.CodeAuthorizationPending, 20 * time.Second},
		{0, tb.CodeSlowDown, 25 * time.Second},
	} {
		w.clock.Add(step.after)
		left -= step.after
		if i == 4 {
			w.restart() // the pace is kept where every node sees it
		}
		_, err := w.poll("orchestrator", d)
		no := w.denies(err, step.code, "not yet")
		require.Equal(t, step.interval, no.Deferral.Interval, "step %d", i)
		require.Equal(t, left, no.Deferral.ExpiresIn, "step %d", i)
		require.Empty(t, no.Deferral.Value(), "the code is told once")
	}
	w.approved(d)
	tok := w.polled("orchestrator", d) // at once: there is nothing to wait for
	require.Equal(t, []string{"write"}, tok.Scopes)
	_, err := w.poll("orchestrator", d)
	w.denies(err, tb.CodeInvalidGrant, "answered with a token already")
}

func TestADeferredRequestThatIsRefusedOrLapsesGivesNothing(t *testing.T) {
	w := newWorld(t, approving)
	refused, late := w.waits(w.exchange("orchestrator", w.human("alice"), crm, "write")), w.waits(w.exchange("orchestrator", w.human("bob"), crm, "write"))
	agreed := w.waits(w.exchange("orchestrator", w.human("carol"), crm, "write"))
	_, err := w.Approve(w.ctx, lead, refused.ID, false)
	require.NoError(t, err)
	w.approved(agreed)
	for range 2 {
		_, err = w.poll("orchestrator", refused)
		no := w.denies(err, tb.CodeAccessDenied, "refused by console")
		require.Equal(t, lineage.KindDenial, w.record(no.ID).Kind, "recorded")
	}
	w.clock.Add(10*time.Minute - time.Millisecond)
	_, err = w.poll("orchestrator", late)
	w.denies(err, tb.CodeAuthorizationPending, "not yet") // positive control
	w.clock.Add(time.Millisecond)
	for _, d := range []tb.Decision{late, agreed} {
		_, err = w.poll("orchestrator", d)
		w.denies(err, tb.CodeExpiredToken, "nobody agreed in time")
		_, err = w.Approve(w.ctx, lead, d.ID, true)
		require.ErrorIs(t, err, tb.ErrConflict)
	}
	w.clock.Add(time.Hour)
	_, err = w.poll("orchestrator", agreed)
	require.ErrorIs(t, err, tb.ErrDenied)
}

func TestADeferralCodeIsGoodForItsClientOnly(t *testing.T) {
	w := newWorld(t, approving)
	d := w.waits(w.exchange("orchestrator", w.human("alice"), crm, "write"))
	other := w.waits(w.exchange("orchestrator", w.human("bob"), crm, "write"))
	w.approved(d)
	code := d.Deferral.Value()
	_, err := w.poll("researcher", d)
	w.denies(err, tb.CodeInvalidGrant, "issued to another client")
	raw, err := base64.RawURLEncoding.DecodeString(code[len("tbd_"):])
	require.NoError(t, err)
	encode := func(raw ...byte) string { return "tbd_" + base64.RawURLEncoding.EncodeToString(raw) }
	wrong := append([]byte{}, raw...)
	wrong[len(wrong)-1] ^= 1
	unknown := append([]byte{}, raw...)
	unknown[0] ^= 1
	swapped := append(append([]byte{}, other.ID[:]...), raw[32:]...)
	for name, c := range map[string]tb.Credential{
		"wrong secret":       {Type: tb.TypeDeferralCode, Value: encode(wrong...)},
		"unknown record":     {Type: tb.TypeDeferralCode, Value: encode(unknown...)},
		"another's record":   {Type: tb.TypeDeferralCode, Value: encode(swapped...)},
		"no record":          {Type: tb.TypeDeferralCode, Value: encode(make([]byte, 64)...)},
		"longer":             {Type: tb.TypeDeferralCode, Value: code + "A"},
		"shorter":            {Type: tb.TypeDeferralCode, Value: code[:len(code)-1]},
		"another spelling":   {Type: tb.TypeDeferralCode, Value: code[:len(code)-1] + string(code[len(code)-1]+1)},
		"another prefix":     {Type: tb.TypeDeferralCode, Value: "tbr_" + code[4:]},
		"prefix only":        {Type: tb.TypeDeferralCode, Value: "tbd_"},
		"empty":              {Type: tb.TypeDeferralCode},
		"nothing":            {},
		"of another type":    {Type: tb.TypeRefreshToken, Value: code},
		"verified elsewhere": {Type: tb.TypeDeferralCode, Value: code, Verified: &tb.Principal{Party: lineage.Party{ID: "alice"}, Lineage: d.ID}},
	} {
		_, err := w.Issue(w.ctx, tb.Request{Grant: tb.Deferred, Client: w.as("orchestrator"), Subject: c})
		no := w.denies(err, tb.CodeInvalidGrant, "not a deferral code of this boundary")
		require.Equal(t, "deferral_code", no.Parameter, name)
	}
	for name, change := range map[string]func(*tb.Request){
		"scope":      func(r *tb.Request) { r.Scopes = []string{"write"} },
		"resource":   func(r *tb.Request) { r.Resource = []string{crm} },
		"connection": func(r *tb.Request) { r.Connection = "prod" },
		"a task":     func(r *tb.Request) { r.Task = &tb.TaskSpec{Purpose: "work"} },
		"an actor":   func(r *tb.Request) { r.Actor = w.outside(alias("orchestrator")) },
		"to wait":    func(r *tb.Request) { r.Deferrable = true },
	} {
		req := polling(w.as("orchestrator"), code)
		change(&req)
		_, err := w.Issue(w.ctx, req)
		require.Empty(t, w.denies(err, tb.CodeInvalidRequest, "a poll asks for nothing but the answer").Parameter, name)
	}
	_, err = w.Issue(w.ctx, w.exchange("orchestrator", tb.Credential{Type: tb.TypeDeferralCode, Value: code}, crm, "read"))
	w.denies(err, tb.CodeInvalidRequest, "no token")

	c := w.clients["orchestrator"]
	w.clients["orchestrator"] = tb.Client{ID: c.ID, Kind: c.Kind, Connections: c.Connections, Grants: []tb.Grant{tb.ClientCredentials}}
	_, err = w.poll("orchestrator", d)
	w.denies(err, tb.CodeUnauthorizedClient, "may not use this grant any more")
	w.clients["orchestrator"] = c
	require.Equal(t, []string{"write"}, w.polled("orchestrator", d).Scopes, "nothing of this has used it up")
}
