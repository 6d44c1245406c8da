package tokenboundary

import (
	"context"
	"strconv"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// StateOf returns what a record amounts to at a moment, of an entry as a store returns it: for a tool that reads a store
// without a Governor. The zero Entry is revoked.
func StateOf(e store.Entry, at time.Time) lineage.State { return stateOf(e, at) }

// LiveSince returns a moment before which nothing was issued that is alive at another: where to begin to look for what is. It
// is the zero time where the store does not say.
func LiveSince(ctx context.Context, s store.Store, issuer string, at time.Time) (time.Time, error) {
	heads, err := s.Heads(ctx, issuer, []string{lifeKey})
	if err != nil {
		return time.Time{}, unavailable("store", err)
	}
	ms, err := strconv.ParseInt(string(heads[0].Value), 10, 64)
	if err != nil || ms <= 0 || ms > int64(1<<62)/int64(time.Millisecond) {
		return time.Time{}, nil
	}
	return at.Add(-time.Duration(ms) * time.Millisecond), nil
}
