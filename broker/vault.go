package broker

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary"
)

// VaultKind is what a Vault provider reads. The zero VaultKind is none.
type VaultKind string

// The kinds of secrets.
const (
	// VaultDynamic is a secret that the vault makes anew for each lease, and ends: an account of a database, keys of a cloud.
	VaultDynamic VaultKind = "dynamic"
	// VaultKV is a fixed value of a KV engine of version 2. What is said of Files holds of it: it is never delivered, and there
	// is nothing to take back.
	VaultKV VaultKind = "kv"
)

// VaultConfig is what a Vault provider is made of. Address, Kind, Login and one of Path and Paths are required, and for
// VaultDynamic TokenRole and Journal. Mounts, paths and roles have letters, digits and -_.@+ between slashes.
type VaultConfig struct {
	// Address is where the vault is: https, or http on a loopback host. Namespace is its namespace; empty: none.
	Address, Namespace string
	// TLS is how the vault is authenticated. Nil: by the certificates of the machine.
	TLS  *tls.Config
	Kind VaultKind
	// Path is what is read, without "/v1/": "database/creds/readonly", or "kv/data/erp". It is read whatever scopes the lease
	// has. Paths says it for each scope instead: a scope that is not in it, and a lease with scopes of different paths, are refused.
	Path  string
	Paths map[string]string
	// Fields are the names that the values have at the vault, by those that they have in the secret; each must be a text that is
	// there. Nil: all texts, by their own names.
	Fields map[string]string
	// Login is how the broker itself logs in.
	Login VaultLogin
	// TokenRole is the role of the vault's token store of which a token is made for each lease. It must be for orphans, so that
	// no lease depends on a login.
	TokenRole string
	// Journal is a place of a KV engine of version 2, a mount and a path below it: "kv/tokenboundary". The accessor of each
	// lease's token is there, by the id of the lease, from before its secret is made until it is taken back.
	Journal string
	// Clock is where time comes from. Nil: the machine's.
	Clock clock.Clock
}

// Vault is a Provider of the secrets of an OpenBao or a HashiCorp Vault. The names in the secret are those of VaultConfig.Fields.
//
// For VaultDynamic it makes a token of the vault for each lease, which ends with it, puts down its accessor in the journal, and
// reads the secret with it. So whoever takes the lease back finds the token by the lease alone, and what was made with it ends with it.
// The end of the secret itself is confirmed: by its id, or where nobody has learned that, by finding nothing below its path that
// the vault has still to end.
//
// Make it with NewVault. It is safe for concurrent use.
type Vault struct {
	cfg     VaultConfig
	address *url.URL
	http    *http.Client
	turn    chan struct{} // whoever is in it has login
	login   vaultToken
}

var (
	_ Provider = (*Vault)(nil)
	_ Renewer  = (*Vault)(nil)
)

// Fetch implements Provider.
func (v *Vault) Fetch(ctx context.Context, lease tokenboundary.Lease) (Issued, error) {
	path, err := v.path(lease.Scopes)
	if v.cfg.Kind == VaultKV {
		if err != nil {
			return Issued{}, err
		}
		return v.fixed(ctx, path, lease)
	}
	var h vaultHandle
	var out Issued
	if err == nil {
		out, err = v.lend(ctx, path, lease, &h)
	}
	out.Handle = h.bytes() // of a failure too: that nothing was made is known then
	return out, err
}

// Revoke implements Provider.
func (v *Vault) Revoke(ctx context.Context, lease tokenboundary.Lease) error {
	if v.cfg.Kind == VaultKV {
		return nil
	}
	h, err := v.found(ctx, lease)
	if err != nil || h.Accessor == "" {
		return err
	}
	if err := v.endToken(ctx, h.Accessor); err != nil {
		return err
	}
	if h.Lease != "" {
		err = v.endSecret(ctx, h.Lease)
	} else if h.Unsure {
		err = v.settled(ctx, lease.Scopes)
	}
	if err != nil {
		return err
	}
	return v.strike(ctx, lease.ID)
}

// path returns what is read for the scopes.
func (v *Vault) path(scopes []string) (string, error) {
	if v.cfg.Path != "" {
		return v.cfg.Path, nil
	}
	var out string
	for _, s := range scopes {
		p := v.cfg.Paths[s]
		if p == "" || out != "" && p != out {
			return "", vaultDenies("the scopes do not stand for one path of the vault")
		}
		out = p
	}
	if out == "" {
		return "", vaultDenies("no scope stands for a path of the vault")
	}
	return out, nil
}

// fixed reads a value of a KV engine.
func (v *Vault) fixed(ctx context.Context, path string, lease tokenboundary.Lease) (Issued, error) {
	if lease.Deliver {
		return Issued{}, errStaticDelivered
	}
	r, _, err := v.ask(ctx, http.MethodGet, path, nil)
	if err != nil {
		return Issued{}, err
	}
	var inner struct{ Data json.RawMessage }
	if json.Unmarshal(r.Data, &inner) != nil {
		return Issued{}, errVaultAnswer
	}
	secret, err := v.pick(inner.Data)
	return Issued{Secret: secret}, err
}

// pick returns the secret that is in what the vault has answered.
func (v *Vault) pick(data json.RawMessage) (Secret, error) {
	var all map[string]any
	if json.Unmarshal(data, &all) != nil {
		return Secret{}, errVaultAnswer
	}
	out := map[string]string{}
	for theirs, value := range all {
		if text, ok := value.(string); ok && v.cfg.Fields == nil && text != "" {
			out[theirs] = text
		}
	}
	for ours, theirs := range v.cfg.Fields {
		text, _ := all[theirs].(string)
		if text == "" {
			return Secret{}, vaultDenies(fmt.Sprintf("the vault's secret has no text for %q", ours))
		}
		out[ours] = text
	}
	if len(out) == 0 {
		return Secret{}, vaultDenies("the vault's secret has no text")
	}
	return NewSecret(out), nil
}

func vaultDenies(why string) error { return errors.Join(tokenboundary.ErrDenied, PublicError(why)) }
