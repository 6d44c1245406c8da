package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tokenboundary/tokenboundary"
)

// recheck is how often a running node looks whether the store is still the one that it has entered, beside whenever the
// feed has something new.
const recheck = 5 * time.Second

// follow notes what is seen until the returned function is called, which waits for the end. A place that cannot be noted
// is logged: the next start may not notice a loss. Where the store is no longer the one that was entered, it ends, and tells
// lost why.
func (p *position) follow(ctx context.Context, log *slog.Logger, lost func(error)) (stop func()) {
	if p == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			err := p.note(ctx, log)
			if errors.Is(err, errUnknownStore) {
				lost(err)
				return
			}
			if err == nil {
				err = p.await(ctx)
			}
			if err != nil { // the end, a store that does not answer, or a file that cannot be written
				select {
				case <-ctx.Done():
				case <-p.clock.After(time.Second):
				}
			}
		}
	}()
	return func() {
		cancel()
		<-done
		limited, end := context.WithTimeout(context.Background(), drainTime)
		defer end()
		_ = p.note(limited, log) // it has logged why
	}
}

// await returns when there is something to note, or to look at again.
func (p *position) await(ctx context.Context) error {
	limited, cancel := context.WithCancel(ctx)
	defer cancel()
	timer := p.clock.AfterFunc(recheck, cancel)
	defer timer.Stop()
	err := p.g.AwaitRevocation(limited, p.seen.Seq)
	if limited.Err() != nil && ctx.Err() == nil {
		return nil
	}
	return err
}

// note writes down the newest entry, if it is behind what was seen. It is errUnknownStore where the store is not the one
// that was entered.
func (p *position) note(ctx context.Context, log *slog.Logger) error {
	name, heads, err := p.ask(ctx)
	if err != nil {
		return err
	}
	switch has := (stamp{name.ID, string(heads[1].Value)}); {
	case has.Store == p.has.Store && has.Mark != p.has.Mark:
		return fmt.Errorf("%w; or another node was started with the signing directory of this one", errUnknownStore)
	case has != p.has:
		return errUnknownStore
	}
	next := p.seen
	for r, err := range p.g.Revocations(ctx, self, p.seen.Seq) {
		if errors.Is(err, tokenboundary.ErrGone) {
			return errUnknownStore
		}
		if err != nil {
			return err
		}
		next.Seq = r.Seq
	}
	if next.Seq == p.seen.Seq {
		return nil
	}
	if err := next.write(p.dir); err != nil {
		log.ErrorContext(ctx, "the place in the feed cannot be noted", "cause", err)
		return err
	}
	p.seen = next
	return nil
}
