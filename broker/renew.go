package broker

import (
	"context"
	"errors"
	"time"

	"github.com/tokenboundary/tokenboundary"
)

// ended reports whether the other system has ended the credential by itself.
func (l *Lease) ended(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.expires.IsZero() && !now.Before(l.expires)
}

// renewAt returns when the credential is to be renewed if it was used: when a third of its life is left. The lease is locked.
func (l *Lease) renewAt() time.Time {
	at := l.renewed.Add(l.expires.Sub(l.renewed) / 3 * 2)
	if at.Before(l.retry) {
		return l.retry
	}
	return at
}

// renewal queues the renewal of a credential that ends before its lease, once it is due and if it was used.
func (b *Broker) renewal(v *view, l *Lease, info tokenboundary.Lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.expires.IsZero() {
		return
	}
	v.due(l.expires)
	if _, ok := b.cfg.Providers[info.Connection].(Renewer); !ok || !l.expires.Before(info.ExpiresAt) {
		return
	}
	switch at := l.renewAt(); {
	case at.After(v.now):
		v.due(at)
	case !l.used.IsZero():
		b.queues[info.Connection].put(job{info, l})
	}
}

// renew prolongs the credential of a lease that lives. Where that fails it is tried again until the credential ends.
func (b *Broker) renew(ctx context.Context, l *Lease) {
	err := b.prolong(ctx, l)
	l.mu.Lock()
	if err != nil {
		l.retry = b.cfg.Clock.Now().Add(b.cfg.Retry)
	}
	l.mu.Unlock()
	b.nudge()
	if err != nil {
		b.cfg.Logger.WarnContext(ctx, "a credential could not be renewed", "connection", l.info.Connection, "lease", l.info.ID.String(),
			"cause", err)
	}
}

func (b *Broker) prolong(ctx context.Context, l *Lease) error {
	info, err := b.cfg.Governor.Lease(ctx, b.cfg.Client, l.info.ID)
	switch {
	case err != nil:
		return err
	case !info.Usable() || l.ctx.Err() != nil:
		b.drop(l.info.ID)
		return nil
	}
	if info.Handle, err = b.unseal(ctx, info); err != nil {
		return err
	}
	r, ok := b.cfg.Providers[info.Connection].(Renewer)
	if !ok {
		return nil
	}
	issued, sealed, err := b.issued(ctx, info, r.Renew)
	if err == nil { // only what lives still is held: who was cut meanwhile is not prolonged
		_, err = b.cfg.Governor.SetLease(ctx, b.cfg.Client, info.ID, tokenboundary.LeaseHeld, sealed)
	}
	if err != nil {
		return b.unrenewed(ctx, info, issued.Handle, sealed, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.renewed, l.expires, l.used, l.retry = b.cfg.Clock.Now(), issued.Expires, time.Time{}, time.Time{}
	if !issued.Secret.IsZero() {
		l.secret = issued.Secret
	}
	return nil
}

// unrenewed sees to what a renewal that failed may have made: its handle goes into the book, and the lease ends; and where it is
// too late for the book, because the lease has ended meanwhile, the credential is taken back at once.
func (b *Broker) unrenewed(ctx context.Context, info tokenboundary.Lease, handle, sealed []byte, err error) error {
	if len(handle) == 0 && !errors.Is(err, tokenboundary.ErrConflict) {
		return err // as it was before
	}
	b.giveUp(ctx, info.ID, sealed)
	b.drop(info.ID)
	if len(handle) == 0 {
		return nil
	}
	info.Handle = handle
	late := b.revoke(ctx, info)
	if errors.Is(err, tokenboundary.ErrConflict) {
		err = nil // it was cut
	}
	return errors.Join(err, late)
}
