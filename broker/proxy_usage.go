package broker

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// Bounds of the report of use.
const (
	maxBatch      = 1000   // entries of one report
	maxWaiting    = 20_000 // entries that were not reported yet
	reportAfter   = time.Second
	reportTimeout = 5 * time.Second
)

// uses are the uses of tokens that were not reported yet: one entry for each token and route. They are reported a second after
// the first of them, and again after each failure, a minute apart at most.
type uses struct {
	b *Broker

	report sync.Mutex // one report at a time

	mu    sync.Mutex
	of    map[useKey]*tokenboundary.Use
	order []useKey // the oldest first
	wait  time.Duration
	set   bool // the next report is
	lost  uint64
}

type useKey struct {
	token lineage.ID
	route *route
}

var errUses = &tokenboundary.UnavailableError{RetryAfter: time.Second, Err: errors.New("broker: too many uses of tokens were not reported yet")}

// add puts down a use. Where it cannot, the request must not be forwarded.
func (u *uses) add(token lineage.ID, r *route) error {
	now := u.b.cfg.Clock.Now()
	u.mu.Lock()
	defer u.mu.Unlock()
	key := useKey{token, r}
	if have := u.of[key]; have != nil {
		have.At = now
		have.Count++
		return nil
	}
	if len(u.order) >= maxWaiting {
		return errUses
	}
	u.put(key, tokenboundary.Use{Token: token, At: now, Scopes: r.Scopes, Count: 1})
	u.arm(reportAfter)
	return nil
}

// put adds an entry. The caller holds the lock.
func (u *uses) put(key useKey, use tokenboundary.Use) {
	if u.of == nil {
		u.of = map[useKey]*tokenboundary.Use{}
	}
	if have := u.of[key]; have != nil {
		have.Count += use.Count
		return
	}
	u.of[key], u.order = &use, append(u.order, key)
}

// arm sets the next report. The caller holds the lock.
func (u *uses) arm(after time.Duration) {
	if u.set {
		return
	}
	u.set = true
	u.b.cfg.Clock.AfterFunc(after, func() {
		u.mu.Lock()
		u.set = false
		u.mu.Unlock()
		_ = u.flush(context.Background()) // it is tried again
	})
}

// take takes out the oldest entries.
func (u *uses) take() (keys []useKey, batch []tokenboundary.Use) {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := min(len(u.order), maxBatch)
	keys, u.order = u.order[:n:n], u.order[n:]
	for _, key := range keys {
		batch = append(batch, *u.of[key])
		delete(u.of, key)
	}
	return keys, batch
}

// flush reports what there is. What cannot be reported stays; what is refused is given up, and counted.
func (u *uses) flush(ctx context.Context) error {
	u.report.Lock()
	defer u.report.Unlock()
	keys, batch := u.take()
	if len(batch) == 0 {
		return nil
	}
	ctx, cancel := u.b.cfg.Clock.WithTimeout(ctx, reportTimeout)
	defer cancel()
	for ; len(batch) > 0; keys, batch = u.take() {
		receipt, err := u.b.cfg.Governor.ReportUsage(ctx, u.b.cfg.Client, batch)
		if err != nil { // it may have been counted all the same: twice is better than not at all
			u.again(keys, batch)
			u.b.cfg.Logger.WarnContext(ctx, "uses of tokens cannot be reported now", "entries", len(batch), "cause", err)
			return err
		}
		u.mu.Lock()
		u.wait = 0
		for _, no := range receipt.Refused {
			u.lost += batch[no.Index].Count
		}
		u.mu.Unlock()
		if n := len(receipt.Refused); n > 0 {
			u.b.cfg.Logger.ErrorContext(ctx, "some uses of tokens were not counted", "entries", n, "first", string(receipt.Refused[0].Why))
		}
	}
	return nil
}

// again puts back what could not be reported, and sets the next try.
func (u *uses) again(keys []useKey, batch []tokenboundary.Use) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for i, key := range keys {
		u.put(key, batch[i])
	}
	u.wait = min(max(2*u.wait, reportAfter), time.Minute)
	u.arm(u.wait)
}

func (u *uses) state() ProxyState {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := ProxyState{Lost: u.lost}
	for _, use := range u.of {
		s.Waiting += use.Count
	}
	return s
}
