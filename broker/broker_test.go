package broker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/broker"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// TestACredentialIsUsedAndNotShown: the process uses it; nobody is shown it who did not ask for that, or may not have it.
func TestACredentialIsUsedAndNotShown(t *testing.T) {
	w := newWorld(t)
	tok := w.task("bot")
	l := w.lease(tok)
	require.NoError(t, w.logsIn(l))
	_, err := l.Deliver(w.ctx)
	require.ErrorIs(t, err, broker.ErrKept)
	info := l.Info()
	require.Equal(t, tok.ID, info.Token)
	require.Equal(t, []string{"read"}, info.Scopes)
	require.Equal(t, "erp", info.Connection)
	require.Empty(t, info.Handle)

	boom := errors.New("boom")
	require.Equal(t, boom, l.Use(w.ctx, func(context.Context, broker.Secret) error { return boom }), "as it is")

	shown, err := json.Marshal([]any{l, info})
	require.NoError(t, err)
	text := string(shown) + fmt.Sprintf("%v %+v %#v %s %q", l, l, l, info, info)
	slog.New(slog.NewTextHandler(w.log, nil)).Info("x", "lease", l, "info", info)
	require.NotContains(t, text+w.log.String(), "password")
	require.NotContains(t, text+w.log.String(), "handle of")
}

// TestDeliverOnlyWhereARuleSays: it is asked for and decided, per scope.
func TestDeliverOnlyWhereARuleSays(t *testing.T) {
	w := newWorld(t)
	tok := w.task("bot")
	req := asking(tok, "read")
	req.Deliver = true
	_, err := w.Lease(w.ctx, req)
	var no *tb.DeniedError
	require.ErrorAs(t, err, &no)
	require.Equal(t, tb.CodeInvalidScope, no.Decision.Code)
	require.Zero(t, w.legacy.count(), "nothing was fetched")

	req.Scopes = []string{"export", "read"}
	l, err := w.Lease(w.ctx, req)
	require.NoError(t, err)
	require.Equal(t, []string{"export"}, l.Info().Scopes, "only what may leave is granted")
	secret, err := l.Deliver(w.ctx)
	require.NoError(t, err)
	require.True(t, w.legacy.login(secret))
	require.Equal(t, "secret(hidden)", fmt.Sprintf("%+v", secret))
	require.Contains(t, secret.Reveal()["password"], "password of", "control")
	_, found := w.Find(tok.ID, req.Scopes)
	require.False(t, found, "it is one's own")

	kept := w.lease(tok)
	same, found := w.Find(tok.ID, []string{"read"})
	require.True(t, found)
	require.Same(t, kept, same)
	_, found = w.Find(tok.ID, []string{"write"})
	require.False(t, found)

	w.cut("token:" + tok.ID.String())
	_, err = l.Deliver(w.ctx)
	require.ErrorIs(t, err, broker.ErrOver)
}

// TestEveryCutEndsLeases: whatever is cut above a lease, it is used no more, at once, and its credential is taken back; one of
// another client goes on.
func TestEveryCutEndsLeases(t *testing.T) {
	cuts := map[string]func(w *world, tok tb.Token, l *broker.Lease){
		"the task completes": func(w *world, tok tb.Token, _ *broker.Lease) { w.set(tok, tb.TaskCompleted) },
		"the task rests":     func(w *world, tok tb.Token, _ *broker.Lease) { w.set(tok, tb.TaskSuspended) },
		"the lease":          func(w *world, _ tb.Token, l *broker.Lease) { w.cut("token:" + l.Info().ID.String()) },
		"the token retires": func(w *world, tok tb.Token, _ *broker.Lease) {
			require.NoError(w, w.gov.Retire(w.ctx, tb.Client{ID: "bot", Kind: tb.KindAgent}, tok.Value()))
		},
		"a signal": func(w *world, _ tb.Token, _ *broker.Lease) {
			_, err := w.gov.Signal(w.ctx, ops, tb.Signal{Env: map[string]any{"frozen": "bot"}})
			require.NoError(w, err)
		},
		"the token expires": func(w *world, _ tb.Token, _ *broker.Lease) { w.clock.Add(5 * time.Minute) },
	}
	for name, sel := range map[string]string{
		"client": "client:bot", "subject": "subject:bot", "actor": "actor:bot", "path": "path:/agents",
		"connection": "connection:erp", "broker": "client:broker",
	} {
		cuts[name] = func(w *world, _ tb.Token, _ *broker.Lease) { w.cut(sel) }
	}
	for _, kind := range []string{"token", "task", "grant"} {
		cuts["by "+kind] = func(w *world, tok tb.Token, _ *broker.Lease) {
			w.cut(kind + ":" + map[string]string{"token": tok.ID.String(), "task": tok.TaskID.String(), "grant": tok.TaskID.String()}[kind])
		}
	}
	all := map[string]bool{"path": true, "connection": true, "broker": true, "the token expires": true} // the others' too
	for name, cut := range cuts {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			tok := w.task("bot")
			l, other := w.lease(tok), w.lease(w.task("other"))
			require.NoError(t, w.logsIn(l), "control")
			cut(w, tok, l)
			require.ErrorIs(t, w.logsIn(l), broker.ErrOver)
			<-l.Done()
			w.sweep()
			require.False(t, w.legacy.has(l.Info().ID), "taken back")
			require.Equal(t, "handle of lease-"+l.Info().ID.String(), w.legacy.handles[l.Info().ID])
			if all[name] {
				require.Zero(t, w.legacy.count())
				return
			}
			require.NoError(t, w.logsIn(other), "control")
			require.Len(t, w.open(), 1)
		})
	}
}

func (w *world) set(tok tb.Token, to tb.TaskState) {
	_, err := w.gov.SetTask(w.ctx, ops, tok.TaskID, to)
	require.NoError(w, err)
}

// TestRunCutsAtOnce: what runs with the credential is told, and the credential is taken back, without a clock that moves.
func TestRunCutsAtOnce(t *testing.T) {
	w := newWorld(t)
	gone := make(chan lineage.ID, 10)
	w.legacy.onRevoke = func(_ context.Context, l tb.Lease) error {
		gone <- l.ID
		return nil
	}
	ctx, stop := context.WithCancel(w.ctx)
	ended := make(chan error)
	go func() { ended <- w.Run(ctx) }()
	tok := w.task("bot")
	l := w.lease(tok)
	using := make(chan error)
	err := l.Use(w.ctx, func(ctx context.Context, _ broker.Secret) error {
		go func() {
			<-ctx.Done()
			using <- context.Cause(ctx)
		}()
		w.cut("connection:erp")
		return <-using
	})
	require.ErrorIs(t, err, broker.ErrOver)
	require.Equal(t, l.Info().ID, <-gone)
	stop()
	require.ErrorIs(t, <-ended, context.Canceled)
}

// TestALeaseThatIsGivenBack is not used again, and is no victim of a later cut.
func TestALeaseThatIsGivenBack(t *testing.T) {
	w := newWorld(t)
	tok := w.task("bot")
	l, kept := w.lease(tok), w.lease(tok)
	require.NoError(t, l.End(w.ctx))
	require.ErrorIs(t, w.logsIn(l), broker.ErrOver)
	require.NoError(t, l.End(w.ctx), "twice")
	require.NoError(t, w.logsIn(kept), "control")
	w.sweep()
	require.Equal(t, 1, w.legacy.count())
	w.set(tok, tb.TaskCompleted)
	c, err := w.gov.Closure(w.ctx, ops, lineage.Selector{Kind: lineage.SelectTask, Value: tok.TaskID.String()}, lineage.ID{})
	require.NoError(t, err)
	require.Equal(t, []int{1, 1}, []int{c.Leases, c.Outstanding})
	w.sweep()
	c, err = w.gov.Closure(w.ctx, ops, lineage.Selector{Kind: lineage.SelectTask, Value: tok.TaskID.String()}, lineage.ID{})
	require.NoError(t, err)
	require.Equal(t, []int{1, 0}, []int{c.Leases, c.Outstanding})
	require.True(t, c.Complete)
}

func TestNewNamesWhatItCannotWorkWith(t *testing.T) {
	w := newWorld(t)
	good := broker.Config{Governor: w.gov, Client: w.client, Providers: map[string]broker.Provider{"erp": w.legacy}}
	for field, spoil := range map[string]func(*broker.Config){
		"Governor is required":         func(c *broker.Config) { c.Governor = nil },
		"Client must be":               func(c *broker.Config) { c.Client.Kind = tb.KindAgent },
		"have a resource":              func(c *broker.Config) { c.Client.Resource = "" },
		"Client has no connections":    func(c *broker.Config) { c.Client.Connections = nil },
		`none for the connection "x"`:  func(c *broker.Config) { c.Client.Connections = []string{"erp", "x"} },
		`Providers["x"] is for no`:     func(c *broker.Config) { c.Providers = map[string]broker.Provider{"erp": w.legacy, "x": w.legacy} },
		"Timeout must be between":      func(c *broker.Config) { c.Timeout = 6 * time.Minute },
		"Retry must be between":        func(c *broker.Config) { c.Retry = -1 },
		"Providers has none for the c": func(c *broker.Config) { c.Providers = nil },
	} {
		cfg := good
		spoil(&cfg)
		_, err := broker.New(cfg)
		require.ErrorContains(t, err, field)
	}
	_, err := broker.New(good)
	require.NoError(t, err, "control")
}
