package broker

import (
	"context"
	"errors"
)

// credential returns one that may leave the broker, and none where it is to stay: the lease that is asked says then that the
// request may be made.
func (f *forwardAuth) credential(ctx context.Context, a access) (s Secret, err error) {
	for again := true; ; again = false {
		var l *Lease
		if f.cfg.Deliver {
			if l, err = f.lease(ctx, a); err == nil {
				s, err = l.Deliver(ctx)
			}
		} else if l, err = f.p.lease(ctx, a); err == nil {
			err = l.Use(ctx, func(context.Context, Secret) error { return nil })
		}
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
		if !a.asked {
			if _, err = f.p.introspect(ctx, a.token.raw); err != nil {
				return nil, err
			}
		}
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
