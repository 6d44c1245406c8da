package broker

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/tokenboundary/tokenboundary"
)

// vaultHandle is what is known of what was made for a lease.
type vaultHandle struct {
	Accessor string `json:"a,omitempty"` // of the lease's token; empty: nothing was made
	Lease    string `json:"l,omitempty"` // of the secret, at the vault
	// Unsure says that a secret may have been made of which the id is not known.
	Unsure bool `json:"u,omitempty"`

	Ends      time.Time `json:"t,omitzero"` // the token, by itself
	Expires   time.Time `json:"x,omitzero"` // the secret, unless it is renewed
	Renewable bool      `json:"r,omitempty"`
}

func (h vaultHandle) bytes() []byte {
	raw, err := json.Marshal(h)
	if err != nil {
		panic(err) // plain data
	}
	return raw
}

// The reasons for which a vault refuses that are answers to whether something is there.
const (
	noAccessor = "invalid accessor"
	noLease    = "invalid lease"
)

// lend makes a secret for a lease. Whatever it returns, h is what there is to take back.
func (v *Vault) lend(ctx context.Context, path string, lease tokenboundary.Lease, h *vaultHandle) (Issued, error) {
	token, err := v.token(ctx, lease, h)
	if err != nil {
		return Issued{}, err
	}
	if err := v.note(ctx, lease.ID, h.Accessor); err != nil {
		return Issued{}, err
	}
	now := v.cfg.Clock.Now()
	h.Unsure = true
	a, err := v.send(ctx, token, http.MethodGet, path, nil)
	if err != nil {
		return Issued{}, err
	}
	if err := a.failure(); err != nil {
		h.Unsure = !a.refused()
		return Issued{}, err
	}
	if a.LeaseID == "" {
		return Issued{}, vaultDenies("the vault's secret has no lease: it cannot be taken back")
	}
	h.Lease, h.Unsure, h.Renewable = a.LeaseID, false, a.Renewable
	h.Expires = earlier(now.Add(seconds(a.LeaseDuration)), h.Ends)
	secret, err := v.pick(a.Data)
	return Issued{Secret: secret, Expires: h.Expires}, err
}

// token makes the token of a lease, which ends with it.
func (v *Vault) token(ctx context.Context, lease tokenboundary.Lease, h *vaultHandle) (string, error) {
	now := v.cfg.Clock.Now()
	life := int64((lease.ExpiresAt.Sub(now) + time.Second - 1) / time.Second)
	if life < 1 {
		return "", vaultDenies("the lease is over")
	}
	meta := map[string]string{"lease": lease.ID.String(), "client": lease.Client, "connection": lease.Connection}
	if !lease.Task.IsZero() {
		meta["task"] = lease.Task.String()
	}
	ends := strconv.FormatInt(life, 10) + "s"
	a, _, err := v.ask(ctx, http.MethodPost, "auth/token/create/"+v.cfg.TokenRole, map[string]any{
		"ttl": ends, "explicit_max_ttl": ends, "display_name": "tokenboundary", "meta": meta,
	})
	if err != nil {
		return "", err
	}
	if a.Auth == nil || a.Auth.Accessor == "" || !usableToken(a.Auth.ClientToken) {
		return "", errVaultAnswer
	}
	h.Accessor = a.Auth.Accessor
	h.Ends = now.Add(min(seconds(a.Auth.LeaseDuration), seconds(life)))
	if !a.Auth.Orphan {
		return "", vaultDenies("the vault's role does not make orphans: the lease would end with the login")
	}
	return a.Auth.ClientToken, nil
}

// Renew implements Renewer: of a secret that the vault lets be renewed, for no longer than its token lives.
func (v *Vault) Renew(ctx context.Context, lease tokenboundary.Lease) (Issued, error) {
	var h vaultHandle
	if v.cfg.Kind == VaultKV || json.Unmarshal(lease.Handle, &h) != nil || h.Lease == "" {
		return Issued{}, vaultDenies("there is nothing to renew")
	}
	if !h.Renewable {
		return Issued{Expires: h.Expires}, nil
	}
	now := v.cfg.Clock.Now()
	body := map[string]any{"lease_id": h.Lease, "increment": int64(h.Ends.Sub(now) / time.Second)}
	a, _, err := v.ask(ctx, http.MethodPost, "sys/leases/renew", body)
	if err == nil && (a.LeaseID != h.Lease || a.LeaseDuration < 1) {
		err = errVaultAnswer
	}
	if err != nil {
		return Issued{}, err
	}
	return Issued{Expires: earlier(now.Add(seconds(a.LeaseDuration)), h.Ends)}, nil
}

// endToken ends the token of a lease, and with it, sooner or later, all that was made with it.
func (v *Vault) endToken(ctx context.Context, accessor string) error {
	for range 2 { // the second time it is not there any more
		_, there, err := v.ask(ctx, http.MethodPost, "auth/token/revoke-accessor", map[string]string{"accessor": accessor}, saying(noAccessor))
		if err != nil || !there {
			return err
		}
	}
	return errors.Join(tokenboundary.ErrUnavailable, PublicError("the vault has not ended the token yet"))
}

// endSecret ends a secret, of which the vault alone would do it when it comes to it.
func (v *Vault) endSecret(ctx context.Context, id string) error {
	if _, _, err := v.ask(ctx, http.MethodPost, "sys/leases/revoke", map[string]any{"lease_id": id, "sync": true}, saying(noLease)); err != nil {
		return err
	}
	_, there, err := v.lookup(ctx, id)
	if there {
		return errVaultPending
	}
	return err
}

// lookup asks about a lease of the vault. One that has ended is not there.
func (v *Vault) lookup(ctx context.Context, id string) (a vaultAnswer, there bool, err error) {
	return v.ask(ctx, http.MethodPost, "sys/leases/lookup", map[string]string{"lease_id": id}, saying(noLease))
}

var errVaultPending = errors.Join(tokenboundary.ErrUnavailable, PublicError("the vault has not ended the secret yet"))

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
