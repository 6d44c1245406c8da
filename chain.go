package tokenboundary

import (
	"context"
	"slices"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// extend is the third step: it builds the actor chain. The new actor is outermost, earlier actors are kept unchanged.
// Nothing outside replaces it; Config.Chain can only refuse.
func (h *hop) extend(ctx context.Context) error {
	no := func(why string) error { return refuse(CodeInvalidRequest, "subject_token", why) }
	h.chain = h.carried
	actor := Principal{Party: h.g.party(h.client)}
	if h.actor != nil {
		actor = *h.actor
	}
	if h.ownToken(actor.Party) {
		return h.ancestors()
	}
	switch {
	case !h.mayActAllows(actor.Party):
		return no("may_act names another party")
	case h.loops(actor.Party):
		return no("the actor stands deeper in the chain already")
	case h.ceiling != nil && h.ceiling.Depth < 1:
		return no("the chain may not grow")
	case len(h.chain) >= canon.MaxChain:
		return no("the chain is too long")
	}
	if h.g.cfg.Chain != nil {
		if err := h.g.cfg.Chain.Extend(ctx, slices.Clone(h.chain), actor); err != nil {
			return no("chain rule: " + err.Error())
		}
	}
	h.chain = append([]lineage.Party{actor.Party}, h.carried...)
	return h.ancestors()
}

// ownToken reports whether whoever acts now is already the one who acts: then no entry is added.
func (h *hop) ownToken(actor lineage.Party) bool {
	current := h.subject
	if len(h.carried) > 0 {
		current = h.carried[0]
	}
	switch {
	case h.req.Grant != Exchange, actor.Same(current): // a refresh and a poll keep the chain as it is
		return true
	case h.actor != nil:
		return false
	case h.parent != nil: // the client itself, with a token issued to it
		return h.parent.Record.Body.Client == h.client.ID
	}
	return len(h.carried) == 0 && h.client.presents(h.subject.ID) // the client, with its own outside identity
}

// mayActAllows applies may_act (RFC 8693, section 4.4), which restricts and never grants. The party named is the actor,
// or the client that the actor is bound to.
func (h *hop) mayActAllows(actor lineage.Party) bool {
	m := h.mayAct
	if m == nil {
		return true
	}
	fits := func(p lineage.Party) bool { return m.ID == p.ID && (m.Issuer == "" || m.Issuer == p.Issuer) }
	return fits(actor) || fits(h.g.party(h.client))
}

// loops reports whether the actor, or the client it is bound to, has held this authority before and handed it on.
func (h *hop) loops(actor lineage.Party) bool {
	if actor.Same(h.subject) || slices.ContainsFunc(h.carried, actor.Same) {
		return true
	}
	if h.parent != nil && h.parent.Record.Body.Client == h.client.ID {
		return false
	}
	alias := func(p lineage.Party) bool { return h.client.presents(p.ID) }
	if h.actor == nil && alias(h.subject) || slices.ContainsFunc(h.carried, alias) {
		return true
	}
	if h.parent == nil {
		return false
	}
	return slices.Contains(h.parent.Record.Selectors(), lineage.Selector{Kind: lineage.SelectClient, Value: h.client.ID})
}

// depth returns how many records the result stands under, without a refresh family that begins.
func (h *hop) depth() int {
	n := 0
	if h.parent != nil {
		n = len(h.parent.Record.Ancestors) + 1
	}
	if h.req.Task != nil {
		n++
	}
	return n
}

// ancestors bounds the chain of records, which grows at every hop, whether or not an actor joins.
func (h *hop) ancestors() error {
	if h.depth() > canon.MaxChain {
		return refuse(CodeInvalidRequest, "subject_token", "too many ancestors")
	}
	return nil
}
