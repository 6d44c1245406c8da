package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// OAuthConfig is what an OAuth provider is made of. All but RevocationURL, ClientSecret, Scopes, Broad, TLS and Clock are required.
type OAuthConfig struct {
	// Governor and Client are those of the Broker: beside its leases the refresh token is kept. Connection is the one of the
	// client's that the provider is for.
	Governor   *tokenboundary.Governor
	Client     tokenboundary.Client
	Connection string
	// Sealer seals the refresh token before it is put into the store.
	Sealer Sealer
	// TokenURL is the token endpoint of the other authorisation server, and RevocationURL where it revokes access tokens (RFC
	// 7009). Each is https, or http on a loopback host. Without the latter an access token that was delivered is outstanding
	// until it ends by itself.
	TokenURL, RevocationURL string
	// ClientID and ClientSecret are those of the client that the refresh token was issued to there. Without a secret it is a
	// public one.
	ClientID, ClientSecret string
	// Scopes are the scopes there that each scope of a lease stands for. Nil: they have the same names. A scope that stands for
	// none makes the lease fail.
	Scopes map[string][]string
	// Broad says that the server cannot narrow: no scope is sent, and whatever it answers with is taken, and never delivered. Otherwise what is
	// broader than was asked for is refused.
	Broad bool
	// TLS is how the server is authenticated. Nil: by the certificates of the machine.
	TLS *tls.Config
	// Clock is where time comes from. Nil: the machine's.
	Clock clock.Clock
}

// OAuth is a Provider of access tokens of another authorisation server, by a refresh token that it keeps there for long (RFC
// 6749, section 6). The refresh token is sealed, in the store of the boundary, and leaves the process for the token endpoint
// only; of the secrets that it makes, "token" is a short-lived access token, for the scopes of the lease.
//
// A refresh token that comes in place of the one that was used is in the store before the access token is used, and of all
// processes one at a time uses it. Where the server rotates refresh tokens, a crash between its answer and that write loses it:
// Fetch is then refused, until another one is deposited.
//
// Make it with NewOAuth. It is safe for concurrent use.
type OAuth struct {
	cfg  OAuthConfig
	http *http.Client
	turn chan struct{} // whoever is in it uses the refresh token
}

var (
	_ Provider = (*OAuth)(nil)
	_ Renewer  = (*OAuth)(nil)
)

// NewOAuth returns a provider. The error names the field of cfg that it cannot work with.
func NewOAuth(cfg OAuthConfig) (*OAuth, error) {
	bad := func(what string) (*OAuth, error) { return nil, errors.New("broker: OAuthConfig." + what) }
	switch {
	case cfg.Governor == nil:
		return bad("Governor is required")
	case cfg.Sealer == nil:
		return bad("Sealer is required")
	case cfg.Connection == "" || !slices.Contains(cfg.Client.Connections, cfg.Connection):
		return bad("Connection must be one of the client's")
	case cfg.ClientID == "":
		return bad("ClientID is required")
	}
	for name, u := range map[string]string{"TokenURL": cfg.TokenURL, "RevocationURL": cfg.RevocationURL} {
		if u == "" && name == "RevocationURL" {
			continue
		}
		if _, err := canon.SecureURL(u); err != nil {
			return bad(fmt.Sprintf("%s %v", name, err))
		}
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.New()
	}
	return &OAuth{cfg: cfg, http: plainClient(cfg.TLS), turn: make(chan struct{}, 1)}, nil
}

// Fetch implements Provider.
func (o *OAuth) Fetch(ctx context.Context, lease tokenboundary.Lease) (Issued, error) {
	if o.cfg.Broad && lease.Deliver {
		return Issued{}, errors.Join(tokenboundary.ErrDenied, PublicError("what cannot be narrowed is not delivered"))
	}
	scopes, err := o.scopes(lease.Scopes)
	if err != nil {
		return Issued{}, err
	}
	got, err := o.access(ctx, scopes)
	if err != nil {
		return Issued{}, err
	}
	out := Issued{Secret: NewSecret(map[string]string{"token": got.token}), Expires: got.expires}
	if o.cfg.RevocationURL != "" || lease.Deliver {
		out.Handle = o.handle(got)
	}
	return out, nil
}

// Renew implements Renewer: by another access token. The one before is in use until then, and is revoked with the lease, or ends by
// itself; of those before it nothing is left. One that may have been delivered is not
// replaced: whoever has it would not be told, and it is the one to revoke.
func (o *OAuth) Renew(ctx context.Context, lease tokenboundary.Lease) (Issued, error) {
	if lease.Deliver {
		lent, err := ofHandle(lease.Handle)
		return Issued{Expires: lent.expires}, err
	}
	out, err := o.Fetch(ctx, lease)
	if err != nil || o.cfg.RevocationURL == "" {
		return out, err
	}
	if before, bad := ofHandle(lease.Handle); bad == nil { // it goes with its successor, unless there is no room for it
		if both := append(append(out.Handle, ' '), before.tokens[0]...); len(both) <= MaxHandle {
			out.Handle = both
		} else if err := o.revoke(ctx, before.tokens[0]); err != nil {
			return out, err
		}
	}
	return out, nil
}

// Revoke implements Provider. An access token of which nobody has heard is nothing to take back: it was never used, and ends by
// itself; nor is one that was never delivered, where the server cannot revoke it.
func (o *OAuth) Revoke(ctx context.Context, lease tokenboundary.Lease) error {
	if lease.Handle == nil {
		return nil
	}
	lent, err := ofHandle(lease.Handle)
	switch {
	case err != nil:
		return err
	case o.cfg.RevocationURL != "" && len(lent.tokens) > 0:
		var failed error
		for _, token := range lent.tokens {
			failed = errors.Join(failed, o.revoke(ctx, token))
		}
		return failed
	case !o.cfg.Clock.Now().Before(lent.expires):
		return nil
	}
	return errors.Join(tokenboundary.ErrUnavailable, PublicError("the server cannot revoke the access token: it has not ended yet"))
}

// handle returns what takes an access token back: when it ends, and where the server can revoke it, the token.
func (o *OAuth) handle(of foreign) []byte {
	out := of.expires.UTC().Format(time.RFC3339Nano)
	if o.cfg.RevocationURL != "" {
		out += " " + of.token
	}
	return []byte(out)
}

// lent is what a handle says.
type lent struct {
	expires time.Time
	tokens  []string // the newest first
}

func ofHandle(handle []byte) (out lent, err error) {
	expires, tokens, _ := strings.Cut(string(handle), " ")
	out.tokens = strings.Fields(tokens)
	if out.expires, err = time.Parse(time.RFC3339Nano, expires); err != nil {
		return lent{}, PublicError("what is kept of an access token cannot be read")
	}
	return out, nil
}

// scopes returns what the scopes of a lease stand for at the server.
func (o *OAuth) scopes(of []string) ([]string, error) {
	if o.cfg.Scopes == nil {
		return of, nil
	}
	var out []string
	for _, s := range of {
		theirs := o.cfg.Scopes[s]
		if len(theirs) == 0 {
			return nil, errors.Join(tokenboundary.ErrDenied, PublicError("a scope stands for none of the server"))
		}
		out = append(out, theirs...)
	}
	return out, nil
}
