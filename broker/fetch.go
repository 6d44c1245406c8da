package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// fetch has the provider make the credential of an intent and puts down that it is held. Where anything fails the lease is
// ended instead: what may have been made is taken back by Run.
func (b *Broker) fetch(ctx context.Context, info tokenboundary.Lease, key leaseKey) (*Lease, error) {
	issued, sealed, err := b.issued(ctx, info, b.cfg.Providers[info.Connection].Fetch)
	if err == nil {
		err = b.usable(info, issued)
	}
	if err == nil {
		if info, err = b.cfg.Governor.SetLease(ctx, b.cfg.Client, info.ID, tokenboundary.LeaseHeld, sealed); err == nil {
			return b.keep(info, issued, key), nil
		}
		if errors.Is(err, tokenboundary.ErrConflict) {
			err = fmt.Errorf("%w: what it was made for has ended", ErrOver)
		}
	}
	b.giveUp(ctx, info.ID, sealed)
	b.cfg.Logger.WarnContext(ctx, "a credential could not be leased", "connection", info.Connection, "lease", info.ID.String(), "cause", err)
	return nil, err
}

// issued has a provider make or prolong a credential, and seals the handle: of a failure too, because it says what to take back.
func (b *Broker) issued(
	ctx context.Context, info tokenboundary.Lease, method func(context.Context, tokenboundary.Lease) (Issued, error),
) (out Issued, sealed []byte, err error) {
	out, err = called(ctx, b, info, method)
	if len(out.Handle) > 0 {
		var failed error
		sealed, failed = b.seal(ctx, info.ID, out.Handle)
		err = errors.Join(err, failed)
	}
	return out, sealed, err
}

// usable refuses what a provider may not answer.
func (b *Broker) usable(info tokenboundary.Lease, issued Issued) error {
	switch {
	case issued.Secret.IsZero():
		return failure(info.Connection, "answered without a credential")
	case !issued.Expires.IsZero() && !issued.Expires.After(b.cfg.Clock.Now()):
		return failure(info.Connection, "answered with what has ended")
	}
	return nil
}

// giveUp ends a lease that nobody has. Where even that cannot be written, Run does it.
func (b *Broker) giveUp(ctx context.Context, id lineage.ID, sealed []byte) {
	b.mark(b.unwanted, id)
	if _, err := b.cfg.Governor.SetLease(ctx, b.cfg.Client, id, tokenboundary.LeaseEnding, sealed); err == nil {
		b.unmark(b.unwanted, id)
	}
}

// keep makes the lease that the callers see.
func (b *Broker) keep(info tokenboundary.Lease, issued Issued, key leaseKey) *Lease {
	l := &Lease{b: b, info: info, key: key, secret: issued.Secret, renewed: b.cfg.Clock.Now(), expires: issued.Expires}
	l.info.Handle = nil
	l.ctx, l.cut = context.WithCancelCause(context.Background())
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held[info.ID] = l
	if !info.Deliver || key.gateway != nil { // otherwise it is somebody's own
		b.shared[key] = l
	}
	return l
}

// drop cuts a lease of this process, if it is one: who uses it is told, and nobody finds it any more.
func (b *Broker) drop(id lineage.ID) {
	b.mu.Lock()
	l := b.held[id]
	delete(b.held, id)
	if l != nil && b.shared[l.key] == l {
		delete(b.shared, l.key)
	}
	b.mu.Unlock()
	if l != nil {
		l.cut(ErrOver)
	}
}

// called calls a method of a provider within the time that it has. What it returns as an error, or panics with, may hold a
// secret: only its kind gets out.
func called(
	ctx context.Context, b *Broker, info tokenboundary.Lease, method func(context.Context, tokenboundary.Lease) (Issued, error),
) (out Issued, err error) {
	ctx, cancel := b.cfg.Clock.WithTimeout(ctx, b.cfg.Timeout)
	defer cancel()
	defer func() {
		if recover() != nil {
			out, err = Issued{}, failure(info.Connection, "failed")
		}
	}()
	var says PublicError
	out, err = method(ctx, info)
	switch {
	case err == nil:
		return out, nil
	case errors.As(err, &says):
		return out, fmt.Errorf("%w: the provider of the connection %q: %s", kind(err), info.Connection, says.short())
	case errors.Is(err, tokenboundary.ErrDenied):
		return out, fmt.Errorf("%w: the provider of the connection %q refused", tokenboundary.ErrDenied, info.Connection)
	case ctx.Err() != nil:
		return out, failure(info.Connection, "did not answer in time")
	case errors.Is(err, tokenboundary.ErrUnavailable):
		return out, failure(info.Connection, "is not available")
	}
	return out, failure(info.Connection, "failed")
}

// kind returns what an error of a provider means for whoever asked.
func kind(err error) error {
	if errors.Is(err, tokenboundary.ErrDenied) {
		return tokenboundary.ErrDenied
	}
	return tokenboundary.ErrUnavailable
}

func failure(connection, what string) error {
	return &tokenboundary.UnavailableError{
		RetryAfter: time.Second, Err: fmt.Errorf("the provider of the connection %q %s", connection, what),
	}
}

// seal seals a handle for the book.
func (b *Broker) seal(ctx context.Context, id lineage.ID, handle []byte) ([]byte, error) {
	switch {
	case b.cfg.Sealer == nil:
		return nil, errors.New("broker: a provider returned a handle, and Config.Sealer is not set")
	case len(handle) > MaxHandle:
		return nil, errors.New("broker: a provider returned a handle that is too long")
	}
	out, err := b.cfg.Sealer.Seal(ctx, about(id), handle)
	if err != nil || len(out) == 0 {
		return nil, &tokenboundary.UnavailableError{RetryAfter: time.Second, Err: errors.New("a handle cannot be sealed")}
	}
	return out, nil
}

// unseal returns the handle that is in the book.
func (b *Broker) unseal(ctx context.Context, info tokenboundary.Lease) ([]byte, error) {
	if len(info.Handle) == 0 {
		return nil, nil
	}
	if b.cfg.Sealer == nil {
		return nil, errors.New("broker: the book has a sealed handle, and Config.Sealer is not set")
	}
	out, err := b.cfg.Sealer.Open(ctx, about(info.ID), info.Handle)
	if err != nil {
		return nil, errors.New("broker: a handle cannot be opened")
	}
	return out, nil
}

// about is what the handle of a lease is sealed with.
func about(id lineage.ID) string { return "lease " + id.String() }
