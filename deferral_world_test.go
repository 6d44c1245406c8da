package tokenboundary_test

import (
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// lead is an operator that agrees to what the leads are asked.
var lead = tb.Client{ID: "console", Kind: tb.KindOperator, Groups: []string{"leads"}, Person: "lena"}

func approvalBy(group string, scopes ...string) lineage.Obligation {
	return lineage.Obligation{Kind: "approval", Scopes: scopes, Args: map[string]string{"by": group}}
}

// obliged returns a policy that grants what another one grants, under obligations.
func obliged(policy func(tb.Facts) tb.Verdict, all ...lineage.Obligation) func(tb.Facts) tb.Verdict {
	return func(f tb.Facts) tb.Verdict {
		v := policy(f)
		v.Obligations = append(v.Obligations, all...)
		return v
	}
}

// approving is a world that mints, and in which the leads must agree to "write".
func approving(w *world) {
	minting(w)
	w.policy = obliged(grantAll, approvalBy("leads", "write"))
}

// denies requires that an error is a refusal with this code and, for the operator, this reason.
func (w *world) denies(err error, code tb.Code, why string) tb.Decision {
	w.Helper()
	var no *tb.DeniedError
	require.ErrorAs(w, err, &no)
	d := no.Decision
	require.Equal(w, code, d.Code, "%+v", d.Reasons)
	require.NotEmpty(w, d.Reasons)
	require.Contains(w, d.Reasons[len(d.Reasons)-1].Why, why)
	return d
}

// waits asks as a client that accepts to wait, and requires that it has to.
func (w *world) waits(req tb.Request) tb.Decision {
	w.Helper()
	req.Deferrable = true
	tok, err := w.Issue(w.ctx, req)
	require.Empty(w, tok.Value())
	var no *tb.DeniedError
	require.ErrorAs(w, err, &no)
	require.Equal(w, tb.CodeAuthorizationPending, no.Decision.Code, "%+v", no.Decision)
	require.NotNil(w, no.Decision.Deferral)
	return no.Decision
}

func polling(client tb.Credential, code string) tb.Request {
	return tb.Request{
		Grant: tb.Deferred, Client: client, Subject: tb.Credential{Type: tb.TypeDeferralCode, Value: code},
	}
}

func (w *world) poll(client string, d tb.Decision) (tb.Token, error) {
	return w.Issue(w.ctx, polling(w.as(client), d.Deferral.Value()))
}

// polled polls and requires a token.
func (w *world) polled(client string, d tb.Decision) tb.Token {
	w.Helper()
	tok, err := w.poll(client, d)
	require.NoError(w, err)
	return tok
}

// stillWaits polls in time and requires that the client has to go on waiting.
func (w *world) stillWaits(client string, d tb.Decision) {
	w.Helper()
	w.clock.Add(5 * time.Second)
	_, err := w.poll(client, d)
	w.denies(err, tb.CodeAuthorizationPending, "not yet")
}

func (w *world) approved(d tb.Decision) tb.Approval {
	w.Helper()
	a, err := w.Approve(w.ctx, lead, d.ID, true)
	require.NoError(w, err)
	return a
}

func (w *world) record(id lineage.ID) lineage.Record {
	w.Helper()
	found, err := w.store.Get(w.ctx, issuer, []lineage.ID{id})
	require.NoError(w, err)
	require.Equal(w, id, found[0].Record.ID())
	return found[0].Record
}
