package broker_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/broker"
)

// TestAVaultThatMisbehaves: one that errs, stalls, answers half, or says the secret in its error. The request is refused, nothing is
// sent, and the secret is in no log, error or answer.
func TestAVaultThatMisbehaves(t *testing.T) {
	const line = canary + "\r\nX-Admin: 1"
	secret := func(values ...string) broker.Secret {
		return broker.NewSecret(map[string]string{"username": values[0], "password": values[1]})
	}
	for name, c := range map[string]struct {
		fetch  func(*front, context.Context, *issued) error
		status int
		why    string
	}{
		"an error":               {func(*front, context.Context, *issued) error { return errors.New(canary) }, 503, "cannot be decided"},
		"a refusal":              {func(*front, context.Context, *issued) error { return fmt.Errorf("%w: %s", tb.ErrDenied, canary) }, 403, "No credential"},
		"a panic":                {func(*front, context.Context, *issued) error { panic(canary) }, 503, "cannot be decided"},
		"half of it":             {func(_ *front, _ context.Context, o *issued) error { o.Secret = secret("", canary); return nil }, 502, "no acceptable answer"},
		"the other half":         {func(_ *front, _ context.Context, o *issued) error { o.Secret = secret(canary, ""); return nil }, 502, "no acceptable answer"},
		"nothing":                {func(_ *front, _ context.Context, o *issued) error { o.Secret = broker.Secret{}; return nil }, 503, "cannot be decided"},
		"two lines":              {func(_ *front, _ context.Context, o *issued) error { o.Secret = secret("u", line); return nil }, 502, "no acceptable answer"},
		"a name that is no name": {func(_ *front, _ context.Context, o *issued) error { o.Secret = secret("u:x", canary); return nil }, 502, "no acceptable answer"},
		"it stalls": {func(f *front, ctx context.Context, _ *issued) error {
			go f.clock.Add(time.Minute)
			<-ctx.Done()
			return errors.Join(ctx.Err(), errors.New(canary))
		}, 503, "cannot be decided"},
		"it is over already": {func(f *front, _ context.Context, o *issued) error { o.Expires = f.clock.Now(); return nil }, 503, "cannot be decided"},
	} {
		t.Run(name, func(t *testing.T) {
			f := proxied(t)
			f.get()
			require.NoError(t, f.proxy.Flush(f.ctx)) // nothing else waits for the clock
			f.tok = f.task("bot")
			f.legacy.onFetch = func(ctx context.Context, out *issued) error {
				out.Secret = secret(canary, canary)
				return c.fetch(f, ctx, out)
			}
			out := f.refuses(f.addr, request("GET /v1/invoices/7"), c.status, c.why)
			seen := out.dump() + f.log.String()
			for _, leak := range []string{canary, base64.StdEncoding.EncodeToString([]byte(canary))[:10], f.tok.Value()} {
				require.NotContains(t, seen, leak)
			}
		})
	}
	f := proxied(t)
	f.legacy.onFetch = func(_ context.Context, out *issued) error {
		out.Secret = secret("u", canary)
		return nil
	}
	f.raw(f.addr, request("GET /v1/invoices/7"))
	require.Equal(t, "key "+canary, f.up.requests()[0].Header.Get("X-Api-Key"), "control")
	require.NotContains(t, f.log.String(), canary)
	require.NotContains(t, f.log.String(), strings.Split(f.tok.Value(), ".")[2])
}
