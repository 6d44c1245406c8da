package tokenboundary

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// Bounds of a report of use.
const (
	maxUses     = 1000
	maxUseCount = 1 << 32
)

// Use is a use of a token at the resource that reports it, or several alike.
type Use struct {
	Token lineage.ID // the jti of the token
	// At is when the token was used; of several uses, the last.
	At time.Time
	// Scopes are the scopes of the token that the use needed. Empty where that is not known: then it is a use of the
	// token, and may have been one of any of its scopes.
	Scopes []string
	// Count is how many uses these are; 0 is one.
	Count uint64
}

// UsageReceipt is what became of a report of use.
type UsageReceipt struct {
	// Accepted is how many entries of the report were counted. Refused are the others.
	Accepted int          `json:"accepted"`
	Refused  []RefusedUse `json:"refused"`
}

// RefusedUse is an entry of a report that was not counted.
type RefusedUse struct {
	// Index is the place of the entry in the report, from 0; Token what it named, zero where that was no id.
	Index int        `json:"index"`
	Token lineage.ID `json:"jti,omitzero"`
	Why   UseError   `json:"error"`
}

// UseError says why an entry of a report was not counted.
type UseError string

// The reasons. Of a token that is not for the resource nothing is said but that it is unknown.
const (
	UseUnknown UseError = "unknown" // not a token that names this resource
	UseTime    UseError = "time"    // not within the life of the token, or in the future
	UseScope   UseError = "scope"   // a scope that the token does not have at this resource
)

// ReportUsage counts uses of tokens at the resource that reports them. What it says is evidence of what authority was
// needed, for whoever narrows a policy, and that a token was used after it was revoked, which is logged as a warning. It
// changes nothing else: a token is neither kept alive nor ended by it.
//
// By must be a resource. Only tokens whose audience names its resource count; every other entry is refused as unknown,
// whether there is such a token or not. The report is written whole or not at all, and is not recognised when it comes
// again: the counts rise with each. ErrInvalid is a report without an entry, with more than 1,000, or with one whose count
// is above 2^32.
func (g *Governor) ReportUsage(ctx context.Context, by Client, uses []Use) (UsageReceipt, error) {
	if !by.is(KindResource) {
		return UsageReceipt{}, g.answer(ctx, by, ErrForbidden)
	}
	tooMany := func(u Use) bool { return u.Count > maxUseCount || len(u.Scopes) > canon.MaxScopes }
	if len(uses) == 0 || len(uses) > maxUses || slices.ContainsFunc(uses, tooMany) {
		return UsageReceipt{}, g.answer(ctx, by, fmt.Errorf("%w: usage", ErrInvalid))
	}
	for range contended { // other nodes may count the same tokens
		r, err := g.readReport(ctx, by.Resource, uses)
		if err != nil {
			return UsageReceipt{}, err
		}
		tx, err := r.transaction()
		if err != nil {
			return UsageReceipt{}, err
		}
		switch err := g.change(ctx, by, tx); {
		case errors.Is(err, ErrConflict):
			continue
		case err != nil:
			return UsageReceipt{}, err
		}
		if late := r.late; len(late) > 0 {
			g.cfg.Logger.WarnContext(ctx, "a token was used after it was revoked",
				"resource", by.ID, "entries", len(late), "token", late[0].String())
		}
		return r.receipt, nil
	}
	return UsageReceipt{}, unavailable("usage", errStale)
}

// usageKey is the head with the usage of a token. It is not keyed by a selector of the record: whoever asks whether a token
// is alive, which is every request, does not pay for it; whoever looks at the lineage reads once more.
func usageKey(id lineage.ID) string { return canon.Key("usage", id.String()) }

func usageKeys(ids []lineage.ID) []string {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = usageKey(id)
	}
	return keys
}

func usageIn(h store.Head) (out []lineage.Usage, err error) {
	if h.Version > 0 {
		err = readHead(h, &out)
	}
	return out, err
}

// UsageOf reads what resources have reported of the use of tokens, from the store of a boundary: one list per id, in
// order, with one entry per resource; nil where nothing was reported. It is for whoever reads the store without serving
// it; an operator finds the same in Governor.Lineage.
func UsageOf(ctx context.Context, s store.Store, issuer string, ids []lineage.ID) ([][]lineage.Usage, error) {
	out := make([][]lineage.Usage, len(ids))
	if len(ids) == 0 {
		return out, nil
	}
	heads, err := s.Heads(ctx, issuer, usageKeys(ids))
	if err != nil {
		return nil, unavailable("store", err)
	}
	for i, h := range heads {
		if out[i], err = usageIn(h); err != nil {
			return nil, err
		}
	}
	return out, nil
}
