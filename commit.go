package tokenboundary

import (
	"context"
	"errors"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// unblocked is the last step before the commit: nothing that the result carries may be revoked as of its evidence. The
// commit of a token has that as its own condition, so it is asked only after one that failed, to say with the right code
// what stood in its way. A decision for a host asks at once: its commit comes later. A client that was refused a moment
// ago is asked about first too, so that nobody makes the signer work for nothing.
func (h *hop) unblocked(ctx context.Context) error {
	if h.mints && !h.again && len(h.wants) == 0 && !h.g.denials.recent(h.client.ID, h.now) {
		return nil
	}
	checks := h.conditions()
	var sels []lineage.Selector
	for _, c := range checks {
		sels = append(sels, c.Selectors...)
	}
	marks, err := h.g.cfg.Store.Revoked(ctx, h.g.cfg.Issuer, lineage.Union(sels))
	if err != nil {
		return unavailable("store", err)
	}
	for _, m := range marks {
		for _, c := range checks {
			for _, s := range c.Selectors {
				if s == m.Selector && m.Kills(c.Since) {
					return h.dead(m, c.Since)
				}
			}
		}
	}
	return nil
}

// dead says how a mark on something of this request is answered: a block by the code of what is blocked, a cut as a token
// that is not acceptable.
func (h *hop) dead(m lineage.Mark, since time.Time) error {
	// Evidence tells its age in seconds.
	cut := m.Before.Add(-h.g.cfg.Lifetimes.ClockLeeway).Truncate(time.Second)
	if !m.Cut && !m.Blocked && !since.Before(cut) && h.now.Before(m.Before) {
		// It was cut a moment ago, clocks may differ, and nothing could tell the new from the old.
		return &UnavailableError{m.Before.Sub(h.now) + time.Second, errors.New("just revoked: " + m.Selector.Kind)}
	}
	if m.Selector.Kind == lineage.SelectKey && m.Selector.Value == h.records[len(h.records)-1].Body.Key {
		return &UnavailableError{time.Second, errors.New("the signing key was just revoked")}
	}
	why := "revoked: " + m.Selector.Kind
	switch m.Selector.Kind {
	case lineage.SelectClient:
		if m.Blocked && m.Selector.Value == h.client.ID {
			return refuse(CodeUnauthorizedClient, "client_id", why)
		}
	case lineage.SelectConnection, lineage.SelectPath:
		if m.Blocked {
			return refuse(CodeInvalidTarget, "resource", why)
		}
	}
	return h.unacceptable(why)
}

// commit writes the hop's transaction and says what a conflict means for it.
func (h *hop) commit(ctx context.Context, tx store.Tx) error {
	return h.meaning(h.g.commit(ctx, tx))
}

// meaning returns what the outcome of a commit means for the hop.
func (h *hop) meaning(err error) error {
	if err == nil {
		return nil
	}
	var c *store.Conflict
	if !errors.As(err, &c) {
		if errors.Is(err, store.ErrConflict) {
			return errStale
		}
		return err
	}
	if c.Full {
		if h.grant == Leased {
			return h.unacceptable("no lease of the connection is left")
		}
		return h.unacceptable(whySpent)
	}
	for _, p := range h.proofs {
		if p.key == c.Key {
			switch {
			case h.client.proof == p:
				return ErrUnauthenticated
			case p.possession:
				return refuse(CodeInvalidProof, "DPoP", "the proof was used before")
			}
			return refuse(CodeInvalidRequest, "subject_token", "a single-use credential was used before")
		}
	}
	return errStale
}

// commit writes tx. A conflict is returned as it is; every other failure is ErrUnavailable. An unknown outcome is
// settled by reading: what is there was committed.
func (g *Governor) commit(ctx context.Context, tx store.Tx) error {
	err := g.cfg.Store.Commit(ctx, []store.Tx{tx})[0]
	switch {
	case err == nil:
		if len(tx.Revocations) > 0 {
			g.written.wake()
		}
		return nil
	case errors.Is(err, store.ErrConflict):
		return err
	case errors.Is(err, store.ErrBehind), errors.Is(err, store.ErrInvalid), len(tx.Records) == 0:
		return unavailable("commit", err)
	}
	last := tx.Records[len(tx.Records)-1]
	if e, failed := g.entry(context.WithoutCancel(ctx), last.ID()); failed == nil && e.Record.Equal(last) {
		return nil
	}
	return unavailable("commit", err)
}
