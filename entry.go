package tokenboundary

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// own returns the entry behind a token of ours. Only signature and id are believed; everything else the token says
// must be what its record says.
func (g *Governor) own(ctx context.Context, raw string) (store.Entry, error) {
	claims, id, err := g.signed(ctx, raw)
	if err != nil {
		return store.Entry{}, err
	}
	e, err := g.entry(ctx, id)
	return e, claims.backed(e, err)
}

var errDiffers = errors.New("the token differs from its record")

// backed returns err, and errDiffers where the entry that was found does not say what the token says.
func (c Claims) backed(e store.Entry, err error) error {
	if err == nil && !c.matches(e.Record) {
		return errDiffers
	}
	return err
}

// signed returns what a token of ours says, and the id of its record.
func (g *Governor) signed(ctx context.Context, raw string) (Claims, lineage.ID, error) {
	if g.cfg.Minter == nil || raw == "" || len(raw) > canon.MaxToken {
		return Claims{}, lineage.ID{}, ErrNotMine
	}
	claims, err := g.cfg.Minter.Verify(ctx, raw)
	if err != nil {
		return Claims{}, lineage.ID{}, err
	}
	id, err := lineage.ParseID(claims.ID)
	return claims, id, err
}

// hosted returns the entry behind a token that a host minted; an empty one where p is no such token.
func (g *Governor) hosted(ctx context.Context, p Principal) (store.Entry, error) {
	id := p.Lineage
	if id.IsZero() {
		if p.Handle == "" {
			return store.Entry{}, nil
		}
		heads, err := g.cfg.Store.Heads(ctx, g.cfg.Issuer, []string{handleKey(p.Handle)})
		if err != nil {
			return store.Entry{}, unavailable("store", err)
		}
		if err := id.UnmarshalText(heads[0].Value); err != nil || id.IsZero() {
			return store.Entry{}, errors.New("no decision has this handle")
		}
	}
	e, err := g.entry(ctx, id)
	if err == nil && (e.Record.Kind != lineage.KindToken || e.Record.Body == nil) {
		err = errors.New("not the record of a token")
	}
	return e, err
}

// entry reads one record and all that is known of it.
func (g *Governor) entry(ctx context.Context, id lineage.ID) (store.Entry, error) {
	if id.IsZero() {
		return store.Entry{}, fmt.Errorf("%w: record", ErrNotFound)
	}
	found, err := g.cfg.Store.Get(ctx, g.cfg.Issuer, []lineage.ID{id})
	if err != nil {
		return store.Entry{}, unavailable("store", err)
	}
	return g.found(found, id)
}

// found returns the one entry of a reading, if it is that of this record.
func (g *Governor) found(read []store.Entry, id lineage.ID) (store.Entry, error) {
	if len(read) != 1 || read[0].Record.ID() != id || read[0].Record.Issuer != g.cfg.Issuer {
		return store.Entry{}, fmt.Errorf("%w: record", ErrNotFound)
	}
	return read[0], nil
}

// stateOf returns what a record amounts to at now. Validity is derived here and nowhere stored: a record is active only if
// it is unexpired, nothing it came from is revoked, and every task above it is exactly active.
func stateOf(e store.Entry, now time.Time) lineage.State {
	r := e.Record
	if r.Kind == lineage.KindDenial {
		return lineage.Denied
	}
	for _, m := range e.Marks {
		if m.Kills(r.Since) {
			return lineage.Revoked
		}
	}
	suspended := false
	for head := range tasksOf(e) {
		switch head.State {
		case string(TaskActive):
		case string(TaskSuspended):
			suspended = true
		default:
			return lineage.Revoked
		}
	}
	switch {
	case !now.Before(r.ExpiresAt):
		return lineage.Expired
	case r.Body == nil:
		return lineage.Revoked // erased: what it carried cannot be checked any more
	case suspended:
		return lineage.Suspended
	}
	return lineage.Active
}

// headAt is headOf for the text form of the selector, which it does not make.
func headAt(e store.Entry, s lineage.Selector) store.Head {
	for _, h := range e.Heads {
		if kind, value, ok := strings.Cut(h.Key, ":"); ok && kind == s.Kind && value == s.Value {
			return h
		}
	}
	return store.Head{Key: s.String()}
}

func headOf(e store.Entry, key string) store.Head {
	i := slices.IndexFunc(e.Heads, func(h store.Head) bool { return h.Key == key })
	if i < 0 {
		return store.Head{Key: key}
	}
	return e.Heads[i]
}
