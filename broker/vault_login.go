package broker

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary"
)

// VaultLogin is how a broker logs in to its vault, in exactly one of three ways. It logs in as itself, and not as the task:
// what was made for a task is taken back when the task has ended, and nobody gets a token for it any more. Each function is called
// concurrently, and what its error says is not shown, unless it is a PublicError.
type VaultLogin struct {
	// Mount is where the auth method is. Empty: "jwt" or "approle". Role is the role there; of AppRole it is the role_id.
	Mount, Role string
	// JWT returns a token for the JWT method: one of the boundary for the vault as its audience, or of the platform. It is
	// called for each login.
	JWT func(context.Context) (string, error)
	// SecretID returns the secret_id for AppRole.
	SecretID func(context.Context) (string, error)
	// Token returns a token of the vault, which somebody else keeps alive. It is called for each request.
	Token func(context.Context) (string, error)
}

// vaultToken is the broker's own token of the vault.
type vaultToken struct {
	value string
	until time.Time // when another one is got
	kept  bool      // it was used before
}

// logIn returns the broker's token; another one than stale.
func (v *Vault) logIn(ctx context.Context, stale string) (vaultToken, error) {
	if v.cfg.Login.Token != nil {
		value, err := v.cfg.Login.Token(ctx)
		if err == nil && !usableToken(value) {
			err = vaultDenies("the vault token cannot be used")
		}
		return vaultToken{value: value}, err
	}
	select {
	case v.turn <- struct{}{}:
		defer func() { <-v.turn }()
	case <-ctx.Done():
		return vaultToken{}, errors.Join(tokenboundary.ErrUnavailable, ctx.Err())
	}
	now := v.cfg.Clock.Now()
	if v.login.value != "" && v.login.value != stale && now.Before(v.login.until) {
		return v.login, nil
	}
	got, err := v.newLogin(ctx, now)
	if err != nil {
		return vaultToken{}, err
	}
	v.login = got
	v.login.kept = true
	return got, nil
}

func (v *Vault) newLogin(ctx context.Context, now time.Time) (vaultToken, error) {
	l := v.cfg.Login
	ask, names := l.JWT, [2]string{"role", "jwt"}
	if l.SecretID != nil {
		ask, names = l.SecretID, [2]string{"role_id", "secret_id"}
	}
	evidence, err := ask(ctx)
	if err != nil {
		return vaultToken{}, err
	}
	a, err := v.send(ctx, "", http.MethodPost, "auth/"+l.Mount+"/login", map[string]string{names[0]: l.Role, names[1]: evidence})
	switch {
	case err != nil:
		return vaultToken{}, err
	case a.refused():
		return vaultToken{}, vaultDenies("the vault does not accept the login")
	case a.failure() != nil:
		return vaultToken{}, a.failure()
	case a.Auth == nil || !usableToken(a.Auth.ClientToken):
		return vaultToken{}, errVaultAnswer
	}
	return vaultToken{value: a.Auth.ClientToken, until: now.Add(seconds(a.Auth.LeaseDuration) / 3 * 2)}, nil
}

func usableToken(s string) bool {
	return s != "" && len(s) <= maxForeignToken && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// seconds returns a duration that somebody else has said, within what can be reckoned with.
func seconds(n int64) time.Duration { return time.Duration(min(max(n, 0), 1<<30)) * time.Second }
