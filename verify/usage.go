package verify

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// Bounds of the report of use.
const (
	maxBatch      = 1000    // entries of one report
	maxPending    = 20_000  // entries that wait for a report
	maxCount      = 1 << 32 // of one entry
	reportEvery   = 10 * time.Second
	reportTimeout = 5 * time.Second
)

// usage holds the uses of tokens that were not reported yet: one entry per token and scopes. The zero value is ready.
type usage struct {
	mu    sync.Mutex
	uses  map[useKey]*tokenboundary.Use
	order []useKey // the oldest first
	gone  uint64   // uses that were given up
}

type useKey struct {
	token  lineage.ID
	scopes string
}

// Used notes a use of a token that was verified, which needed the scopes, for the next report to the boundary. Require
// does so for every request that it lets through; other hosts call it. It never waits: where too many uses have not been
// reported, the oldest are given up, and counted in State.
func (v *Verifier) Used(c tokenboundary.Claims, scopes ...string) {
	id, err := lineage.ParseID(c.ID)
	if err != nil {
		return
	}
	v.usage.add(tokenboundary.Use{Token: id, At: v.cfg.Clock.Now(), Scopes: scopes, Count: 1})
}

func (u *usage) add(use tokenboundary.Use) {
	key := useKey{use.Token, strings.Join(use.Scopes, " ")}
	u.mu.Lock()
	defer u.mu.Unlock()
	if have := u.uses[key]; have != nil {
		have.Count = min(have.Count+use.Count, maxCount)
		if use.At.After(have.At) {
			have.At = use.At
		}
		return
	}
	if u.uses == nil {
		u.uses = map[useKey]*tokenboundary.Use{}
	}
	if len(u.order) == maxPending {
		u.gone += u.uses[u.order[0]].Count
		u.take(1)
	}
	use.Scopes = strings.Fields(key.scopes) // a copy
	u.uses[key], u.order = &use, append(u.order, key)
}

// take takes out the oldest entries. The caller holds the lock.
func (u *usage) take(n int) []tokenboundary.Use {
	n = min(n, len(u.order))
	out := make([]tokenboundary.Use, 0, n)
	for _, key := range u.order[:n] {
		out = append(out, *u.uses[key])
		delete(u.uses, key)
	}
	u.order = u.order[n:]
	return out
}

func (u *usage) batch() []tokenboundary.Use {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.take(maxBatch)
}

// giveUp counts what was not reported.
func (u *usage) giveUp(uses []tokenboundary.Use) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, use := range uses {
		u.gone += use.Count
	}
}

func (u *usage) lost() uint64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.gone
}

// report reports usage from time to time, and once more when ctx has ended.
func (v *Verifier) report(ctx context.Context) {
	tick := v.cfg.Clock.Ticker(reportEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			v.flush(ctx)
		case <-ctx.Done():
			v.flush(context.WithoutCancel(ctx))
			return
		}
	}
}

// flush reports what there is, in batches. What cannot be reported now stays for the next time; what is refused is given up.
func (v *Verifier) flush(ctx context.Context) {
	ctx, cancel := within(ctx, v.cfg.Clock, reportTimeout)
	defer cancel()
	for {
		uses := v.usage.batch()
		if len(uses) == 0 {
			return
		}
		receipt, err := v.cfg.Boundary.ReportUsage(ctx, uses)
		switch {
		case err == nil && len(receipt.Refused) == 0:
		case err == nil:
			v.cfg.Logger.WarnContext(ctx, "some uses of tokens were not counted",
				"entries", len(receipt.Refused), "first", string(receipt.Refused[0].Why))
		case errors.Is(err, tokenboundary.ErrUnavailable), ctx.Err() != nil:
			// It may have been counted all the same. To count twice is better than not at all: it is evidence of need.
			for _, use := range uses {
				v.usage.add(use)
			}
			v.cfg.Logger.WarnContext(ctx, "uses of tokens cannot be reported now", "cause", err)
			return
		default:
			v.usage.giveUp(uses)
			v.cfg.Logger.ErrorContext(ctx, "uses of tokens were refused", "entries", len(uses), "cause", err)
		}
	}
}
