package goidc

import (
	"context"
	"encoding/json"
	"errors"
	"maps"

	"github.com/luikyv/go-oidc/pkg/goidc"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// storeKey is where a grant keeps what the boundary must know of it.
const storeKey = "tokenboundary"

// kept is what a grant keeps. It is no permission: what it names is looked up, and each refresh is decided anew.
type kept struct {
	Family    lineage.ID      `json:"family,omitzero"`    // of a governed grant that can be refreshed
	Undecided goidc.GrantType `json:"undecided,omitzero"` // what another grant began as
}

// keep puts k into the grant, as a text that survives any store.
func keep(grant *goidc.Grant, k kept) {
	store := maps.Clone(grant.Store)
	if store == nil {
		store = map[string]any{}
	}
	text, _ := json.Marshal(k) // two texts
	store[storeKey] = string(text)
	grant.Store = store
}

// keptOf returns what a grant keeps; the zero value where there is nothing, or nothing that can be read.
func keptOf(grant *goidc.Grant) (k kept) {
	text, _ := grant.Store[storeKey].(string)
	if json.Unmarshal([]byte(text), &k) != nil {
		return kept{}
	}
	return k
}

// refreshable reports whether the provider may issue a refresh token for the grant. Of one that is governed, it would reach
// nobody unless it was asked for.
func (h *host) refreshable(ctx context.Context, _ *goidc.Client, grant *goidc.Grant) bool {
	k := keptOf(grant)
	return h.undecided(k.Undecided) || !k.Family.IsZero() && callOf(ctx).wantsRefresh(goidc.GrantTokenExchange)
}

// copies is a manager that hands out copies. The provider rotates the refresh token of a grant before it is decided, and a
// manager that keeps its grants in memory would lose the old one with a refusal.
type copies struct{ of goidc.RefreshTokenManager }

// GrantByRefreshToken implements goidc.RefreshTokenManager.
func (c copies) GrantByRefreshToken(ctx context.Context, token string) (*goidc.Grant, error) {
	if token == "" {
		return nil, goidc.ErrNotFound // what a grant without one would match
	}
	grant, err := c.of.GrantByRefreshToken(ctx, token)
	switch {
	case err != nil:
		return nil, err
	case grant == nil:
		return nil, errors.New("tokenboundary: no grant and no error")
	}
	out := *grant
	return &out, nil
}
