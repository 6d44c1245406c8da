package broker

import (
	"context"
	"errors"
	"sync"

	"github.com/tokenboundary/tokenboundary"
)

// flights are the leases that are being made: one for each token and scopes at a time. The zero value is ready.
type flights struct {
	mu  sync.Mutex
	all map[leaseKey]*flight
}

type flight struct {
	done  chan struct{}
	lease *Lease
	err   error
}

// use calls f with the credential for what a request may do, once, if the lease may be used now: it asks the lineage each time.
// The context of f ends when the lease does.
func (p *Proxy) use(ctx context.Context, a access, f func(context.Context, *Lease, Secret) error) error {
	for again := true; ; again = false {
		l, err := p.lease(ctx, a)
		if err != nil {
			return err
		}
		began := false
		err = l.Use(ctx, func(ctx context.Context, s Secret) error {
			began = true
			return f(ctx, l, s)
		})
		if began || !again || !errors.Is(err, ErrOver) { // an old lease may be over where the token is not
			return err
		}
	}
}

// lease returns the lease for what a request may do, and makes it where there is none and the token is active.
func (p *Proxy) lease(ctx context.Context, a access) (*Lease, error) {
	key := keyOf(a.id, a.route.Scopes)
	if a.gateway != nil {
		key.gateway, key.route = a.gateway, a.route
	}
	l := p.b.find(key)
	if l == nil {
		var err error
		if !a.asked {
			if _, err := p.introspect(ctx, a.token.raw); err != nil {
				return nil, err
			}
		}
		if l, err = p.leased(ctx, a, key); err != nil {
			return nil, err
		}
	}
	switch {
	case l.info.Connection != p.cfg.Connection, !within(a.route.Scopes, l.info.Scopes): // fewer than were asked for
		return nil, errDenied
	case l.info.Deliver != (a.gateway != nil): // nothing leaves the broker that is not to
		return nil, ErrKept
	}
	return l, nil
}

// leased makes a lease, or waits for one that is being made.
func (p *Proxy) leased(ctx context.Context, a access, key leaseKey) (*Lease, error) {
	f := p.flights.join(key, func() (*Lease, error) {
		if l := p.b.find(key); l != nil {
			return l, nil
		}
		ctx, cancel := p.b.cfg.Clock.WithTimeout(context.WithoutCancel(ctx), 2*p.b.cfg.Timeout)
		defer cancel()
		return p.b.lease(ctx, p.client, tokenboundary.LeaseRequest{
			Token: tokenboundary.Credential{Type: tokenboundary.TypeAccessToken, Value: a.token.raw}, Proof: a.proof,
			Scopes: a.route.Scopes, Deliver: a.gateway != nil,
		}, key)
	})
	select {
	case <-f.done:
	case <-ctx.Done():
		return nil, errors.Join(errCannotTell, ctx.Err())
	}
	return f.lease, f.err
}

// join returns the flight that is under way, or begins one.
func (f *flights) join(key leaseKey, begin func() (*Lease, error)) *flight {
	f.mu.Lock()
	defer f.mu.Unlock()
	if one := f.all[key]; one != nil {
		return one
	}
	one := &flight{done: make(chan struct{})}
	if f.all == nil {
		f.all = map[leaseKey]*flight{}
	}
	f.all[key] = one
	go func() {
		one.lease, one.err = begin()
		f.mu.Lock()
		delete(f.all, key)
		f.mu.Unlock()
		close(one.done)
	}()
	return one
}
