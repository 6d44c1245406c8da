package verify

import (
	"context"
	"iter"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// Boundary is what a resource server asks of the boundary, as a client of kind resource. Local asks a Governor in the
// same process, Remote one behind HTTP. It is called concurrently.
//
// An error that wraps tokenboundary.ErrUnavailable may pass; a *tokenboundary.UnavailableError says when to try again.
type Boundary interface {
	// Introspect reports whether the token is active now, by everything that was committed before it was asked.
	Introspect(ctx context.Context, raw string) (tokenboundary.State, error)
	// Revocations yields the entries of the feed behind after, in order, and ends with the last one. Where there is none
	// it waits for one, for as long as wait. Each has the Seq of the one before and 1. A position that is not in the feed
	// is tokenboundary.ErrGone.
	Revocations(ctx context.Context, after uint64, wait time.Duration) iter.Seq2[lineage.Revocation, error]
	// ReportUsage reports uses of tokens, at most 1,000 entries.
	ReportUsage(ctx context.Context, uses []tokenboundary.Use) (tokenboundary.UsageReceipt, error)
}

// Local is a Boundary in the same process.
type Local struct {
	// Governor is asked. Required.
	Governor *tokenboundary.Governor
	// Client is the registration of the resource server: of kind resource, and without single-use evidence.
	Client tokenboundary.Client
	// Clock is by what it waits. Nil: the machine's.
	Clock clock.Clock
}

var _ Boundary = Local{}

// Introspect implements Boundary.
func (l Local) Introspect(ctx context.Context, raw string) (tokenboundary.State, error) {
	return l.Governor.Introspect(ctx, l.Client, raw)
}

// ReportUsage implements Boundary.
func (l Local) ReportUsage(ctx context.Context, uses []tokenboundary.Use) (tokenboundary.UsageReceipt, error) {
	return l.Governor.ReportUsage(ctx, l.Client, uses)
}

// Revocations implements Boundary.
func (l Local) Revocations(ctx context.Context, after uint64, wait time.Duration) iter.Seq2[lineage.Revocation, error] {
	return func(yield func(lineage.Revocation, error) bool) {
		if l.pass(ctx, after, yield) {
			return
		}
		limited, cancel := within(ctx, orClock(l.Clock), wait)
		defer cancel()
		err := l.Governor.AwaitRevocation(limited, after)
		switch {
		case ctx.Err() != nil:
			yield(lineage.Revocation{}, ctx.Err())
		case err != nil && limited.Err() == nil:
			yield(lineage.Revocation{}, err)
		default:
			l.pass(ctx, after, yield)
		}
	}
}

// pass passes on what is behind after, and reports whether there was anything.
func (l Local) pass(ctx context.Context, after uint64, yield func(lineage.Revocation, error) bool) (some bool) {
	for r, err := range l.Governor.Revocations(ctx, l.Client, after) {
		some = true
		if !yield(r, err) {
			break
		}
	}
	return some
}

func orClock(c clock.Clock) clock.Clock {
	if c == nil {
		return clock.New()
	}
	return c
}

// within returns a context that ends after d by the clock. (That of a mock clock cannot be read while its parent ends.)
func within(ctx context.Context, c clock.Clock, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	timer := c.AfterFunc(d, cancel)
	return ctx, func() {
		timer.Stop()
		cancel()
	}
}
