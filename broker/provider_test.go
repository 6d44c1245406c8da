package broker_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/broker"
	"github.com/tokenboundary/tokenboundary/lineage"
)

type issued = broker.Issued

const canary = "s3cr3t-canary"

// TestAProviderThatMisbehaves: it leases nothing, what it made is taken back, and nothing that it says gets out.
func TestAProviderThatMisbehaves(t *testing.T) {
	for name, c := range map[string]struct {
		fetch func(context.Context, *issued) error
		is    error
		says  string
	}{
		"an error with a secret": {func(context.Context, *issued) error { return errors.New(canary) }, tb.ErrUnavailable, "failed"},
		"a refusal":              {func(context.Context, *issued) error { return fmt.Errorf("%w: %s", tb.ErrDenied, canary) }, tb.ErrDenied, "refused"},
		"it is down": {func(context.Context, *issued) error { return fmt.Errorf("%w: %s", tb.ErrUnavailable, canary) },
			tb.ErrUnavailable, "is not available"},
		"what it may say": {func(context.Context, *issued) error {
			return errors.Join(tb.ErrUnavailable, broker.PublicError("the vault answered 503"), errors.New(canary))
		}, tb.ErrUnavailable, "the vault answered 503"},
		"a panic with a secret": {func(context.Context, *issued) error { panic(canary) }, tb.ErrUnavailable, "failed"},
		"half an answer": {func(_ context.Context, out *issued) error {
			out.Secret = broker.Secret{}
			return nil
		}, tb.ErrUnavailable, "answered without a credential"},
		"what has ended": {func(_ context.Context, out *issued) error {
			out.Expires = time.Unix(1, 0)
			return nil
		}, tb.ErrUnavailable, "answered with what has ended"},
		"a handle that is too long": {func(_ context.Context, out *issued) error {
			out.Handle = []byte(strings.Repeat(canary, 1000))
			return nil
		}, nil, "a handle that is too long"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.legacy.onFetch = func(ctx context.Context, out *issued) error {
				out.Secret = broker.NewSecret(map[string]string{"token": canary})
				return c.fetch(ctx, out)
			}
			tok := w.task("bot")
			_, err := w.Lease(w.ctx, asking(tok, "read"))
			require.ErrorContains(t, err, c.says)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
			require.NotContains(t, err.Error(), canary)
			require.Equal(t, tb.LeaseEnding, w.open()[0].State)
			w.sweep()
			require.Empty(t, w.open())
			require.Zero(t, w.legacy.count())
			w.legacy.onFetch = nil
			require.NoError(t, w.logsIn(w.lease(tok)), "control")
			require.NotContains(t, w.log.String(), canary)
		})
	}
}

// TestAHandleNeedsASealer: without one, nothing is written that would be readable.
func TestAHandleNeedsASealer(t *testing.T) {
	w := newWorld(t, func(w *world) { w.cfg.Sealer = broken{} })
	_, err := w.Lease(w.ctx, asking(w.task("bot"), "read"))
	require.ErrorContains(t, err, "a handle cannot be sealed")
	w.sweep()
	require.Zero(t, w.legacy.count(), "by its name alone")

	cfg := broker.Config{Governor: w.gov, Client: w.client, Clock: w.clock, Providers: map[string]broker.Provider{"erp": w.legacy}}
	b, err := broker.New(cfg)
	require.NoError(t, err)
	_, err = b.Lease(w.ctx, asking(w.task("bot"), "read"))
	require.ErrorContains(t, err, "Config.Sealer is not set")
}

type broken struct{ xor }

func (broken) Seal(context.Context, string, []byte) ([]byte, error) { return nil, errors.New(canary) }

// TestWhatStallsIsGivenUp: by the clock of the broker. What it makes in the end is taken back.
func TestWhatStallsIsGivenUp(t *testing.T) {
	w := newWorld(t)
	stalled := make(chan struct{})
	w.legacy.onFetch = func(ctx context.Context, _ *issued) error {
		close(stalled)
		<-ctx.Done()
		return errors.New(canary)
	}
	got := make(chan error)
	tok := w.task("bot")
	go func() {
		_, err := w.Lease(w.ctx, asking(tok, "read"))
		got <- err
	}()
	<-stalled
	w.sweep()
	require.Equal(t, tb.LeaseIntent, w.open()[0].State, "nobody takes back what is being made")
	w.clock.Add(10 * time.Second)
	require.ErrorContains(t, <-got, "did not answer in time")
	w.sweep()
	require.Zero(t, w.legacy.count())
	require.NotContains(t, w.log.String(), canary)
}

// TestWhoDoesNotWaitAnyMore: what was begun is finished, and can be found.
func TestWhoDoesNotWaitAnyMore(t *testing.T) {
	w := newWorld(t)
	begun, finish := make(chan struct{}), make(chan struct{})
	w.legacy.onFetch = func(context.Context, *issued) error {
		close(begun)
		<-finish
		return nil
	}
	ctx, leave := context.WithCancel(w.ctx)
	go func() {
		<-begun
		leave()
	}()
	tok := w.task("bot")
	_, err := w.Lease(ctx, asking(tok, "read"))
	require.ErrorIs(t, err, context.Canceled)
	close(finish)
	w.set(tok, tb.TaskCompleted)
	for len(w.open()) > 0 { // until the call that is under way has ended
		w.sweep()
	}
	require.Zero(t, w.legacy.count())
}

// TestWhatCannotBeTakenBackIsOutstanding: it is tried again, ever later, and not reported done before it is.
func TestWhatCannotBeTakenBackIsOutstanding(t *testing.T) {
	w := newWorld(t)
	tok := w.task("bot")
	l := w.lease(tok)
	w.sweep()
	require.Equal(t, broker.Outstanding{Leases: 1}, w.Outstanding())
	w.legacy.onRevoke = func(context.Context, tb.Lease) error { return fmt.Errorf("%w: %s", errDown, canary) }
	w.set(tok, tb.TaskCompleted)
	first := w.clock.Now()
	tried := func() int {
		w.legacy.mu.Lock()
		defer w.legacy.mu.Unlock()
		return w.legacy.revoked
	}
	for n, wait := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second} {
		w.sweep()
		require.Equal(t, n+1, tried())
		require.Equal(t, broker.Outstanding{Leases: 1, Ending: 1, Failing: 1, Since: first}, w.Outstanding())
		now, err := w.gov.Lease(w.ctx, w.client, l.Info().ID)
		require.NoError(t, err)
		require.Equal(t, tb.LeaseEnding, now.State)
		w.clock.Add(wait - time.Millisecond)
		w.sweep()
		require.Equal(t, n+1, tried(), "not earlier")
		w.clock.Add(time.Millisecond)
	}
	require.Contains(t, w.log.String(), "could not be taken back")
	require.NotContains(t, w.log.String(), canary)

	w.restart() // another process finds it
	w.clock.Add(48 * time.Hour)
	w.legacy.onRevoke = nil
	w.sweep()
	require.Zero(t, w.legacy.count())
	require.Empty(t, w.open())
	require.Equal(t, "handle of lease-"+l.Info().ID.String(), w.legacy.handles[l.Info().ID])
	w.sweep()
	require.Equal(t, broker.Outstanding{}, w.Outstanding())
}

// TestUsedCredentialsAreRenewed while their lease lives; unused ones lapse.
func TestUsedCredentialsAreRenewed(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.legacy.life, w.legacy.now = time.Minute, w.clock.Now
		w.cfg.Providers = map[string]broker.Provider{"erp": renewing{w.legacy}}
	})
	used, idle := w.lease(w.task("bot")), w.lease(w.task("bot"))
	for range 4 {
		require.NoError(t, w.logsIn(used))
		w.clock.Add(40 * time.Second)
		w.sweep()
	}
	require.Equal(t, 4, w.legacy.renewals)
	require.NoError(t, w.logsIn(used))
	require.ErrorIs(t, w.logsIn(idle), broker.ErrOver)
	require.False(t, w.legacy.has(idle.Info().ID))
	w.cut("token:" + used.Info().Token.String())
	w.clock.Add(40 * time.Second)
	w.sweep()
	require.Equal(t, 4, w.legacy.renewals, "not of what is dead")
	require.Zero(t, w.legacy.count())
}

// TestACredentialThatEndsByItself ends its lease, where nobody can prolong it.
func TestACredentialThatEndsByItself(t *testing.T) {
	w := newWorld(t, func(w *world) { w.legacy.life, w.legacy.now = time.Minute, w.clock.Now })
	l := w.lease(w.task("bot"))
	w.clock.Add(time.Minute - time.Millisecond)
	require.NoError(t, w.logsIn(l), "control")
	w.clock.Add(time.Millisecond)
	require.ErrorIs(t, w.logsIn(l), broker.ErrOver)
	w.sweep()
	require.Zero(t, w.legacy.count())
	require.Empty(t, w.open())
}

// TestFilesAndEnviron: values as they stand there, never delivered.
func TestFilesAndEnviron(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "token")
	require.NoError(t, os.WriteFile(name, []byte("from a file\n"), 0o600))
	empty := filepath.Join(dir, "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	long := filepath.Join(dir, "long")
	require.NoError(t, os.WriteFile(long, make([]byte, 64<<10+1), 0o600))
	t.Setenv("LEGACY_TOKEN", "from the environment")
	for want, p := range map[string]broker.Provider{
		"from a file": broker.Files{"token": name}, "from the environment": broker.Environ{"token": "LEGACY_TOKEN"},
	} {
		w := newWorld(t, func(w *world) { w.cfg.Providers = map[string]broker.Provider{"erp": p} })
		tok := w.task("bot")
		l := w.lease(tok)
		require.NoError(t, l.Use(w.ctx, func(_ context.Context, s broker.Secret) error {
			require.Equal(t, want, s.Value("token"))
			return nil
		}))
		req := asking(tok, "export")
		req.Deliver = true
		_, err := w.Lease(w.ctx, req)
		require.ErrorIs(t, err, tb.ErrDenied)
		require.ErrorContains(t, err, "what cannot be taken back is not delivered")
		w.set(tok, tb.TaskCompleted)
		w.sweep()
		require.Empty(t, w.open())
	}
	for _, p := range []broker.Provider{
		broker.Files{"token": filepath.Join(dir, "none")}, broker.Files{"token": empty}, broker.Files{"token": long},
		broker.Environ{"token": "LEGACY_NONE"},
	} {
		_, err := p.Fetch(t.Context(), tb.Lease{ID: lineage.ID{1}})
		require.ErrorIs(t, err, tb.ErrUnavailable)
		require.ErrorContains(t, err, `the value "token" cannot be read`)
	}
	_, err := broker.Files{}.Fetch(t.Context(), tb.Lease{})
	require.NoError(t, err, "and the broker refuses what has no value")
}
