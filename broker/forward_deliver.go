package broker

import (
	"context"
	"errors"
)

// deliver returns a credential that may leave the broker.
func (f *forwardAuth) deliver(ctx context.Context, a access) (Secret, error) {
	for again := true; ; again = false {
		l, err := f.lease(ctx, a)
		if err != nil {
			return Secret{}, err
		}
		s, err := l.Deliver(ctx)
		if !again || !errors.Is(err, ErrOver) {
			return s, err
		}
	}
}

// lease returns the lease of a token that is kept for the gateway, and makes it where there is none.
func (f *forwardAuth) lease(ctx context.Context, a access) (*Lease, error) {
	key := flightKey{a.id, a.route, true}
	f.mu.Lock()
	l := f.kept[key]
	f.mu.Unlock()
	if l == nil || l.ctx.Err() != nil {
		var err error
		if l, err = f.p.leased(ctx, a, true); err != nil {
			return nil, err
		}
		f.keep(key, l)
	}
	if !within(a.route.Scopes, l.info.Scopes) {
		return nil, errDenied
	}
	return l, nil
}

// keep keeps a lease until it is over.
func (f *forwardAuth) keep(key flightKey, l *Lease) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.kept[key] == l {
		return
	}
	f.kept[key] = l
	context.AfterFunc(l.ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.kept[key] == l {
			delete(f.kept, key)
		}
	})
}
