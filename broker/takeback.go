package broker

import (
	"context"
	"errors"
	"time"

	"github.com/tokenboundary/tokenboundary"
)

// Outstanding says how a broker keeps what it holds. The zero value is that of one that holds nothing.
type Outstanding struct {
	// Leases are those of the registration that have not ended, of every process.
	Leases int `json:"leases"`
	// Ending are those of them that are over and not taken back yet. Failing are those of which it was tried in vain; Since
	// is when the oldest of these was tried first.
	Ending  int       `json:"ending"`
	Failing int       `json:"failing"`
	Since   time.Time `json:"since,omitzero"`
}

// add counts a lease that is over.
func (o *Outstanding) add(t trouble) {
	o.Ending++
	if t.attempts == 0 {
		return
	}
	o.Failing++
	if o.Since.IsZero() || t.since.Before(o.Since) {
		o.Since = t.since
	}
}

// trouble is what is known of a credential that could not be taken back.
type trouble struct {
	attempts int
	since    time.Time
	next     time.Time // when it is tried again
}

// Outstanding returns what Run found when it looked at the book last. What could not be taken back is in it until it is.
func (b *Broker) Outstanding() Outstanding {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.counts
}

// takeBack ends a lease: it is put down that it is ending, the provider takes the credential back, and only then it has
// ended. What fails is tried again.
func (b *Broker) takeBack(ctx context.Context, info tokenboundary.Lease) {
	err := b.ending(ctx, &info)
	if err == nil {
		err = b.revoke(ctx, info)
	}
	if err == nil {
		_, err = b.cfg.Governor.SetLease(ctx, b.cfg.Client, info.ID, tokenboundary.LeaseEnded, nil)
	}
	if errors.Is(err, tokenboundary.ErrNotFound) || errors.Is(err, errEnded) {
		err = nil // by another process
	}
	b.settle(ctx, info, err)
}

// revoke has the provider take the credential back. The handle is open.
func (b *Broker) revoke(ctx context.Context, info tokenboundary.Lease) error {
	_, err := called(ctx, b, info, func(ctx context.Context, l tokenboundary.Lease) (Issued, error) {
		return Issued{}, b.cfg.Providers[l.Connection].Revoke(ctx, l)
	})
	return err
}

var errEnded = errors.New("broker: it has ended")

// ending puts down that the lease is used no more, and completes info with the handle for the provider.
func (b *Broker) ending(ctx context.Context, info *tokenboundary.Lease) error {
	now, err := b.cfg.Governor.SetLease(ctx, b.cfg.Client, info.ID, tokenboundary.LeaseEnding, nil)
	if errors.Is(err, tokenboundary.ErrConflict) { // it has ended, unless something else is wrong
		if now, err = b.cfg.Governor.Lease(ctx, b.cfg.Client, info.ID); err == nil && now.State == tokenboundary.LeaseEnded {
			return errEnded
		}
	}
	if err != nil {
		return err
	}
	*info = now
	info.Handle, err = b.unseal(ctx, now)
	return err
}

// settle notes what became of taking a credential back.
func (b *Broker) settle(ctx context.Context, info tokenboundary.Lease, err error) {
	now := b.cfg.Clock.Now()
	b.mu.Lock()
	t, id := b.troubles[info.ID], info.ID
	if err == nil {
		delete(b.troubles, id)
		delete(b.unwanted, id)
		b.counts.Leases, b.counts.Ending = max(b.counts.Leases-1, 0), max(b.counts.Ending-1, 0)
		if t.attempts > 0 {
			b.counts.Failing = max(b.counts.Failing-1, 0)
		}
		if b.counts.Failing == 0 {
			b.counts.Since = time.Time{}
		}
		b.mu.Unlock()
		return
	}
	if t.attempts++; t.attempts == 1 {
		t.since = now
		if b.counts.Failing++; b.counts.Since.IsZero() {
			b.counts.Since = now
		}
	}
	t.next = now.Add(min(b.cfg.Retry<<min(t.attempts-1, 10), max(maxRetry, b.cfg.Retry)))
	b.troubles[id] = t
	b.mu.Unlock()
	b.nudge()
	b.cfg.Logger.WarnContext(ctx, "a credential could not be taken back", "connection", info.Connection, "lease", id.String(),
		"attempts", t.attempts, "cause", err)
}
