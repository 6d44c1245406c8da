package storetest_test

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/memory"
	"github.com/tokenboundary/tokenboundary/store/storetest"
)

// told is a store.Hinter and a store.Lingerer that keeps the contract, but for what its mode breaks.
type told struct {
	store.Store
	mode string

	still   sync.RWMutex // Commit has it alone
	commits atomic.Int64
	mu      sync.Mutex
	ch      chan struct{}
}

func (s *told) Commit(ctx context.Context, txs []store.Tx) []error {
	s.still.Lock()
	errs := s.Store.Commit(ctx, txs)
	s.still.Unlock()
	s.commits.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch != nil && s.mode != "deaf" {
		close(s.ch)
		s.ch = nil
	}
	return errs
}

func (s *told) Changed(context.Context, string) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	if s.mode == "restless" {
		close(s.ch)
		defer func() { s.ch = nil }()
	}
	if s.mode == "nil" {
		return nil
	}
	return s.ch
}

func (s *told) Linger() time.Duration {
	if s.mode == "hasty" {
		return 0
	}
	return time.Millisecond
}

// Look is store.Look of the store below, at a moment when nothing is committed, but for what the mode breaks.
func (s *told) Look(ctx context.Context, issuer string, ids []lineage.ID, sels []lineage.Selector) ([]store.Entry, []lineage.Mark, error) {
	if s.mode != "torn" {
		s.still.RLock()
		defer s.still.RUnlock()
	}
	switch s.mode {
	case "torn":
		marks, err := s.Revoked(ctx, issuer, sels)
		for before, n := s.commits.Load(), 0; s.commits.Load() == before && n < 1000; n++ {
			runtime.Gosched()
		}
		entries, err2 := s.Get(ctx, issuer, ids)
		return entries, marks, errors.Join(err, err2)
	case "blind":
		sels = nil
	case "lost":
		ids = slices.Repeat([]lineage.ID{{}}, len(ids))
	case "deathless":
		ctx = context.WithoutCancel(ctx)
	}
	return store.Look(ctx, s.Store, issuer, ids, sels)
}

// telling returns stores with a mode.
func telling(mode string) func(*testing.T) store.Store {
	return func(*testing.T) store.Store { return &told{Store: memory.New(), mode: mode} }
}

// same is what a second process sees of a store in memory: the store itself.
func same(_ *testing.T, s store.Store) store.Store { return s }

// remembering answers for heads as it did the first time.
type remembering struct {
	store.Store
	mu   sync.Mutex
	seen map[string]store.Head
}

func (s *remembering) Heads(ctx context.Context, issuer string, keys []string) ([]store.Head, error) {
	heads, err := s.Store.Heads(ctx, issuer, keys)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, h := range heads {
		if old, ok := s.seen[h.Key]; ok {
			heads[i] = old
		}
		s.seen[h.Key] = heads[i]
	}
	return heads, err
}

// fragile breaks at a call, and in its modes not as it should.
type fragile struct {
	store.Store
	mode    string
	left    atomic.Int64
	arrives bool
}

var errFragile = errors.New("connection lost")

// lost counts a call, and reports whether it is the one to break.
func (s *fragile) lost() bool { return s.left.Add(-1) == 0 }

func (s *fragile) Commit(ctx context.Context, txs []store.Tx) []error {
	lost := s.lost()
	if lost && s.mode == "torn" {
		txs = slices.Clone(txs)
		for i := range txs {
			txs[i].Adds = nil
		}
	}
	errs := make([]error, len(txs))
	if !lost || s.arrives {
		errs = s.Store.Commit(ctx, txs)
	}
	if lost && s.mode != "sure" {
		return slices.Repeat([]error{errFragile}, len(txs))
	}
	return errs
}

func (s *fragile) Heads(ctx context.Context, issuer string, keys []string) ([]store.Head, error) {
	if !s.lost() {
		return s.Store.Heads(ctx, issuer, keys)
	}
	if s.mode == "empty" {
		return make([]store.Head, len(keys)), nil
	}
	return nil, errFragile
}

func (s *fragile) Get(ctx context.Context, issuer string, ids []lineage.ID) ([]store.Entry, error) {
	if s.lost() {
		return nil, errFragile
	}
	return s.Store.Get(ctx, issuer, ids)
}

func (s *fragile) Revoked(ctx context.Context, issuer string, sels []lineage.Selector) ([]lineage.Mark, error) {
	if s.lost() {
		return nil, errFragile
	}
	return s.Store.Revoked(ctx, issuer, sels)
}

func (s *fragile) Scan(ctx context.Context, issuer string, sel lineage.Selector, from store.Position) iter.Seq2[lineage.Record, error] {
	if s.lost() {
		return func(yield func(lineage.Record, error) bool) { yield(lineage.Record{}, errFragile) }
	}
	return s.Store.Scan(ctx, issuer, sel, from)
}

func (s *fragile) Feed(ctx context.Context, issuer string, after uint64) iter.Seq2[lineage.Revocation, error] {
	if s.lost() {
		return func(yield func(lineage.Revocation, error) bool) { yield(lineage.Revocation{}, errFragile) }
	}
	return s.Store.Feed(ctx, issuer, after)
}

func (s *fragile) Records(ctx context.Context, issuer string, from store.Position) iter.Seq2[lineage.Record, error] {
	return s.Store.(store.Forgetter).Records(ctx, issuer, from)
}

func (s *fragile) Forget(ctx context.Context, r store.Removal) error {
	lost := s.lost()
	if lost && s.mode == "torn" {
		r.Heads = nil
	}
	if lost && !s.arrives {
		if s.mode == "sure" {
			return nil
		}
		return errFragile
	}
	err := s.Store.(store.Forgetter).Forget(ctx, r)
	if lost {
		return errFragile
	}
	return err
}

func breakFragile(_ *testing.T, s store.Store, n int, arrives bool) func() bool {
	f := s.(*fragile)
	f.left.Store(int64(n))
	f.arrives = arrives
	return func() bool { return f.left.Swap(-1) <= 0 }
}

// breaking returns stores with a mode.
func breaking(mode string) power {
	return power{
		func(*testing.T) store.Store { return &fragile{Store: memory.New(), mode: mode} },
		storetest.Options{Break: breakFragile},
	}
}

// power is a store and what it declares.
type power struct {
	newStore func(*testing.T) store.Store
	storetest.Options
}

const soon = 200 * time.Millisecond

// powers are stores that declare what they cannot do, by the case that must find them.
var powers = map[string]power{
	"Hints/Closes":        {telling("deaf"), storetest.Options{Hints: soon}},
	"Hints/Closes, nil":   {telling("nil"), storetest.Options{Hints: soon}},
	"Hints/Closes, none":  {func(*testing.T) store.Store { return memory.New() }, storetest.Options{Hints: soon}},
	"Hints/Feed":          {telling("deaf"), storetest.Options{Hints: soon}},
	"Hints/Waits":         {telling("restless"), storetest.Options{Hints: soon}},
	"Broken/Commit, torn": breaking("torn"),
	"Broken/Commit, sure": breaking("sure"),
	"Broken/Forget, torn": breaking("torn"),
	"Broken/Forget, sure": breaking("sure"),
	"Broken/Reads":        breaking("empty"),
	"Linger/Positive":     {telling("hasty"), storetest.Options{Lingers: true}},
	"Look/Same, blind":    {telling("blind"), storetest.Options{Looks: true}},
	"Look/Same, lost":     {telling("lost"), storetest.Options{Looks: true}},
	"Look/Same, none":     {func(*testing.T) store.Store { return memory.New() }, storetest.Options{Looks: true}},
	"Look/OneMoment":      {telling("torn"), storetest.Options{Looks: true}},
	"Look/Ended":          {telling("deathless"), storetest.Options{Looks: true}},
	"Shared/Hints/Closes": {telling(""), storetest.Options{Hints: soon, Another: func(_ *testing.T, s store.Store) store.Store {
		return &told{Store: s.(*told).Store} // is not told of what the other one commits
	}}},
	"Shared/Heads/Swap": {telling(""), storetest.Options{Another: func(_ *testing.T, s store.Store) store.Store {
		return &remembering{Store: s, seen: map[string]store.Head{}}
	}}},
	"Shared/Concurrent/SingleUse": {telling(""), storetest.Options{Another: func(*testing.T, store.Store) store.Store { return memory.New() }}},
}

// A store with every power passes, and is asked about every one.
func TestPowersThatAreThere(t *testing.T) {
	storetest.Run(t, telling(""), storetest.Options{Hints: time.Minute, Lingers: true, Looks: true, Another: same})
	whole := breaking("")
	storetest.Run(t, whole.newStore, whole.Options)
}
