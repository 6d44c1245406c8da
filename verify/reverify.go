package verify

import (
	"context"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/mint"
)

// Reverify returns nil while a token that Verify or VerifyBound has accepted may still be relied on, and otherwise their
// error: for what goes on after its request was let through, such as a stream or a call that takes its time. Ask when Await
// says that there is something new.
//
// A key-bound token needs no new proof for that, and none is spent. So Reverify lets no request through: who has a
// key-bound token without its key passes it. An error that wraps tokenboundary.ErrUnavailable says nothing against the token.
func (v *Verifier) Reverify(ctx context.Context, raw string) error {
	c, err := v.keys.Verify(ctx, raw)
	if err != nil {
		return err
	}
	return v.stands(ctx, raw, &c)
}

// stands checks whatever may have changed about a token since it was verified.
func (v *Verifier) stands(ctx context.Context, raw string, c *tokenboundary.Claims) error {
	if err := v.inTime(v.latest(), c); err != nil {
		return err
	}
	return v.unrevoked(ctx, raw, c)
}

// inTime checks that a token has not ended at now, and does not live for longer than any may.
func (v *Verifier) inTime(now time.Time, c *tokenboundary.Claims) error {
	expires := time.Unix(c.ExpiresAt, 0)
	switch {
	case !now.Before(expires.Add(leeway)): // after the clock went back, what had ended stays ended
		return mint.ErrExpired
	case expires.Sub(time.Unix(c.IssuedAt, 0)) > v.cfg.Lifetime:
		return ErrLifetime
	}
	return nil
}
