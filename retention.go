package tokenboundary

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tokenboundary/tokenboundary/store"
)

// Retention says for how long what is over is kept. The zero value keeps everything.
type Retention struct {
	// Keep is for how long a record stays at least after it has ended: a denial after it was made. Zero: for good. A record
	// stays beyond that for as long as anything ever lived here at most, by which nothing derived from it can live either.
	Keep time.Duration
	// Evidence is how old the evidence behind a request can be at most: a login (auth_time), a credential. Revocations stay
	// for so long beyond what they can have cut. After that, evidence as old as a revocation that was forgotten is refused:
	// a value that is too small lets nothing live that was cut. Zero: 30 days.
	Evidence time.Duration
}

// defaultEvidence is longer than most providers let a session last.
const defaultEvidence = 30 * 24 * time.Hour

// Pruned is what was forgotten.
type Pruned struct {
	Records     int `json:"records"`
	Revocations int `json:"revocations"` // entries of the feed
	// Complete is false where the context ended first. The next call goes on.
	Complete bool `json:"complete"`
}

// pruneSlice is how much is forgotten in one write, beside which others take their turns.
const pruneSlice = 256

// Prune forgets what is over and need not be kept any more: records, with what was counted and kept beside them, the values
// that facts had when nothing that is kept was decided on them, entries of the revocation feed, and the marks that they left.
//
// Marks of sessions and of keys stay, and those that block: a provider may present a session again at any time, and a key
// never comes back. So does a lease that its broker has not ended, and the newest entry of the feed, by which a reader that
// was away for long knows the feed again.
//
// It works in small writes, and can end between any two of them. By must be an operator. Where ctx ends first the result is
// not complete and the error nil. A store that keeps everything is an error that wraps [errors.ErrUnsupported].
func (g *Governor) Prune(ctx context.Context, by Client, r Retention) (Pruned, error) {
	if !by.is(KindOperator) {
		return Pruned{}, g.answer(ctx, by, ErrForbidden)
	}
	if r.Keep < 0 || r.Evidence < 0 {
		return Pruned{}, g.answer(ctx, by, fmt.Errorf("%w: retention", ErrInvalid))
	}
	now := g.now()
	if err := g.change(ctx, by, g.tx(now)); err != nil { // so that the store knows what time it is
		return Pruned{}, err
	}
	if r.Keep == 0 {
		return Pruned{Complete: true}, nil
	}
	if r.Evidence == 0 {
		r.Evidence = defaultEvidence
	}
	life, err := g.longestLife(ctx)
	if err != nil {
		return Pruned{}, err
	}
	p, err := g.pruning(ctx)
	if err != nil {
		return Pruned{}, err
	}
	ended := now.Add(-r.Keep).Add(-2 * g.cfg.Lifetimes.ClockLeeway) // each by itself: their sum may be more than there is
	issued := ended.Add(-life)
	if err = p.pruneRecords(ctx, ended, issued); err == nil {
		err = p.pruneFeed(ctx, issued.Add(-r.Evidence))
	}
	if err != nil && ctx.Err() == nil {
		return p.out, err
	}
	p.out.Complete = err == nil
	if p.out.Records+p.out.Revocations > 0 {
		g.cfg.Logger.InfoContext(ctx, "what is over was forgotten", "client", by.ID,
			"records", p.out.Records, "revocations", p.out.Revocations, "complete", p.out.Complete)
	}
	return p.out, nil
}

// pruning forgets, slice by slice.
type pruning struct {
	g     *Governor
	store store.Forgetter
	facts map[string]uint64 // the versions below which nothing is kept, by fact
	out   Pruned
}

// pruning returns what forgets, unless the store keeps everything.
func (g *Governor) pruning(ctx context.Context) (*pruning, error) {
	f, ok := g.cfg.Store.(store.Forgetter)
	if !ok {
		return nil, errKeeps
	}
	p := &pruning{g: g, store: f, facts: map[string]uint64{}}
	return p, p.forget(ctx, store.Removal{})
}

// errKeeps is the answer where the store keeps everything.
var errKeeps = fmt.Errorf("tokenboundary: the store keeps everything: %w", errors.ErrUnsupported)

// forget makes a removal. What has changed meanwhile is errStale.
func (p *pruning) forget(ctx context.Context, r store.Removal) error {
	r.Issuer, r.Leeway = p.g.cfg.Issuer, p.g.cfg.Lifetimes.ClockLeeway
	err := p.store.Forget(ctx, r)
	switch {
	case errors.Is(err, store.ErrConflict):
		return errStale
	case errors.Is(err, errors.ErrUnsupported):
		return errKeeps
	case err != nil:
		return unavailable("store", err)
	}
	return nil
}

// again calls f until it meets no change that was made at the same time.
func again(f func() error) error {
	for range contended {
		if err := f(); !errors.Is(err, errStale) {
			return err
		}
	}
	return unavailable("store", errStale)
}
