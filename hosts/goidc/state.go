package goidc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/luikyv/go-oidc/pkg/goidc"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// introspectable is asked of a token that the provider finds active. Where the boundary does not, the answer is that it is
// inactive, and where that cannot be told, there is none (RFC 7662, section 2.2).
func (h *host) introspectable(ctx context.Context, client *goidc.Client, info goidc.TokenInfo) bool {
	c := callOf(ctx)
	if c == nil || !h.cfg.Introspection(ctx, client, info) {
		return false
	}
	id, err := h.behind(ctx, info, c.form.Get("token"))
	if err != nil || id.IsZero() {
		return err == nil
	}
	switch state, err := h.g.Active(ctx, h.cfg.Operator, id); {
	case err != nil:
		_ = c.refuse(fmt.Errorf("%w: %w", tb.ErrUnavailable, err))
		return false
	case !state.Active:
		c.answer = inactive
	}
	return true
}

func inactive(w http.ResponseWriter) {
	exchange.Headers(w.Header())
	w.WriteHeader(http.StatusOK)
	_, _ = io.WriteString(w, `{"active":false}`) // the client is gone if this fails
}

// behind returns the record that a token stands for: of an access token its decision, of a refresh token its family. It is
// zero for one of an undecided grant.
func (h *host) behind(ctx context.Context, info goidc.TokenInfo, raw string) (lineage.ID, error) {
	if minted(h.op.Issuer(), raw) || h.cfg.RefreshTokens == nil {
		return idOf(info), nil
	}
	grant, err := copies{h.cfg.RefreshTokens}.GrantByRefreshToken(ctx, raw)
	if err != nil {
		return lineage.ID{}, err
	}
	return keptOf(grant).Family, nil
}

// revocable is asked before the provider revokes a token. The boundary revokes it first, with all that came from it, and
// of a task token the task (RFC 7009, section 2.1).
func (h *host) revocable(ctx context.Context, client *goidc.Client) bool {
	c := callOf(ctx)
	if c == nil || !h.cfg.Revocation(ctx, client) {
		return false
	}
	if err := h.revoke(ctx, client, c.form.Get("token")); err != nil {
		_ = c.refuse(fmt.Errorf("%w: %w", tb.ErrUnavailable, err))
		return false
	}
	return true
}

func (h *host) revoke(ctx context.Context, client *goidc.Client, raw string) error {
	info, err := h.op.Introspect(ctx, raw)
	if err != nil || !info.IsActive || info.ClientID != client.ID {
		return err // the provider says what is wrong
	}
	id, err := h.behind(ctx, info, raw)
	if err != nil || id.IsZero() {
		return err
	}
	nodes, err := h.g.Lineage(ctx, h.cfg.Operator, id)
	switch {
	case errors.Is(err, tb.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	if b := nodes[len(nodes)-1].Record.Body; b != nil && b.Task != nil && b.Task.Authority != nil {
		_, err = h.g.SetTask(ctx, h.cfg.Operator, b.Task.ID, tb.TaskRevoked)
		return err
	}
	_, err = h.g.Revoke(ctx, h.cfg.Operator, lineage.Revocation{
		Selector: lineage.Selector{Kind: lineage.SelectToken, Value: id.String()}, Reason: "revoked by its client",
	})
	return err
}
