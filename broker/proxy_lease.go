package broker

import (
	"context"
	"errors"
	"sync"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// flights are the leases that are being made: one for each token and scopes at a time. The zero value is ready.
type flights struct {
	mu  sync.Mutex
	all map[flightKey]*flight
}

type flightKey struct {
	token   lineage.ID
	route   *route
	deliver bool
}

type flight struct {
	done  chan struct{}
	lease *Lease
	err   error
}

// lease returns the lease for what a request may do, and makes it where there is none and the token is active.
func (p *Proxy) lease(ctx context.Context, a access) (*Lease, error) {
	l, found := p.b.Find(a.id, a.route.Scopes)
	if !found {
		var err error
		if !a.asked {
			if _, err := p.introspect(ctx, a.token.raw); err != nil {
				return nil, err
			}
		}
		if l, err = p.leased(ctx, a, false); err != nil {
			return nil, err
		}
	}
	if l.info.Connection != p.cfg.Connection || !within(a.route.Scopes, l.info.Scopes) { // fewer than were asked for
		return nil, errDenied
	}
	return l, nil
}

// leased makes a lease, or waits for one that is being made.
func (p *Proxy) leased(ctx context.Context, a access, deliver bool) (*Lease, error) {
	f := p.flights.join(flightKey{a.id, a.route, deliver}, func() (*Lease, error) {
		if l, found := p.b.Find(a.id, a.route.Scopes); found && !deliver {
			return l, nil
		}
		ctx, cancel := p.b.cfg.Clock.WithTimeout(context.WithoutCancel(ctx), 2*p.b.cfg.Timeout)
		defer cancel()
		return p.b.lease(ctx, p.client, tokenboundary.LeaseRequest{
			Token: tokenboundary.Credential{Type: tokenboundary.TypeAccessToken, Value: a.token.raw}, Proof: a.proof,
			Scopes: a.route.Scopes, Deliver: deliver,
		})
	})
	select {
	case <-f.done:
	case <-ctx.Done():
		return nil, errors.Join(errCannotTell, ctx.Err())
	}
	return f.lease, f.err
}

// join returns the flight that is under way, or begins one.
func (f *flights) join(key flightKey, begin func() (*Lease, error)) *flight {
	f.mu.Lock()
	defer f.mu.Unlock()
	if one := f.all[key]; one != nil {
		return one
	}
	one := &flight{done: make(chan struct{})}
	if f.all == nil {
		f.all = map[flightKey]*flight{}
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
