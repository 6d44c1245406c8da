package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// errUnknownStore says that the store has lost what this node has seen in it.
var errUnknownStore = errors.New("the store is not the one that this node served before, or an older copy of it: what was " +
	"revoked since may be alive in it; start with --accept-store to end every token signed until now")

// self is what the server does of its own accord is recorded under.
var self = tokenboundary.Client{ID: "serve", Kind: tokenboundary.KindOperator}

// position keeps the newest place of the revocation feed that this node has seen in a file beside the signing keys, so
// that a store that was wiped, or restored from a copy, is noticed.
type position struct {
	g    *tokenboundary.Governor
	file string
}

type seen struct {
	Seq uint64 `json:"seq"`
}

// recognise compares the store with what was seen before. One that lost something is refused, or, if that is accepted,
// every key that it trusts is revoked and its feed begins anew.
func (p position) recognise(ctx context.Context, accept bool, jwks func(context.Context) ([]byte, error)) error {
	last, err := p.read()
	if err != nil || last == 0 {
		return err
	}
	for _, err := range p.g.Revocations(ctx, self, last) {
		switch {
		case errors.Is(err, tokenboundary.ErrGone) && accept:
			return p.renew(ctx, jwks)
		case errors.Is(err, tokenboundary.ErrGone):
			return errUnknownStore
		}
		return err
	}
	return nil
}

func (p position) renew(ctx context.Context, jwks func(context.Context) ([]byte, error)) error {
	raw, err := jwks(ctx)
	if err != nil {
		return err
	}
	var set struct {
		Keys []struct {
			Kid string `json:"kid"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		return fmt.Errorf("key set: %w", err)
	}
	for _, k := range set.Keys {
		cut := lineage.Revocation{
			Selector: lineage.Selector{Kind: lineage.SelectKey, Value: k.Kid}, Reason: "the store was accepted after it had lost entries",
		}
		if _, err := p.g.Revoke(ctx, self, cut); err != nil {
			return err
		}
	}
	return p.g.RenewFeed(ctx, self)
}

// follow notes what is seen until the returned function is called, which waits for the end. A place that cannot be noted
// is logged: the next start may not notice a loss.
func (p position) follow(ctx context.Context, log *slog.Logger) (stop func()) {
	if p.g == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var last uint64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			last = p.note(ctx, last, log)
			if err := p.g.AwaitRevocation(ctx, last); err != nil { // the end, or a store that does not answer
				select {
				case <-ctx.Done():
				case <-time.After(time.Second):
				}
			}
		}
	}()
	return func() {
		cancel()
		<-done
		limited, end := context.WithTimeout(context.Background(), drainTime)
		defer end()
		p.note(limited, last, log)
	}
}

// note writes down the newest entry, if it is behind last, and returns its place.
func (p position) note(ctx context.Context, last uint64, log *slog.Logger) uint64 {
	newest := last
	for r, err := range p.g.Revocations(ctx, self, last) {
		if errors.Is(err, tokenboundary.ErrGone) {
			return 0 // the feed began anew
		}
		if err != nil {
			return newest
		}
		newest = r.Seq
	}
	if newest != last {
		if err := p.write(newest); err != nil {
			log.ErrorContext(ctx, "the place in the feed cannot be noted", "cause", err)
		}
	}
	return newest
}

func (p position) read() (uint64, error) {
	raw, err := os.ReadFile(p.file)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	var s seen
	if err == nil {
		err = json.Unmarshal(raw, &s)
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w", p.file, err)
	}
	return s.Seq, nil
}

func (p position) write(seq uint64) error {
	raw, err := json.Marshal(seen{seq})
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(p.file), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), p.file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
