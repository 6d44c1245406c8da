package broker_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/broker"
)

// hostile are answers that no vault should give, each of them with what must not get out.
var hostile = map[string]func(http.ResponseWriter, *http.Request){
	"html":         func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<p>canary")) },
	"html refusal": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<p>canary", http.StatusNotFound) },
	"an error": func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"errors":["canary"]}`))
	},
	"an error that is none": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"errors":["canary"]}`)) },
	"too much": func(w http.ResponseWriter, _ *http.Request) {
		for range 1 << 20 { // a gibibyte, if somebody reads it
			if _, err := w.Write([]byte(strings.Repeat("canary ", 147))); err != nil {
				return
			}
		}
	},
	"elsewhere": func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/v1/canary", http.StatusTemporaryRedirect)
	},
	"half": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte(`{"lease_id":"canary`))
	},
	"nothing": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{}`)) },
	"other types": func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"data":"canary","auth":["canary"],"lease_id":7}`))
	},
	"no answer": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
}

// TestAHostileVault: at whatever request it begins, nothing is leased, nothing of it is logged, shown, or kept in the clear, and
// what was made is taken back once it answers again.
func TestAHostileVault(t *testing.T) {
	steps := []string{"auth/jwt/login", "auth/token/create/leases", "kv/data/tokenboundary/", vaultPath}
	for name, lie := range hostile {
		for _, step := range steps {
			if name == "nothing" && step == steps[2] {
				continue // a write that says no more is one
			}
			t.Run(name+" at "+step, func(t *testing.T) {
				w, f := lending(t)
				f.with(func() {
					f.first = func(rw http.ResponseWriter, r *http.Request, at string) bool {
						if strings.HasPrefix(at, step) {
							lie(rw, r)
							return true
						}
						return false
					}
				})
				tok := w.task("bot")
				_, err := w.Lease(w.ctx, asking(tok, "read"))
				require.Error(t, err)
				require.True(t, errors.Is(err, tb.ErrUnavailable) || errors.Is(err, tb.ErrDenied), err)
				require.ErrorContains(t, err, "vault")
				w.sweep()
				f.with(func() { f.first = nil })
				w.clock.Add(time.Minute)
				w.sweep()
				require.Empty(t, w.open())
				require.Empty(t, f.left())
				require.NotContains(t, fmt.Sprint(err, w.log.String()), "canary")
				require.NoError(t, w.lease(tok).Use(w.ctx, func(context.Context, broker.Secret) error { return nil }), "control")
			})
		}
	}
}

// TestAHostileVaultEndsNothing: whatever it answers when a secret is taken back, it counts as there.
func TestAHostileVaultEndsNothing(t *testing.T) {
	for name, lie := range hostile {
		for _, step := range []string{"auth/token/revoke-accessor", "sys/leases/revoke", "sys/leases/lookup"} {
			t.Run(name+" at "+step, func(t *testing.T) {
				w, f := lending(t)
				tok := w.task("bot")
				w.lease(tok)
				f.with(func() {
					f.first = func(rw http.ResponseWriter, r *http.Request, at string) bool {
						if at == step {
							lie(rw, r)
						}
						return at == step
					}
				})
				w.cut("task:" + tok.TaskID.String())
				w.sweep()
				require.Equal(t, 1, w.Outstanding().Failing)
				require.Len(t, w.open(), 1)
				f.with(func() { f.first = nil })
				w.clock.Add(time.Minute)
				w.sweep()
				require.Empty(t, w.open())
				require.Empty(t, f.left())
				require.NotContains(t, w.log.String(), "canary")
			})
		}
	}
}

// TestWhatAVaultRefusesIsNotGone: permission denied is no answer to whether something is there.
func TestWhatAVaultRefusesIsNotGone(t *testing.T) {
	for _, status := range []int{http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusTooManyRequests} {
		for _, step := range []string{"auth/token/revoke-accessor", "sys/leases/revoke", "sys/leases/lookup"} {
			w, f := lending(t)
			tok := w.task("bot")
			w.lease(tok)
			f.with(func() {
				f.first = func(rw http.ResponseWriter, _ *http.Request, at string) bool {
					if at == step {
						rw.WriteHeader(status)
						_, _ = rw.Write([]byte(`{"errors":["permission denied canary"]}`))
					}
					return at == step
				}
			})
			w.cut("task:" + tok.TaskID.String())
			w.sweep()
			require.Len(t, w.open(), 1, "%d at %s", status, step)
			require.NotContains(t, w.log.String(), "canary")
		}
	}
}

// TestAVaultThatStalls is given up by the clock of the broker.
func TestAVaultThatStalls(t *testing.T) {
	w, f := lending(t)
	asked, stop := make(chan struct{}, 8), make(chan struct{})
	f.Config.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-stop
	})
	defer close(stop)
	got := make(chan error)
	tok := w.task("bot")
	go func() {
		_, err := w.Lease(w.ctx, asking(tok, "read"))
		got <- err
	}()
	<-asked
	w.clock.Add(10 * time.Second)
	err := <-got
	require.ErrorIs(t, err, tb.ErrUnavailable)
	require.ErrorContains(t, err, "the vault cannot be reached")
}

// TestWhatAVaultLeasesMustBeOneToTakeBack: a fixed value is not a dynamic secret, and one without texts is none.
func TestWhatAVaultLeasesMustBeOneToTakeBack(t *testing.T) {
	for want, answer := range map[string]string{
		"has no lease":                 `{"data":{"password":"canary"}}`,
		"has no text":                  `{"lease_id":"database/creds/readonly/x","lease_duration":60,"data":{"n":7,"empty":""}}`,
		"answered with what has ended": `{"lease_id":"database/creds/readonly/x","lease_duration":0,"data":{"password":"canary"}}`,
	} {
		w, f := lending(t)
		f.with(func() {
			f.first = func(rw http.ResponseWriter, _ *http.Request, at string) bool {
				if at == vaultPath {
					_, _ = rw.Write([]byte(answer))
				}
				return at == vaultPath
			}
		})
		_, err := w.Lease(w.ctx, asking(w.task("bot"), "read"))
		require.ErrorContains(t, err, want)
		require.NotContains(t, fmt.Sprint(err, w.log.String()), "canary")
		w.sweep()
		require.Empty(t, w.open())
		require.Empty(t, f.left())
	}
}

// TestAVaultIsAskedInItsNamespace, over TLS that is verified.
func TestAVaultIsAskedInItsNamespace(t *testing.T) {
	w := newWorld(t)
	f := newFakeVault(t, w.clock.Now)
	var spaces []string
	f.first = func(_ http.ResponseWriter, r *http.Request, _ string) bool {
		spaces = append(spaces, r.Header.Get("X-Vault-Namespace"))
		return false
	}
	f.Close()
	f.Server = httptest.NewTLSServer(f)
	t.Cleanup(f.Close)
	inside := func(c *broker.VaultConfig) { c.Namespace = "team/a" }
	_, err := w.vault(f, inside).Fetch(w.ctx, w.ofVault())
	require.ErrorContains(t, err, "the vault cannot be reached", "nobody vouches for it")
	require.Empty(t, spaces)
	_, err = w.vault(f, inside, func(c *broker.VaultConfig) {
		c.TLS = &tls.Config{RootCAs: f.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	}).Fetch(w.ctx, w.ofVault())
	require.NoError(t, err)
	require.Equal(t, []string{"team/a", "team/a", "team/a", "team/a"}, spaces)
}

func TestWhatAVaultProviderIsMadeOf(t *testing.T) {
	for want, change := range map[string]func(*broker.VaultConfig){
		"Address":                             func(c *broker.VaultConfig) { c.Address = "http://vault.example:8200" },
		"Address has no query":                func(c *broker.VaultConfig) { c.Address += "?a" },
		"Namespace":                           func(c *broker.VaultConfig) { c.Namespace = "a\nb" },
		"Kind is required":                    func(c *broker.VaultConfig) { c.Kind = "" },
		"Path or Paths is required":           func(c *broker.VaultConfig) { c.Path = "" },
		"Path or Paths is required, and not":  func(c *broker.VaultConfig) { c.Paths = map[string]string{"read": vaultPath} },
		"Path is not a path":                  func(c *broker.VaultConfig) { c.Path = "database/../sys/raw" },
		"Path is not":                         func(c *broker.VaultConfig) { c.Path = "database/creds/a?b" },
		`Paths: "read"`:                       func(c *broker.VaultConfig) { c.Path, c.Paths = "", map[string]string{"read": "/x"} },
		"Fields":                              func(c *broker.VaultConfig) { c.Fields = map[string]string{"a": ""} },
		"TokenRole is required":               func(c *broker.VaultConfig) { c.TokenRole = "" },
		"TokenRole is required: the name":     func(c *broker.VaultConfig) { c.TokenRole = "a/b" },
		"Journal is required":                 func(c *broker.VaultConfig) { c.Journal = "kv" },
		"TokenRole and Journal are for":       func(c *broker.VaultConfig) { c.Kind = broker.VaultKV },
		"Login: one of":                       func(c *broker.VaultConfig) { c.Login.JWT = nil },
		"Login: one of JWT, SecretID":         func(c *broker.VaultConfig) { c.Login.Token = loginJWT },
		"Login: Role is required":             func(c *broker.VaultConfig) { c.Login.Role = "" },
		"Login: Mount is not a path":          func(c *broker.VaultConfig) { c.Login.Mount = "../jwt" },
		"Login: Mount and Role are not for a": func(c *broker.VaultConfig) { c.Login.JWT, c.Login.Token = nil, loginJWT },
	} {
		cfg := broker.VaultConfig{
			Address: "https://vault.example:8200", Kind: broker.VaultDynamic, Path: vaultPath, TokenRole: "leases", Journal: "kv/tokenboundary",
			Login: broker.VaultLogin{Role: "broker", JWT: loginJWT},
		}
		_, err := broker.NewVault(cfg)
		require.NoError(t, err, "control")
		change(&cfg)
		_, err = broker.NewVault(cfg)
		require.ErrorContains(t, err, "broker: VaultConfig."+want)
	}
}
