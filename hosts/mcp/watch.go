package mcp

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary"
)

// errDead is why a context ends whose token was found dead.
var errDead = errors.New("mcp: the access token is not acceptable any more")

// pause is how long a token is not looked at again after the feed had something new.
const pause = time.Second

// while returns a context that ends, with errDead as its cause, when the token of a is found revoked; where it bounds a
// stream, also at the end of the token.
func (a *admission) while(ctx context.Context, stream bool) (context.Context, context.CancelFunc) {
	ctx, dead := context.WithCancelCause(ctx)
	watched, stop := context.WithCancel(ctx)
	clk := a.guard.cfg.Clock
	timer := clk.AfterFunc(time.Unix(a.claims.ExpiresAt, 0).Sub(clk.Now()), func() {
		if stream {
			dead(errDead)
		}
		stop()
	})
	go a.watch(watched, dead)
	return ctx, func() {
		timer.Stop()
		stop()
		dead(nil)
	}
}

// watcher returns what follows a token, from a position of the feed on, until its context ends. It looks when the feed has
// something new, and at most once a pause: a busy feed costs every stream no more than that. The token stays in here.
func (g *Guard) watcher(claims tokenboundary.Claims, header string, at uint64) func(context.Context, context.CancelCauseFunc) {
	_, raw, _ := strings.Cut(header, " ")
	raw = strings.TrimLeft(raw, " ")
	return func(ctx context.Context, dead context.CancelCauseFunc) {
		v, at := g.cfg.Verifier, at
		for claims.Confirm == nil { // without a new proof, nothing verifies a token that is bound
			if v.Await(ctx, at+1) != nil {
				return
			}
			at = v.State().Position
			if _, err := v.Verify(ctx, raw); ctx.Err() == nil && err != nil && !errors.Is(err, tokenboundary.ErrUnavailable) {
				dead(errDead)
				return
			}
			rest(ctx, g.cfg.Clock)
		}
	}
}

// rest waits for a pause, or until the context ends.
func rest(ctx context.Context, clk clock.Clock) {
	t := clk.Timer(pause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
