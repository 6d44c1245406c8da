package broker

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// maxVaultLeases is how many leases of a path are looked at where the id of one is not known.
const maxVaultLeases = 1000

const noVersion = "check-and-set parameter did not match"

// place is where the journal has the entry of a lease; of is data or metadata.
func (v *Vault) place(of string, id lineage.ID) string {
	mount, path, _ := strings.Cut(v.cfg.Journal, "/")
	return mount + "/" + of + "/" + path + "/" + id.String()
}

// note puts down the token that is made for a lease; once only. An empty accessor says that none will be.
func (v *Vault) note(ctx context.Context, id lineage.ID, accessor string) error {
	_, noted, err := v.ask(ctx, http.MethodPost, v.place("data", id), map[string]any{
		"options": map[string]int{"cas": 0}, "data": map[string]string{"accessor": accessor},
	}, saying(noVersion))
	if err == nil && !noted {
		return errNoted
	}
	return err
}

var errNoted = errors.Join(tokenboundary.ErrDenied, PublicError("the lease is in the journal already: it was given up"))

// noted returns what the journal says of a lease.
func (v *Vault) noted(ctx context.Context, id lineage.ID) (accessor string, there bool, err error) {
	a, there, err := v.ask(ctx, http.MethodGet, v.place("data", id), nil, vaultAnswer.missing)
	if err != nil || !there {
		return "", false, err
	}
	var entry struct{ Data struct{ Accessor *string } }
	if json.Unmarshal(a.Data, &entry) != nil || entry.Data.Accessor == nil {
		return "", false, errVaultAnswer
	}
	return *entry.Data.Accessor, true, nil
}

// found returns what there is to take back of a lease. Where nobody knows, the journal does; and where that has nothing, it is
// put down that nothing will be made any more, for a process that was stopped before it did.
func (v *Vault) found(ctx context.Context, lease tokenboundary.Lease) (h vaultHandle, err error) {
	if lease.Handle != nil {
		if json.Unmarshal(lease.Handle, &h) != nil {
			return h, errors.Join(tokenboundary.ErrUnavailable, PublicError("the handle of the lease cannot be read"))
		}
		return h, nil
	}
	for range 2 {
		var there bool
		if h.Accessor, there, err = v.noted(ctx, lease.ID); err != nil || there {
			h.Unsure = true
			return h, err
		}
		if err = v.note(ctx, lease.ID, ""); !errors.Is(err, errNoted) {
			return h, err
		}
	}
	return h, errVaultAnswer
}

// strike takes the entry of a lease out of the journal.
func (v *Vault) strike(ctx context.Context, id lineage.ID) error {
	_, _, err := v.ask(ctx, http.MethodDelete, v.place("metadata", id), nil, vaultAnswer.missing)
	return err
}

// settled returns nil if the vault has nothing more to end below the path of the scopes: then a secret whose token has ended,
// and of which nobody knows the id, has ended as well.
func (v *Vault) settled(ctx context.Context, scopes []string) error {
	path, err := v.path(scopes)
	if err != nil {
		return err
	}
	a, there, err := v.ask(ctx, methodList, "sys/leases/lookup/"+path, nil, vaultAnswer.missing)
	if err != nil || !there {
		return err
	}
	var list struct{ Keys []string }
	if json.Unmarshal(a.Data, &list) != nil || len(list.Keys) == 0 {
		return errVaultAnswer
	}
	if len(list.Keys) > maxVaultLeases {
		return errors.Join(tokenboundary.ErrUnavailable, PublicError("the vault has too many leases to look for one of which the id is not known"))
	}
	for _, key := range list.Keys {
		if err := v.alive(ctx, path+"/"+key); err != nil {
			return err
		}
	}
	return nil
}

// alive returns nil if the vault has still to end a lease at some later time, or has ended it.
func (v *Vault) alive(ctx context.Context, id string) error {
	a, there, err := v.lookup(ctx, id)
	if err != nil || !there {
		return err
	}
	var l struct {
		ExpireTime *time.Time `json:"expire_time"`
		TTL        int64      `json:"ttl"`
	}
	if json.Unmarshal(a.Data, &l) != nil {
		return errVaultAnswer
	}
	if l.ExpireTime != nil && l.TTL <= 0 {
		return errVaultPending
	}
	return nil
}
