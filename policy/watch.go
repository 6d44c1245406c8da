package policy

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary"
)

// DefaultInterval is how often a watched directory is looked at where WatchOptions say nothing else.
const DefaultInterval = time.Second

// WatchOptions say how a directory is watched. The zero value is usable.
type WatchOptions struct {
	Interval time.Duration // between two looks; zero or less: DefaultInterval
	Clock    clock.Clock   // nil: the system's clock
	Logger   *slog.Logger  // nil: nothing is logged
	// OnChange, if set, is called after the directory was loaded again, because it changed or by Reload: with the version
	// now in force and nil, or with the version that stays in force and the reason why the new set was refused. Calls do
	// not overlap, and nothing else is loaded during one: it must not call Reload, and leaves to others what takes long.
	OnChange func(version string, err error)
}

// Watched is a policy set that follows a directory. A set that does not load leaves the last good one in force. It keeps the
// documents of the set in force as it has read them, and reads only those anew that have other bytes. It is safe for
// concurrent use; make one with Watch.
type Watched struct {
	dir      string
	log      *slog.Logger
	onChange func(string, error)

	set     atomic.Pointer[Set]
	refusal atomic.Pointer[error]

	mu     sync.Mutex // held while loading
	memory memory     // of the documents of the set in force
	loaded uint64     // the look of the directory that was last loaded, or refused
	seen   uint64     // the look of the directory at the last poll
}

var _ Versioned = (*Watched)(nil)

// Watch loads the policy set in dir and keeps looking for changes until the context ends; the set that is then in
// force stays. The first set has to load.
//
// A change is noticed by names, sizes and modification times, and is loaded when the directory has looked the same for
// one interval, so that a tree that is still being copied is not taken for the new set.
func Watch(ctx context.Context, dir string, opts WatchOptions) (*Watched, error) {
	if opts.Interval <= 0 {
		opts.Interval = DefaultInterval
	}
	if opts.Clock == nil {
		opts.Clock = clock.New()
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if _, err := os.ReadDir(dir); err != nil {
		return nil, fmt.Errorf("policy: %w", err) // names the directory; a set knows only what is in it
	}
	w := &Watched{dir: dir, log: opts.Logger, onChange: opts.OnChange}
	w.seen = w.look(nil)
	how := atOnce()
	how.memory = &w.memory
	set, err := loadSet(os.DirFS(dir), how)
	if err != nil {
		return nil, err
	}
	w.loaded = w.seen
	w.set.Store(set)
	ticker := opts.Clock.Ticker(opts.Interval)
	go func() {
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				w.poll(ctx)
			}
		}
	}()
	return w, nil
}

// Evaluate implements tokenboundary.Policy with the set in force. The whole verdict is of the set whose version it names.
func (w *Watched) Evaluate(ctx context.Context, facts tokenboundary.Facts) (tokenboundary.Verdict, error) {
	return w.set.Load().Evaluate(ctx, facts)
}

// Version returns the version of the set in force: what an Evaluate that began now would name in its verdict. A later
// one may name another.
func (w *Watched) Version() string { return w.set.Load().Version() }

// Err says why the directory's present content was refused; nil while it is what is in force.
func (w *Watched) Err() error {
	if err := w.refusal.Load(); err != nil {
		return *err
	}
	return nil
}

// Reload loads the directory now, whether it has changed or not. An error means that the last good set stays in force. It
// gives way to decisions: a second for a thousand documents, some four seconds at most.
func (w *Watched) Reload(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	p := &pace{ctx: ctx}
	now := w.look(p)
	w.seen = now
	return w.load(ctx, now, p)
}

// poll loads the directory if it has changed and has stopped changing.
func (w *Watched) poll(ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := &pace{ctx: ctx}
	now := w.look(p)
	settled := now == w.seen
	w.seen = now
	if settled && now != w.loaded {
		w.load(ctx, now, p) //nolint:errcheck // kept for Err, logged, and told to OnChange
	}
}

var errMoving = errors.New("policy: the directory changed while it was read")

// load reads the directory, which has a look, and makes it what is in force. Where it changes while that gives way to decisions, it
// is read again in a hurry, so that a large set which changes often comes into force all the same. After the end of the context
// nothing does.
func (w *Watched) load(ctx context.Context, look uint64, p *pace) error {
	set, err := w.read(look, p)
	if errors.Is(err, errMoving) && p != nil {
		w.seen = w.look(nil)
		set, err = w.read(w.seen, nil)
	}
	if ctx.Err() != nil {
		w.loaded = 0 // whatever it looks like, it is to be loaded
		return ctx.Err()
	}
	if err != nil {
		w.refusal.Store(&err)
		w.log.Error("policy set refused; the last good one stays in force", "version", w.Version(), "error", err)
	} else {
		w.refusal.Store(nil)
		w.set.Store(set)
		w.log.Info("policy set in force", "version", set.Version())
	}
	if w.onChange != nil {
		w.onChange(w.Version(), err)
	}
	return err
}

func (w *Watched) read(look uint64, p *pace) (*Set, error) {
	set, err := loadSet(os.DirFS(w.dir), w.set.Load().beside(&w.memory, p))
	if err == nil && w.look(p) != look {
		return nil, errMoving
	}
	w.loaded = look
	return set, err
}

// look sums up what the directory looks like from outside. What cannot be read looks different from everything else.
func (w *Watched) look(p *pace) uint64 {
	h := fnv.New64a()
	n := 0
	err := fs.WalkDir(os.DirFS(w.dir), ".", func(file string, e fs.DirEntry, err error) error {
		if err != nil || n > 2*maxFiles {
			return fmt.Errorf("look: %w", errors.Join(err, fs.ErrInvalid))
		}
		if file != "." && strings.HasPrefix(e.Name(), ".") {
			return skip(e)
		}
		n++
		p.turn(aLook)
		info, err := e.Info()
		if err != nil {
			return err
		}
		size := info.Size()
		if e.IsDir() {
			size = 0
		}
		fmt.Fprintf(h, "%q %v %d %d\n", file, info.Mode(), size, info.ModTime().UnixNano())
		return nil
	})
	if err != nil {
		io.WriteString(h, "unreadable")
	}
	return h.Sum64()
}
