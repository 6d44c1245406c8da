package tokenboundary

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// Revoke cuts everything that carries the selector, in one write, whatever its number. When it returns without an
// error, nothing cut is active or derivable on any node of the store. By must be an operator.
//
// The result is the entry with what the store made of it: at least its place in the feed, and for a selector that is not
// absolute the moment before which issuance is dead. Both are zero where they could not be read back.
func (g *Governor) Revoke(ctx context.Context, by Client, r lineage.Revocation) (lineage.Revocation, error) {
	if !by.is(KindOperator) {
		return lineage.Revocation{}, g.answer(ctx, by, ErrForbidden)
	}
	if r.Action == lineage.Suspend || r.Action == lineage.Resume || len(r.Reason) > canon.MaxName || r.Check() != nil {
		return lineage.Revocation{}, g.answer(ctx, by, fmt.Errorf("%w: revocation", ErrInvalid))
	}
	base, err := g.epoch(ctx)
	if err != nil {
		return lineage.Revocation{}, err
	}
	r.Seq, r.At, r.By = 0, g.now(), by.ID
	tx := g.tx(r.At)
	tx.Revocations = []lineage.Revocation{r}
	if err := g.change(ctx, by, tx); err != nil {
		return lineage.Revocation{}, err
	}
	if marks, err := g.cfg.Store.Revoked(ctx, g.cfg.Issuer, []lineage.Selector{r.Selector}); err == nil && len(marks) == 1 {
		r.Seq, r.Before = base+marks[0].Seq, marks[0].Before
	}
	return r, nil
}

// change commits a verb's effect together with spending the evidence that its caller was authenticated with. It has no
// effect for a caller that may do nothing any more.
func (g *Governor) change(ctx context.Context, by Client, tx store.Tx) error {
	need := g.standing(by)
	tx.Unrevoked = append(tx.Unrevoked, need)
	if by.proof != nil {
		tx.Swaps = append(tx.Swaps, g.spend(by.proof))
	}
	err := g.commit(ctx, tx)
	var c *store.Conflict
	switch {
	case errors.As(err, &c) && by.proof != nil && c.Key == by.proof.key:
		return ErrUnauthenticated
	case c != nil && c.Mark.Selector == need.Selectors[0] && c.Mark.Kills(need.Since):
		return g.turnAway(ctx, by, g.fallen(by, c.Mark, need.Since))
	case errors.Is(err, store.ErrConflict):
		return fmt.Errorf("%w: the state has changed", ErrConflict)
	}
	return err
}

// turnAway spends the evidence of a caller that is blocked before it is told no.
func (g *Governor) turnAway(ctx context.Context, by Client, no error) error {
	if by.proof == nil || !errors.Is(no, ErrForbidden) {
		return no
	}
	tx := g.tx(g.now())
	tx.Swaps = []store.Swap{g.spend(by.proof)}
	switch err := g.commit(ctx, tx); {
	case errors.Is(err, store.ErrConflict):
		return ErrUnauthenticated
	case err != nil:
		return err
	}
	return no
}

// answer spends the evidence that a verb's caller was authenticated with before it is told no. Who may do nothing any more
// is told that, and not what is there.
func (g *Governor) answer(ctx context.Context, by Client, err error) error {
	final := func(no error) bool { return errors.Is(err, no) }
	if !slices.ContainsFunc([]error{ErrForbidden, ErrInvalid, ErrNotFound, ErrConflict}, final) {
		return err
	}
	var no error
	switch {
	case by.proof != nil:
		no = g.change(ctx, by, g.tx(g.now()))
	case !final(ErrForbidden):
		no = g.stands(ctx, by)
	}
	if no != nil {
		return no
	}
	return err
}

// Retire ends a token at the wish of the client it was issued to, or of an operator (RFC 7009). Retiring a refresh token
// ends its family with every token of it; retiring a task token, or its refresh token, ends the task. A token that is not
// ours, or dead already, is no error; one issued to another client is a *DeniedError (CodeUnauthorizedClient), which is
// recorded, and a caller of another kind ErrForbidden.
func (g *Governor) Retire(ctx context.Context, by Client, raw string) error {
	if !by.Kind.mayGet() && !by.is(KindOperator) || by.ID == "" {
		return g.answer(ctx, by, ErrForbidden)
	}
	tx := g.tx(g.now())
	e, err := g.own(ctx, raw)
	if err != nil && !errors.Is(err, ErrUnavailable) {
		e, _, err = g.familyOf(ctx, raw)
	}
	switch {
	case errors.Is(err, ErrUnavailable):
		return err
	case err != nil: // nothing of ours: only the evidence is spent
		return g.change(ctx, by, tx)
	case e.Record.Body.Client != by.ID && !by.is(KindOperator):
		return g.answer(ctx, by, g.notIts(ctx, by, e))
	}
	if t := e.Record.Body.Task; t != nil && t.Authority != nil {
		_, err := g.SetTask(ctx, by, t.ID, TaskRevoked)
		return err
	}
	if s := stateOf(e, tx.Time); s == lineage.Revoked || s == lineage.Expired {
		return g.change(ctx, by, tx)
	}
	tx.Revocations = []lineage.Revocation{{
		Selector: lineage.Selector{Kind: lineage.SelectToken, Value: e.Record.ID().String()}, At: tx.Time, By: by.ID,
	}}
	return g.change(ctx, by, tx)
}

// notIts records that a client wanted to retire a token that was issued to another one.
func (g *Governor) notIts(ctx context.Context, by Client, e store.Entry) error {
	if err := g.stands(ctx, by); err != nil {
		return err
	}
	b, now := e.Record.Body, g.now()
	h := &hop{
		g: g, now: now, since: now, client: by, parent: &e, subject: b.Subject, session: b.Session, chain: b.Actors,
		connection: b.Connection,
	}
	if by.proof != nil {
		h.proofs = []*proof{by.proof}
	}
	d, err := h.deny(ctx, &refusal{
		code: CodeUnauthorizedClient, param: "token", why: "it may not be retired: issued to another client",
	})
	if err != nil {
		return err
	}
	return &DeniedError{d}
}
