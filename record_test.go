package tokenboundary_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/bolt"
)

// onDisk puts a world's state into a file.
func onDisk(w *world) {
	s, err := bolt.Open(filepath.Join(w.TempDir(), "state.db"))
	require.NoError(w, err)
	w.Cleanup(func() { _ = s.Close() })
	w.store = s
}

// node returns another Governor over the same store.
func (w *world) node() *world {
	other := *w
	other.restart()
	return &other
}

// meeting lets nobody who reads a head go on before two have read it.
type meeting struct {
	store.Store
	key  string
	left atomic.Int32
	both sync.WaitGroup
}

func (m *meeting) Heads(ctx context.Context, iss string, keys []string) ([]store.Head, error) {
	heads, err := m.Store.Heads(ctx, iss, keys)
	if slices.Contains(keys, m.key) && m.left.Add(-1) >= 0 {
		m.both.Done()
		m.both.Wait()
	}
	return heads, err
}

func TestOneHandleIsBoundThoughTwoAreRecordedAtOnce(t *testing.T) {
	w := newWorld(t)
	task := w.start("work", 2, "read")
	d := w.decided(w.exchange("researcher", host(task), crm, "read"))
	m := &meeting{Store: w.store, key: canon.Key("decision", d.ID.String())}
	m.left.Store(2)
	m.both.Add(2)
	w.store = m
	nodes, errs := []*world{w.node(), w.node()}, [2]error{}
	var all sync.WaitGroup
	for i, n := range nodes {
		all.Go(func() { errs[i] = n.Record(w.ctx, d, tb.HostToken{Handle: fmt.Sprint("h", i)}) })
	}
	all.Wait()
	won := slices.Index(errs[:], nil)
	require.GreaterOrEqual(t, won, 0, "%v", errs)
	require.ErrorIs(t, errs[1-won], tb.ErrConflict)
	require.ErrorContains(t, errs[1-won], "another handle")
	for i, n := range nodes {
		cred := tb.Credential{Type: tb.TypeAccessToken, Verified: &tb.Principal{Party: d.Subject, Handle: fmt.Sprint("h", i)}}
		req := n.exchange("researcher", cred, crm, "read")
		if i == won {
			n.decided(req)
		} else {
			n.refused(req, tb.CodeInvalidRequest, "no decision has this handle")
		}
	}
	got, err := w.Task(w.ctx, ops, task.TaskID)
	require.NoError(t, err)
	require.EqualValues(t, 1, got.Derivations)
}

func TestAHandleNamesOneDecision(t *testing.T) {
	w := newWorld(t)
	one := w.decided(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	two := w.decided(w.exchange("orchestrator", w.human("bob"), crm, "read"))
	require.NoError(t, w.Record(w.ctx, one, tb.HostToken{Handle: "a"}))
	require.ErrorIs(t, w.Record(w.ctx, two, tb.HostToken{Handle: "a"}), tb.ErrConflict)
	_, err := w.Lineage(w.ctx, ops, two.ID)
	require.ErrorIs(t, err, tb.ErrNotFound)
	require.NoError(t, w.Record(w.ctx, two, tb.HostToken{Handle: "b"}), "nothing of it was used up")
}

func TestTwoNodesRecordNoMoreThanTheBudgetOnDisk(t *testing.T) {
	w := newWorld(t, onDisk)
	const budget, asked = 3, 12
	task := w.start("work", budget, "read")
	nodes := []*world{w.node(), w.node()}
	errs := make([]error, asked)
	var decisions [asked]tb.Decision
	for i := range decisions {
		decisions[i] = w.decided(w.exchange("researcher", host(task), crm, "read"))
		w.clock.Add(time.Millisecond) // one decision is not the repeat of another
	}
	var all sync.WaitGroup
	for i, d := range decisions {
		all.Go(func() { errs[i] = nodes[i%2].Record(w.ctx, d, tb.HostToken{Handle: fmt.Sprint("h", i)}) })
	}
	all.Wait()
	recorded := 0
	for _, err := range errs {
		if err == nil {
			recorded++
			continue
		}
		require.ErrorIs(t, err, tb.ErrConflict)
	}
	require.Equal(t, budget, recorded)
	got, err := w.Task(w.ctx, ops, task.TaskID)
	require.NoError(t, err)
	require.EqualValues(t, budget, got.Derivations)
}

func TestWhatIsReleasedWhileATaskEndsDiesWithItOnDisk(t *testing.T) {
	w := newWorld(t, minting, onDisk)
	req := w.exchange("orchestrator", w.human("alice"), crm, "read")
	req.Task = &tb.TaskSpec{Purpose: "work"}
	task := w.issued(req)
	var ended atomic.Bool
	var mu sync.Mutex
	var all sync.WaitGroup
	released := []tb.Token{task}
	for i := range 8 {
		n := w.node()
		all.Go(func() {
			for range 3 {
				late := ended.Load()
				tok, err := n.Issue(w.ctx, n.exchange("researcher", bearer(task), crm, "read"))
				if err != nil {
					continue
				}
				if late {
					t.Error("released after the task had ended")
				}
				mu.Lock()
				released = append(released, tok)
				mu.Unlock()
			}
			if i == 3 {
				if _, err := n.SetTask(w.ctx, ops, task.TaskID, tb.TaskCompleted); err != nil {
					t.Error(err)
				}
				ended.Store(true)
			}
		})
	}
	all.Wait()
	require.Greater(t, len(released), 3, "positive control: what came before the end was released")
	for _, tok := range released {
		s, err := w.Introspect(w.ctx, ops, tok.Value())
		require.NoError(t, err)
		require.False(t, s.Active)
	}
}

// altered returns d with its last record sealed anew after the change, under its own new id.
func (w *world) altered(d tb.Decision, change func(*lineage.Envelope, *lineage.Body)) tb.Decision {
	w.Helper()
	p := *d.Pending
	last := p.Records[len(p.Records)-1]
	env, body := last.Envelope, *last.Body
	change(&env, &body)
	r, err := lineage.Seal(env, body)
	require.NoError(w, err)
	p.Records = append(slices.Clone(p.Records[:len(p.Records)-1]), r)
	d.Pending, d.ID = &p, r.ID()
	return d
}

func TestOnlyWhatWasDecidedIsRecorded(t *testing.T) {
	sealed := func(change func(*lineage.Envelope, *lineage.Body)) func(*world, tb.Decision) tb.Decision {
		return func(w *world, d tb.Decision) tb.Decision { return w.altered(d, change) }
	}
	pending := func(change func(*tb.Pending)) func(*world, tb.Decision) tb.Decision {
		return func(_ *world, d tb.Decision) tb.Decision {
			p := *d.Pending
			p.Spends = slices.Clone(p.Spends)
			change(&p)
			d.Pending = &p
			return d
		}
	}
	for name, change := range map[string]func(*world, tb.Decision) tb.Decision{
		"wider": sealed(func(_ *lineage.Envelope, b *lineage.Body) {
			b.Granted.Access = []lineage.Access{{Resource: crm, Scopes: []string{"admin", "read"}}}
		}),
		"deeper":            sealed(func(_ *lineage.Envelope, b *lineage.Body) { b.Granted.Depth++ }),
		"of another":        sealed(func(_ *lineage.Envelope, b *lineage.Body) { b.Subject.ID = "root" }),
		"without selectors": sealed(func(_ *lineage.Envelope, b *lineage.Body) { b.Selectors = nil }),
		"longer":            sealed(func(e *lineage.Envelope, _ *lineage.Body) { e.ExpiresAt = e.ExpiresAt.Add(time.Hour) }),
		"younger": sealed(func(e *lineage.Envelope, _ *lineage.Body) {
			e.IssuedAt = e.IssuedAt.Add(4 * time.Second)
			e.Since = e.IssuedAt
		}),
		"without a parent": sealed(func(e *lineage.Envelope, b *lineage.Body) {
			e.Parents, e.Ancestors, e.Grant, b.Task = nil, nil, lineage.ID{}, nil
		}),
		"on other facts":          sealed(func(_ *lineage.Envelope, b *lineage.Body) { b.Facts = nil }),
		"without a spend":         pending(func(p *tb.Pending) { p.Spends = nil }),
		"with a spend not its":    pending(func(p *tb.Pending) { p.Spends = append(p.Spends, tb.Spend{Key: "keys"}) }),
		"with another's spend":    pending(func(p *tb.Pending) { p.Spends[0].Key += "x" }),
		"with a spend that fades": pending(func(p *tb.Pending) { p.Spends[0].Expires = p.Spends[0].Expires.Add(-time.Minute) }),
		"without a MAC":           pending(func(p *tb.Pending) { p.MAC = nil }),
		"with half a MAC":         pending(func(p *tb.Pending) { p.MAC = p.MAC[:16] }),
		"with another's MAC": func(w *world, d tb.Decision) tb.Decision {
			other := w.decided(w.exchange("tool", w.human("bob"), crm, "read"))
			return pending(func(p *tb.Pending) { p.MAC = other.Pending.MAC })(w, d)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			req := w.exchange("researcher", host(w.start("work", 5, "read")), crm, "read")
			req.Client = w.once("researcher", "a")
			d := w.decided(req)
			bad := change(w, d)
			require.ErrorIs(t, w.Record(w.ctx, bad, tb.HostToken{Handle: "a"}), tb.ErrInvalid)
			_, err := w.Lineage(w.ctx, ops, bad.ID)
			require.ErrorIs(t, err, tb.ErrNotFound)
			require.NoError(t, w.node().Record(w.ctx, d, tb.HostToken{Handle: "a"}), "positive control, at another node")
		})
	}
}

func TestADecisionOfOneTenantIsNothingToAnother(t *testing.T) {
	w := newWorld(t)
	other := *w
	other.cfg.Issuer = "https://other.example"
	other.restart()
	d := w.decided(w.exchange("tool", w.human("alice"), crm, "read"))
	require.ErrorIs(t, other.Record(w.ctx, d, tb.HostToken{Handle: "a"}), tb.ErrInvalid)
	require.NoError(t, w.Record(w.ctx, d, tb.HostToken{Handle: "a"}))
	_, err := other.Lineage(w.ctx, ops, d.ID)
	require.ErrorIs(t, err, tb.ErrNotFound)
	for name, cred := range map[string]tb.Credential{
		"its id":     host(d),
		"its handle": {Type: tb.TypeAccessToken, Verified: &tb.Principal{Party: d.Subject, Handle: "a"}},
	} {
		req := other.exchange("tool", cred, crm, "read")
		req.Enforce = everything
		got, err := other.Decide(w.ctx, req)
		require.NoError(t, err)
		require.Equal(t, tb.CodeInvalidRequest, got.Code, name)
		require.Contains(t, got.Reasons[0].Why, "not acceptable", name)
		w.granted(w.exchange("tool", cred, crm, "read"))
	}
}

func TestADecisionIsRecordedOnlyWithinItsTime(t *testing.T) {
	for name, c := range map[string]struct {
		lifetime, wait time.Duration
		ok             bool
	}{
		"at once":            {0, 0, true},
		"within the minute":  {0, time.Minute, true},
		"after the minute":   {0, time.Minute + time.Second, false},
		"before its own end": {10 * time.Second, 9 * time.Second, true},
		"at its own end":     {10 * time.Second, 10 * time.Second, false},
		"clock a bit back":   {0, -5 * time.Second, true},
		"clock further back": {0, -6 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.clock.Add(-time.Minute) // when the store first learns the time
			w.granted(w.exchange("tool", w.human("bob"), crm, "read"))
			w.clock.Add(time.Minute)
			req := w.exchange("tool", w.human("alice"), crm, "read")
			req.Lifetime = c.lifetime
			d := w.decided(req)
			w.clock.Set(w.clock.Now().Add(c.wait))
			err := w.Record(w.ctx, d, tb.HostToken{Handle: "a"})
			if c.ok {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, tb.ErrConflict)
			require.ErrorContains(t, err, "too old")
		})
	}
}
