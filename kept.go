package tokenboundary

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/store"
)

// maxKept is the largest value that is kept for a connection, in bytes.
const maxKept = 16 << 10

// Kept is a value that a broker keeps for a connection, beside its leases: how it comes by credentials, where that changes with
// use. It means nothing to the boundary, and the broker seals what is secret in it. The zero Kept says that there is none.
//
// It hides its value in logs, in JSON and in fmt.
type Kept struct {
	// Version rises by one with each change.
	Version uint64 `json:"version"`
	Value   []byte `json:"-"`
}

// String names the version.
func (k Kept) String() string { return fmt.Sprintf("kept(version %d)", k.Version) }

// GoString hides the value.
func (k Kept) GoString() string { return k.String() }

// LogValue hides the value.
func (k Kept) LogValue() slog.Value { return slog.StringValue(k.String()) }

// Kept returns what the broker keeps for a connection. By must be a resource that is registered with the connection.
func (g *Governor) Kept(ctx context.Context, by Client, connection string) (Kept, error) {
	if err := g.reads(ctx, by, KindResource); err != nil {
		return Kept{}, err
	}
	if !slices.Contains(by.Connections, connection) {
		return Kept{}, ErrForbidden
	}
	heads, err := g.cfg.Store.Heads(ctx, g.cfg.Issuer, []string{keptKey(by, connection)})
	if err != nil {
		return Kept{}, unavailable("store", err)
	}
	return Kept{heads[0].Version, heads[0].Value}, nil
}

// Keep replaces what the broker keeps for a connection, in one write, if that is still of the version of k: ErrConflict says
// that it is not. The value has at most 16 KiB; an empty one takes the place of what was there. It returns what is
// kept now. By must be a resource that is registered with the connection.
//
// ErrUnavailable leaves open whether it was written: Kept tells.
func (g *Governor) Keep(ctx context.Context, by Client, connection string, k Kept) (Kept, error) {
	switch {
	case !by.is(KindResource) || !slices.Contains(by.Connections, connection):
		return Kept{}, g.answer(ctx, by, ErrForbidden)
	case len(k.Value) > maxKept:
		return Kept{}, g.answer(ctx, by, fmt.Errorf("%w: more than is kept for a connection", ErrInvalid))
	}
	tx := g.tx(g.now())
	tx.Swaps = append(tx.Swaps, store.Swap{Key: keptKey(by, connection), Version: k.Version, State: "kept", Value: bytes.Clone(k.Value)})
	err := g.change(ctx, by, tx)
	if err == nil {
		return Kept{k.Version + 1, k.Value}, nil
	}
	if errors.Is(err, ErrConflict) {
		err = fmt.Errorf("%w: something else is kept for the connection by now", ErrConflict)
	}
	return Kept{}, g.answer(ctx, by, err)
}

func keptKey(by Client, connection string) string { return canon.Key("kept", by.ID, connection) }
