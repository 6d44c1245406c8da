package broker_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/broker"
	"github.com/tokenboundary/tokenboundary/lineage"
)

func loginJWT(context.Context) (string, error) { return vaultJWT, nil }

// vault is a provider of a secret of f.
func (w *world) vault(f *fakeVault, change ...func(*broker.VaultConfig)) *broker.Vault {
	w.Helper()
	cfg := broker.VaultConfig{
		Address: f.URL, Kind: broker.VaultDynamic, Path: vaultPath, TokenRole: "leases", Journal: "kv/tokenboundary",
		Login: broker.VaultLogin{Role: "broker", JWT: loginJWT}, Clock: w.clock,
	}
	for _, c := range change {
		c(&cfg)
	}
	v, err := broker.NewVault(cfg)
	require.NoError(w, err)
	return v
}

// lending is a world whose broker gets secrets of a vault.
func lending(t *testing.T, change ...func(*broker.VaultConfig)) (*world, *fakeVault) {
	w := newWorld(t)
	f := newFakeVault(t, w.clock.Now)
	w.cfg.Providers = map[string]broker.Provider{"erp": w.vault(f, change...)}
	w.Broker = w.node()
	return w, f
}

// ofVault is a lease as a provider gets it.
func (w *world) ofVault() tb.Lease {
	return tb.Lease{
		ID: lineage.ID{1, byte(len(w.open()))}, Scopes: []string{"read"}, Client: "bot", Connection: "erp", ExpiresAt: w.clock.Now().Add(5 * time.Minute),
	}
}

// TestAVaultSecretLivesAsLongAsItsTask: it has a token of its own, which ends no later than the lease; at the end all is gone at
// once, and nothing is left to the vault's queue.
func TestAVaultSecretLivesAsLongAsItsTask(t *testing.T) {
	w, f := lending(t)
	tok := w.task("bot")
	l := w.lease(tok)
	require.NoError(t, l.Use(w.ctx, func(_ context.Context, s broker.Secret) error {
		require.Equal(t, f.accounts[s.Value("username")], s.Value("password"))
		require.NotEmpty(t, s.Value("password"))
		return nil
	}))
	info := l.Info()
	all := f.all()
	own := all[slices.IndexFunc(all, func(t *fakeToken) bool { return t.policy == "lease" })]
	require.Equal(t, map[string]any{
		"lease": info.ID.String(), "task": tok.TaskID.String(), "client": "bot", "connection": "erp",
	}, own.meta)
	require.WithinDuration(t, info.ExpiresAt, own.until, time.Second)
	require.Len(t, f.left(), 3)

	w.cut("task:" + tok.TaskID.String())
	w.sweep()
	require.Empty(t, w.open())
	require.Empty(t, f.left())
	require.NotContains(t, w.log.String(), "canary")
}

func (f *fakeVault) all() (out []*fakeToken) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.tokens {
		out = append(out, t)
	}
	return out
}

// TestWhatTheVaultHasNotEndedIsOutstanding: its token is gone, and the lease waits for the database.
func TestWhatTheVaultHasNotEndedIsOutstanding(t *testing.T) {
	w, f := lending(t)
	tok := w.task("bot")
	w.lease(tok)
	f.with(func() { f.down = true })
	w.cut("task:" + tok.TaskID.String())
	w.sweep()
	require.Equal(t, 1, w.Outstanding().Failing)
	require.NotContains(t, f.left(), "token of a secret")
	require.Len(t, f.accounts, 1)
	require.Contains(t, w.log.String(), "the vault is not available")
	f.with(func() { f.down = false })
	w.clock.Add(time.Minute)
	w.sweep()
	require.Empty(t, w.open())
	require.Empty(t, f.left())
	require.NotContains(t, w.log.String(), "canary")
}

// TestAVaultThatSaysDoneTooEarly: a revocation that it has only queued is not the end of a secret.
func TestAVaultThatSaysDoneTooEarly(t *testing.T) {
	w, f := lending(t)
	tok := w.task("bot")
	w.lease(tok)
	queues := func(at string) func(http.ResponseWriter, *http.Request, string) bool {
		return func(rw http.ResponseWriter, _ *http.Request, asked string) bool {
			if asked == at {
				rw.WriteHeader(http.StatusNoContent)
			}
			return asked == at
		}
	}
	f.with(func() { f.first = queues("auth/token/revoke-accessor") })
	w.cut("task:" + tok.TaskID.String())
	w.sweep()
	require.Contains(t, w.log.String(), "the vault has not ended the token yet")
	require.Len(t, w.open(), 1)
	f.with(func() { f.first = queues("sys/leases/revoke") })
	w.clock.Add(time.Minute)
	w.sweep()
	require.Contains(t, w.log.String(), "the vault has not ended the secret yet")
	require.Len(t, w.open(), 1)
	f.drain() // in its own time
	w.clock.Add(time.Minute)
	w.sweep()
	require.Empty(t, w.open())
	require.Empty(t, f.left())
}

// TestAProcessThatDiesWhileAVaultLends: whatever request was its last, answered or not, what was made is taken back: by another
// process by the lease alone, and by itself by what it knows. It is reported done only when it is.
func TestAProcessThatDiesWhileAVaultLends(t *testing.T) {
	for _, lost := range []bool{true, false} {
		for _, lives := range []bool{true, false} {
			n := 0
			for !diesAfter(t, n, lost, lives) {
				n++
			}
			require.Equal(t, 4, n, "login, token, journal, secret")
		}
	}
}

// diesAfter has a process lend once, of which the request after n is lost, or its answer is, and takes the lease back. It reports
// whether there were no more requests.
func diesAfter(t *testing.T, n int, lost, lives bool) bool {
	require.Less(t, n, 10)
	w := newWorld(t)
	f := newFakeVault(t, w.clock.Now)
	lease := w.ofVault()
	f.with(func() { f.first = dying(f, n, lost) })
	p := w.vault(f)
	got, failed := p.Fetch(w.ctx, lease)
	f.with(func() { f.first = nil })
	if lives {
		lease.Handle = got.Handle
	} else {
		p = w.vault(f)
	}
	made := len(f.accounts)
	err := p.Revoke(w.ctx, lease)
	if made > 0 && (failed != nil || !lives) { // nobody knows the id of the secret
		require.ErrorIs(t, err, tb.ErrUnavailable, "request %d: the vault has only queued it", n)
		require.ErrorContains(t, err, "the vault has not ended the secret yet")
		f.drain()
		err = p.Revoke(w.ctx, lease)
	}
	require.NoError(t, err, "request %d", n)
	require.Empty(t, f.left(), "request %d", n)
	require.NoError(t, p.Revoke(w.ctx, lease), "again")
	if failed != nil {
		require.ErrorIs(t, failed, tb.ErrUnavailable)
		return false
	}
	require.Equal(t, 1, made)
	require.Equal(t, lease.ExpiresAt, got.Expires, "the token ends earlier than the vault would end the secret")
	return true
}

// dying lets n requests through. Of the next one the answer is lost, or it is lost itself; nothing works after that.
func dying(f *fakeVault, n int, answer bool) func(http.ResponseWriter, *http.Request, string) bool {
	return func(_ http.ResponseWriter, r *http.Request, at string) bool {
		if n--; n >= 0 {
			return false
		}
		if n == -1 && answer {
			f.serve(discard{}, r, at)
		}
		panic(http.ErrAbortHandler)
	}
}

type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

// TestWhoWasGivenUpMakesNoSecret: a process that was stopped before its first request, and goes on after its lease was taken back.
func TestWhoWasGivenUpMakesNoSecret(t *testing.T) {
	w := newWorld(t)
	f := newFakeVault(t, w.clock.Now)
	late, other, lease := w.vault(f), w.vault(f), w.ofVault()
	require.NoError(t, other.Revoke(w.ctx, lease))
	got, err := late.Fetch(w.ctx, lease)
	require.ErrorIs(t, err, tb.ErrDenied)
	require.ErrorContains(t, err, "it was given up")
	require.Empty(t, f.accounts)
	lease.Handle = got.Handle
	require.NoError(t, late.Revoke(w.ctx, lease))
	require.Empty(t, f.left())
}

// TestAnotherLeaseIsNotTakenForOnes: where the id of a secret got lost, those of others neither end nor hide it.
func TestAnotherLeaseIsNotTakenForOnes(t *testing.T) {
	w, f := lending(t)
	l := w.lease(w.task("bot"))
	f.with(func() { f.first = dying(f, 3, true) }) // after login, token and journal
	lease := w.ofVault()
	_, err := w.vault(f).Fetch(w.ctx, lease)
	require.Error(t, err)
	f.with(func() { f.first = nil })
	require.Len(t, f.accounts, 2)
	require.ErrorContains(t, w.vault(f).Revoke(w.ctx, lease), "the vault has not ended the secret yet")
	f.drain()
	require.NoError(t, w.vault(f).Revoke(w.ctx, lease))
	require.Len(t, f.accounts, 1)
	require.NoError(t, l.Use(w.ctx, func(context.Context, broker.Secret) error { return nil }))
}

// TestAVaultSecretIsRenewedWhileItIsUsed, and not beyond its lease.
func TestAVaultSecretIsRenewedWhileItIsUsed(t *testing.T) {
	w, f := lending(t)
	f.life = time.Minute
	l := w.lease(w.task("bot", 150*time.Second))
	use := func() error { return l.Use(w.ctx, func(context.Context, broker.Secret) error { return nil }) }
	for range 4 {
		require.NoError(t, use())
		w.clock.Add(45 * time.Second)
		w.sweep()
		if w.clock.Now().After(l.Info().ExpiresAt) {
			break
		}
		for _, s := range f.secrets {
			require.WithinRange(t, s.until, w.clock.Now().Add(time.Second), l.Info().ExpiresAt.Add(time.Second))
		}
	}
	require.ErrorIs(t, use(), broker.ErrOver)
	require.Empty(t, f.left())
	require.Contains(t, f.seen, "POST sys/leases/renew")

	l = w.lease(w.task("bot"))
	w.clock.Add(61 * time.Second)
	w.sweep()
	require.ErrorIs(t, use(), broker.ErrOver, "nobody used it")
	require.Empty(t, f.left())
}

// TestARenewalIsOfTheSecret: an answer about another one, or without life, is none.
func TestARenewalIsOfTheSecret(t *testing.T) {
	w := newWorld(t)
	f := newFakeVault(t, w.clock.Now)
	v, lease := w.vault(f), w.ofVault()
	f.life = time.Minute
	got, err := v.Fetch(w.ctx, lease)
	require.NoError(t, err)
	lease.Handle = got.Handle
	renewed, err := v.Renew(w.ctx, lease)
	require.NoError(t, err, "control")
	require.Equal(t, w.clock.Now().Add(time.Minute), renewed.Expires)
	id := slices.Collect(maps.Keys(f.accounts))[0]
	for _, answer := range []string{`{"lease_id":"canary","lease_duration":60}`, `{"lease_id":"` + id + `","lease_duration":0}`, `{}`} {
		f.with(func() {
			f.first = func(rw http.ResponseWriter, _ *http.Request, _ string) bool {
				_, _ = rw.Write([]byte(answer))
				return true
			}
		})
		_, err = v.Renew(w.ctx, lease)
		require.ErrorContains(t, err, "the vault does not answer as it should")
	}
	lease.Handle = nil
	_, err = v.Renew(w.ctx, lease)
	require.ErrorContains(t, err, "there is nothing to renew")
}

// TestEachLineOfTheVaultPolicyIsNeeded: with the documented policies all works, and without any line of them something does not.
func TestEachLineOfTheVaultPolicyIsNeeded(t *testing.T) {
	run := func(without string) error {
		w := newWorld(t)
		f := newFakeVault(t, w.clock.Now)
		for name, rules := range f.policies {
			f.policies[name] = slices.DeleteFunc(rules, func(r vaultRule) bool { return r.path == without })
		}
		v := w.vault(f)
		lease := w.ofVault()
		got, err := v.Fetch(w.ctx, lease)
		if err != nil {
			return err
		}
		whole := lease
		whole.Handle = got.Handle
		if _, err := v.Renew(w.ctx, whole); err != nil {
			return err
		}
		if err := v.Revoke(w.ctx, whole); err != nil {
			return err
		}
		lease.ID[0]++
		if _, err := v.Fetch(w.ctx, lease); err != nil {
			return err
		}
		if err := v.Revoke(w.ctx, lease); !errors.Is(err, tb.ErrUnavailable) {
			return err
		}
		f.drain()
		return v.Revoke(w.ctx, lease)
	}
	require.NoError(t, run(""))
	all := documentedPolicies(t)
	require.Len(t, all, 2)
	for _, rules := range all {
		for _, r := range rules {
			require.ErrorContains(t, run(r.path), "the vault does not permit it", r.path)
		}
	}
}

// TestAVaultNeedsToMakeOrphans: a lease that depended on a login would end with it.
func TestAVaultNeedsToMakeOrphans(t *testing.T) {
	w, f := lending(t)
	f.orphans = false
	_, err := w.Lease(w.ctx, asking(w.task("bot"), "read"))
	require.ErrorIs(t, err, tb.ErrDenied)
	require.ErrorContains(t, err, "does not make orphans")
	w.sweep()
	require.Empty(t, w.open())
	require.Len(t, f.all(), 1, "the login")
}

// TestVaultPathsByScope: a scope reads its own path, and nothing is read for any other.
func TestVaultPathsByScope(t *testing.T) {
	w, f := lending(t, func(c *broker.VaultConfig) {
		c.Path, c.Paths = "", map[string]string{"read": vaultPath, "write": "database/creds/writer"}
	})
	tok := w.task("bot")
	require.NoError(t, w.lease(tok).Use(w.ctx, func(context.Context, broker.Secret) error { return nil }))
	for _, scopes := range [][]string{{"read", "write"}, {"export"}} {
		_, err := w.Lease(w.ctx, asking(tok, scopes...))
		require.ErrorIs(t, err, tb.ErrDenied)
		require.ErrorContains(t, err, "for one path of the vault")
	}
	require.Len(t, f.accounts, 1)
	w.sweep()
	require.Len(t, w.open(), 1)
}

// TestAVaultKVValueStaysWithTheBroker, under the names that were chosen for it.
func TestAVaultKVValueStaysWithTheBroker(t *testing.T) {
	kv := func(c *broker.VaultConfig) {
		c.Kind, c.Path, c.TokenRole, c.Journal = broker.VaultKV, "kv/data/erp", "", ""
	}
	w, f := lending(t, kv, func(c *broker.VaultConfig) { c.Fields = map[string]string{"key": "password"} })
	f.policies["broker"] = []vaultRule{{"kv/data/erp", []string{"read"}}}
	tok := w.task("bot")
	require.NoError(t, w.lease(tok).Use(w.ctx, func(_ context.Context, s broker.Secret) error {
		require.Equal(t, map[string]string{"key": "canary-kv"}, s.Reveal())
		return nil
	}))
	_, err := w.Lease(w.ctx, tb.LeaseRequest{Token: asking(tok).Token, Scopes: []string{"export"}, Deliver: true})
	require.ErrorContains(t, err, "what cannot be taken back is not delivered")
	w.cut("task:" + tok.TaskID.String())
	w.sweep()
	require.Empty(t, w.open())

	got, err := w.vault(f, kv).Fetch(w.ctx, w.ofVault())
	require.NoError(t, err)
	require.Equal(t, map[string]string{"username": "erp", "password": "canary-kv"}, got.Secret.Reveal(), "all texts")
	_, err = w.vault(f, kv, func(c *broker.VaultConfig) { c.Fields = map[string]string{"count": "n"} }).Fetch(w.ctx, w.ofVault())
	require.ErrorContains(t, err, `no text for "count"`)
}

// TestHowABrokerLogsIn: by each of the ways; once, and again when the vault has forgotten it.
func TestHowABrokerLogsIn(t *testing.T) {
	w := newWorld(t)
	f := newFakeVault(t, w.clock.Now)
	file := filepath.Join(t.TempDir(), "token")
	logins := func() (n int) {
		for _, s := range f.seen {
			if strings.HasSuffix(s, "/login") {
				n++
			}
		}
		return n
	}
	fetch := func(v *broker.Vault) error {
		_, err := v.Fetch(w.ctx, w.ofVault())
		f.with(func() { clear(f.kv) })
		return err
	}
	v := w.vault(f)
	require.NoError(t, fetch(v))
	require.NoError(t, fetch(v))
	require.Equal(t, 1, logins())
	f.with(func() { clear(f.tokens) })
	require.NoError(t, fetch(v))
	require.Equal(t, 2, logins())
	w.clock.Add(41 * time.Minute)
	require.NoError(t, fetch(v))
	require.Equal(t, 3, logins(), "before it ends")

	require.NoError(t, fetch(w.vault(f, func(c *broker.VaultConfig) { c.Login = broker.VaultLogin{Role: "broker", SecretID: loginJWT} })))
	require.Contains(t, f.seen, "POST auth/approle/login")
	require.NoError(t, os.WriteFile(file, []byte("\n"), 0o600))
	byToken := w.vault(f, func(c *broker.VaultConfig) { c.Login = broker.VaultLogin{Token: broker.ReadValue(file)} })
	require.ErrorContains(t, fetch(byToken), "a file cannot be read, is empty or too long")
	for value, tok := range f.tokens {
		if tok.policy == "broker" {
			require.NoError(t, os.WriteFile(file, []byte(value+"\n"), 0o600))
		}
	}
	require.NoError(t, fetch(byToken))

	f.with(func() { clear(f.tokens) })
	require.ErrorContains(t, fetch(byToken), "the vault does not permit it")
	wrong := w.vault(f, func(c *broker.VaultConfig) { c.Login.Role = "other" })
	err := fetch(wrong)
	require.ErrorIs(t, err, tb.ErrDenied)
	require.ErrorContains(t, err, "the vault does not accept the login")
	require.NotContains(t, err.Error(), "canary")
}
