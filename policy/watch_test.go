package policy

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
)

type change struct {
	version string
	err     error
}

// watched is a directory under watch with a clock of its own.
type watched struct {
	*Watched
	dir     string
	clock   *clock.Mock
	changes chan change
	log     *bytes.Buffer
}

func watch(t *testing.T, text string) *watched {
	t.Helper()
	w := &watched{dir: t.TempDir(), clock: clock.NewMock(), changes: make(chan change, 8), log: &bytes.Buffer{}}
	w.write(t, "crm.yaml", text)
	got, err := Watch(t.Context(), w.dir, WatchOptions{
		Interval: time.Second, Clock: w.clock, Logger: slog.New(slog.NewTextHandler(w.log, nil)),
		OnChange: func(version string, err error) { w.changes <- change{version, err} },
	})
	require.NoError(t, err)
	w.Watched = got
	return w
}

func (w *watched) write(t *testing.T, name, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(w.dir, name)), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o644))
}

// next lets the clock run until a change is reported.
func (w *watched) next(t *testing.T) change {
	t.Helper()
	for range 50 {
		w.clock.Add(time.Second)
		select {
		case c := <-w.changes:
			return c
		default:
		}
	}
	require.Fail(t, "no change was noticed")
	return change{}
}

// told returns the change that was reported before now.
func (w *watched) told(t *testing.T) change {
	t.Helper()
	select {
	case c := <-w.changes:
		return c
	default:
		require.Fail(t, "no change was reported")
		return change{}
	}
}

func (w *watched) effect(t *testing.T) tokenboundary.Effect {
	t.Helper()
	v, err := w.Evaluate(t.Context(), request())
	require.NoError(t, err)
	require.Equal(t, w.Version(), v.Version)
	return v.Effect
}

var (
	permits = leafOf("allow: [{rule: r, when: \"true\", scopes: [cases:read]}]\n")
	forbids = leafOf("deny: [{rule: closed, when: \"true\"}]\n")
)

func TestWatchFollowsTheDirectory(t *testing.T) {
	w := watch(t, permits)
	first := w.Version()
	require.Equal(t, tokenboundary.Allow, w.effect(t))
	require.NoError(t, w.Err())

	w.write(t, "crm.yaml", forbids)
	c := w.next(t)
	require.NoError(t, c.err)
	require.Equal(t, c.version, w.Version())
	require.NotEqual(t, first, c.version)
	require.Equal(t, tokenboundary.Deny, w.effect(t))

	w.write(t, "crm.yaml", permits)
	require.Equal(t, change{version: first}, w.next(t))
	require.Equal(t, tokenboundary.Allow, w.effect(t))

	w.write(t, "boundary.yaml", "deny: [{rule: stop, when: \"true\"}]\n")
	require.NoError(t, w.next(t).err)
	require.Equal(t, tokenboundary.Deny, w.effect(t))
}

func TestABrokenSetLeavesTheLastGoodOneInForce(t *testing.T) {
	w := watch(t, permits)
	first := w.Version()
	for _, breakIt := range []func(){
		func() { w.write(t, "crm.yaml", permits+"unknown: 1\n") },
		func() { w.write(t, "crm.yaml", leafOf("deny: [{rule: r, when: \"nonsense\"}]\n")) },
		func() { require.NoError(t, os.Remove(filepath.Join(w.dir, "crm.yaml"))) },
		func() { w.write(t, "notes.txt", "x") },
		func() { require.NoError(t, os.RemoveAll(w.dir)) },
	} {
		breakIt()
		c := w.next(t)
		require.ErrorContains(t, c.err, "policy: the set is refused")
		require.Equal(t, first, c.version)
		require.Equal(t, c.err, w.Err())
		require.Equal(t, tokenboundary.Allow, w.effect(t))
	}
	require.Contains(t, w.log.String(), "the last good one stays in force")

	w.write(t, "crm.yaml", forbids)
	require.NoError(t, w.next(t).err)
	require.NoError(t, w.Err())
	require.Equal(t, tokenboundary.Deny, w.effect(t))
}

func TestAChangeIsLoadedOnlyWhenTheDirectoryHasSettled(t *testing.T) {
	w := watch(t, permits)
	for i := range 5 { // a tree that is still being copied
		w.write(t, "crm.yaml", forbids+strings.Repeat("#", i))
		w.poll(t.Context())
		require.Empty(t, w.changes)
	}
	w.poll(t.Context())
	require.NoError(t, (<-w.changes).err)
	require.Equal(t, tokenboundary.Deny, w.effect(t))
	w.poll(t.Context())
	require.Empty(t, w.changes, "what is in force is not loaded again")
}

func TestReload(t *testing.T) {
	w := watch(t, permits)
	first := w.Version()
	w.write(t, "crm.yaml", forbids)
	require.NoError(t, w.Reload(t.Context()))
	require.Equal(t, tokenboundary.Deny, w.effect(t))
	second := w.Version()
	require.NotEqual(t, first, second)
	require.Equal(t, change{version: second}, w.told(t), "before Reload returns")

	w.write(t, "crm.yaml", "no: policy\n")
	require.ErrorContains(t, w.Reload(t.Context()), `unknown key "no"`)
	require.ErrorContains(t, w.Err(), `unknown key "no"`)
	require.Equal(t, tokenboundary.Deny, w.effect(t))
	require.Equal(t, change{version: second, err: w.Err()}, w.told(t))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, w.Reload(ctx), context.Canceled)
	require.Empty(t, w.changes)

	w.write(t, "crm.yaml", permits)
	require.NoError(t, w.Reload(t.Context()))
	require.Equal(t, change{version: first}, w.told(t))
	require.NoError(t, w.Err())
	w.poll(t.Context())
	w.poll(t.Context())
	require.Empty(t, w.changes, "what Reload has loaded is not loaded again")
	require.NoError(t, w.Reload(t.Context()))
	require.Equal(t, change{version: first}, w.told(t), "Reload loads what has not changed, too")
}

// What is told of a change is in force when it is told, and whoever is told is told of one change at a time.
func TestCallsOfOnChangeDoNotOverlap(t *testing.T) {
	var w *Watched
	var within, calls atomic.Int32
	var overlaps, early atomic.Bool
	dir := t.TempDir()
	write := func(text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "crm.yaml"), []byte(text), 0o644))
	}
	write(permits)
	w, err := Watch(t.Context(), dir, WatchOptions{Clock: clock.NewMock(), OnChange: func(version string, _ error) {
		if within.Add(1) > 1 {
			overlaps.Store(true)
		}
		calls.Add(1)
		v, err := w.Evaluate(context.Background(), request())
		if err != nil || v.Version != version || w.Version() != version {
			early.Store(true)
		}
		runtime.Gosched()
		within.Add(-1)
	}})
	require.NoError(t, err)
	write(forbids)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 10 {
				if err := w.Reload(context.Background()); err != nil {
					t.Errorf("reload: %v", err)
				}
				w.poll(t.Context())
			}
		})
	}
	wg.Wait()
	require.GreaterOrEqual(t, calls.Load(), int32(40))
	require.False(t, overlaps.Load())
	require.False(t, early.Load(), "told of a set that is not in force")
}

func TestTheFirstSetHasToLoad(t *testing.T) {
	w, err := Watch(t.Context(), filepath.Join(t.TempDir(), "missing"), WatchOptions{})
	require.ErrorContains(t, err, "missing: no such file or directory")
	require.Nil(t, w)
}

func TestSymbolicLinksInADirectoryAreRefused(t *testing.T) {
	w := watch(t, permits)
	require.NoError(t, os.Symlink(filepath.Join(w.dir, "crm.yaml"), filepath.Join(w.dir, "link.yaml")))
	require.ErrorContains(t, w.Reload(t.Context()), "link.yaml: symbolic links are not followed")
}

// Evaluations run while sets are swapped that both allow, in every respect otherwise; each verdict is wholly of one set.
func TestEvaluationsRaceWithReloads(t *testing.T) {
	texts := []string{permits, leafOf(`allow:
- {rule: other, when: 'task.purpose == "triage"', scopes: [cases:read], lifetime: 5m, recheck: 1m, delegates: [crm-tool], refresh: true}
limits: {depth: 3, derivations: 5}
controls: [c:1]
`)}
	w := watch(t, texts[0])
	want := map[string]tokenboundary.Verdict{}
	for _, text := range texts {
		s := load(t, map[string]string{"crm.yaml": text})
		want[s.Version()] = evaluate(t, s, request())
		require.Equal(t, tokenboundary.Allow, want[s.Version()].Effect)
	}
	require.Len(t, want, 2)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				v, err := w.Evaluate(context.Background(), request())
				if err != nil || !reflect.DeepEqual(want[v.Version], v) {
					t.Errorf("mixed verdict: %v %v", v, err)
				}
			}
		})
	}
	for i := range 20 {
		w.write(t, "crm.yaml", texts[(i+1)%2])
		require.NoError(t, w.Reload(t.Context()))
		<-w.changes
	}
	wg.Wait()
}

func TestADirectoryThatChangesWhileItIsReadIsNotTaken(t *testing.T) {
	w := watch(t, permits)
	w.write(t, "crm.yaml", forbids)
	require.ErrorIs(t, w.load(t.Context(), w.look(nil)+1, nil), errMoving) // it looked otherwise when reading began
	require.ErrorIs(t, (<-w.changes).err, errMoving)
	require.ErrorIs(t, w.Err(), errMoving)
	require.Equal(t, tokenboundary.Allow, w.effect(t))

	require.NoError(t, w.next(t).err, "it is tried again")
	require.NoError(t, w.Err())
	require.Equal(t, tokenboundary.Deny, w.effect(t))
}

// What ends while it is loaded changes nothing, and says so; the directory is loaded the next time.
func TestALoadThatItsContextEndsIsNoLoad(t *testing.T) {
	w := watch(t, permits)
	w.write(t, "crm.yaml", forbids)
	ended, end := context.WithCancel(t.Context())
	end()
	require.ErrorIs(t, w.load(ended, w.look(nil), &pace{ctx: ended}), context.Canceled)
	require.NoError(t, w.Err(), "nothing was refused")
	require.Empty(t, w.changes)
	require.Equal(t, tokenboundary.Allow, w.effect(t))
	require.NoError(t, w.next(t).err, "control: it is noticed as before")
	require.Equal(t, tokenboundary.Deny, w.effect(t))
}

// A change while reading gives way to decisions costs one more reading, which does not, and not the set.
func TestADirectoryThatChangesDuringASlowReadingIsReadAgain(t *testing.T) {
	w := watch(t, permits)
	w.write(t, "crm.yaml", forbids)
	require.NoError(t, w.load(t.Context(), w.look(nil)+1, &pace{ctx: t.Context()}))
	require.NoError(t, (<-w.changes).err)
	require.NoError(t, w.Err())
	require.Equal(t, tokenboundary.Deny, w.effect(t))
}
