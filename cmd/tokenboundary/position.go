package main

import (
	"context"
	"crypto/rand"
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
	"github.com/tokenboundary/tokenboundary/store"
)

// errUnknownStore says that the store has lost what this node has seen in it.
var errUnknownStore = errors.New("the store is not the one that this node served before, or an older copy of it: what was " +
	"revoked or used up since may be alive in it; start with --accept-store to end every token signed until now")

// self is what the server does of its own accord is recorded under.
var self = tokenboundary.Client{ID: "serve", Kind: tokenboundary.KindOperator}

// position notices that a store was wiped, or restored from a copy. A file beside the signing keys has the newest place of
// the revocation feed that this node has seen, and a mark that every start puts anew into both the file and the store: a
// copy from before the last start has another mark, and one from before the last revocation lacks the place.
type position struct {
	g      *tokenboundary.Governor
	store  store.Store
	issuer string
	file   string
	mark   string
}

// seen is the content of the file.
type seen struct {
	Seq  uint64 `json:"seq"`
	Mark string `json:"mark"`
	// Moving is true while a start changes the mark in the store from Previous to Mark.
	Moving   bool   `json:"moving,omitempty"`
	Previous string `json:"previous,omitempty"`
}

// markKey is the head of the store that has the mark.
const markKey = "serve:mark"

// recognise compares the store with what was seen before. One that lost something is refused, or, if that is accepted,
// every key that it trusts is revoked and its feed begins anew.
func (p *position) recognise(ctx context.Context, accept bool, jwks func(context.Context) ([]byte, error)) error {
	s, err := p.read()
	if err != nil {
		return err
	}
	heads, err := p.store.Heads(ctx, p.issuer, []string{markKey})
	if err != nil {
		return err
	}
	switch known, err := p.knows(ctx, s, string(heads[0].Value)); {
	case err != nil:
		return err
	case !known && !accept:
		return errUnknownStore
	case !known:
		if err := p.renew(ctx, jwks); err != nil {
			return err
		}
	}
	return p.markStore(ctx, s, heads[0])
}

// knows reports whether a store with this mark is the one that was seen.
func (p *position) knows(ctx context.Context, s seen, mark string) (bool, error) {
	if s.Mark != "" && mark != s.Mark && (!s.Moving || mark != s.Previous) {
		return false, nil
	}
	if s.Seq == 0 {
		return true, nil
	}
	for _, err := range p.g.Revocations(ctx, self, s.Seq) {
		if errors.Is(err, tokenboundary.ErrGone) {
			return false, nil
		}
		return true, err
	}
	return true, nil
}

func (p *position) renew(ctx context.Context, jwks func(context.Context) ([]byte, error)) error {
	if err := p.g.RenewFeed(ctx, self); err != nil { // first: until the rest is done as well, the store stays unknown
		return err
	}
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
	return nil
}

// markStore puts a new mark into the file and the store. The file comes first and last, so that a start that breaks off in
// between is not taken for a loss.
func (p *position) markStore(ctx context.Context, s seen, head store.Head) error {
	p.mark = rand.Text()
	next := seen{Seq: s.Seq, Mark: p.mark, Moving: true, Previous: string(head.Value)}
	if err := p.write(next); err != nil {
		return err
	}
	tx := store.Tx{Issuer: p.issuer, Time: time.Now(), Swaps: []store.Swap{
		{Key: markKey, Version: head.Version, State: "set", Value: []byte(p.mark)},
	}}
	if err := p.store.Commit(ctx, []store.Tx{tx})[0]; err != nil {
		return err
	}
	return p.write(seen{Seq: s.Seq, Mark: p.mark})
}

// follow notes what is seen until the returned function is called, which waits for the end. A place that cannot be noted
// is logged: the next start may not notice a loss.
func (p *position) follow(ctx context.Context, log *slog.Logger) (stop func()) {
	if p == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var last uint64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			var err error
			if last, err = p.note(ctx, last, log); err == nil {
				err = p.g.AwaitRevocation(ctx, last)
			}
			if err != nil { // the end, a store that does not answer, or a file that cannot be written
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
		_, _ = p.note(limited, last, log) // it has logged why
	}
}

// note writes down the newest entry, if it is behind last, and returns its place; with an error, last.
func (p *position) note(ctx context.Context, last uint64, log *slog.Logger) (uint64, error) {
	newest := last
	for r, err := range p.g.Revocations(ctx, self, last) {
		if errors.Is(err, tokenboundary.ErrGone) {
			return 0, nil // the feed began anew
		}
		if err != nil {
			return last, err
		}
		newest = r.Seq
	}
	if newest != last {
		if err := p.write(seen{Seq: newest, Mark: p.mark}); err != nil {
			log.ErrorContext(ctx, "the place in the feed cannot be noted", "cause", err)
			return last, err
		}
	}
	return newest, nil
}

func (p *position) read() (s seen, err error) {
	raw, err := os.ReadFile(p.file)
	if errors.Is(err, fs.ErrNotExist) {
		return seen{}, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &s)
	}
	if err != nil {
		return seen{}, fmt.Errorf("%s: %w", p.file, err)
	}
	return s, nil
}

func (p *position) write(s seen) error {
	raw, err := json.Marshal(s)
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
