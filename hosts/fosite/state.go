package fosite

import (
	"context"
	"errors"
	"fmt"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// access returns the request that an access token of the server was issued for; nil where the storage has none.
func (h *handler) access(ctx context.Context, token string) (fosite.Requester, error) {
	signature := h.strategy.AccessTokenSignature(ctx, token)
	if signature == "" {
		return nil, nil
	}
	return found(h.tokens.GetAccessTokenSession(ctx, signature, h.cfg.Session()))
}

// refresh is access for a refresh token that can be used.
func (h *handler) refresh(ctx context.Context, token string) (fosite.Requester, error) {
	signature := h.strategy.RefreshTokenSignature(ctx, token)
	if signature == "" {
		return nil, nil
	}
	return found(h.tokens.GetRefreshTokenSession(ctx, signature, h.cfg.Session()))
}

func found(r fosite.Requester, err error) (fosite.Requester, error) {
	if gone(err) != nil { // its text alone: fosite takes some errors for "not mine"
		return nil, errors.New("tokenboundary: storage: " + err.Error())
	}
	if err != nil {
		return nil, nil
	}
	if r == nil || r.GetSession() == nil {
		return nil, errors.New("tokenboundary: the storage has no session for a token")
	}
	return r, nil
}

// IntrospectToken implements fosite.TokenIntrospector. It finds no token of its own; it makes one inactive that the boundary
// has revoked, that is not decided and should be, or of which nothing can be said.
func (h *handler) IntrospectToken(
	ctx context.Context, token string, _ fosite.TokenUse, ar fosite.AccessRequester, _ []string,
) (fosite.TokenUse, error) {
	id, err := h.behind(ctx, token, ar.GetSession())
	switch {
	case err != nil:
		return "", fosite.ErrServerError.WithWrap(err)
	case id.IsZero() && len(h.cfg.Undecided) > 0:
		return "", fosite.ErrUnknownRequest
	case id.IsZero():
		return "", fosite.ErrInactiveToken
	}
	switch state, err := h.cfg.Governor.Active(ctx, h.cfg.Operator, id); {
	case err != nil:
		return "", fosite.ErrServerError.WithWrap(err)
	case !state.Active:
		return "", fosite.ErrInactiveToken
	}
	return "", fosite.ErrUnknownRequest // the other handlers say what it is
}

// behind returns the record that a token stands for: of an access token its decision, of a refresh token its family. Seen is
// the session as another handler found it, which may be the token's own: one reads a JWT without asking the storage.
func (h *handler) behind(ctx context.Context, token string, seen fosite.Session) (lineage.ID, error) {
	r, err := h.access(ctx, token)
	if err != nil {
		return lineage.ID{}, err
	}
	if r != nil {
		return idOf(r.GetSession()), nil
	}
	if r, err = h.refresh(ctx, token); err != nil {
		return lineage.ID{}, err
	}
	if r != nil {
		return parentOf(r.GetSession()), nil
	}
	return idOf(seen), nil
}

// RevokeToken implements fosite.RevocationHandler (RFC 7009): the boundary cuts the token, with all that came from it,
// before the server forgets it. Like fosite, it ends a refresh token with its access tokens and the other way round; of a
// task token, it ends the task.
func (h *handler) RevokeToken(ctx context.Context, token string, hint fosite.TokenType, client fosite.Client) error {
	r, err := h.access(ctx, token)
	if err == nil && r == nil {
		r, err = h.refresh(ctx, token)
	}
	if err == nil && r != nil && r.GetClient().GetID() == client.GetID() {
		err = h.cut(ctx, r.GetSession())
	}
	if err != nil {
		// The only code that fosite does not answer with a success. The server still knows the token: the client can repeat.
		return fosite.ErrInvalidRequest.WithWrap(fmt.Errorf("tokenboundary: not revoked: %w", err))
	}
	inner := oauth2.TokenRevocationHandler{
		TokenRevocationStorage: h.revocations, RefreshTokenStrategy: h.strategy, AccessTokenStrategy: h.strategy,
	}
	return inner.RevokeToken(ctx, token, hint, client)
}

// cut revokes what a session stands for: the task of a task token, the refresh family, or else the token.
func (h *handler) cut(ctx context.Context, s fosite.Session) error {
	id, g := idOf(s), h.cfg.Governor
	if id.IsZero() {
		return nil
	}
	nodes, err := g.Lineage(ctx, h.cfg.Operator, id)
	switch {
	case errors.Is(err, tb.ErrNotFound):
		return nil // it was never recorded
	case err != nil:
		return err
	}
	record := nodes[len(nodes)-1].Record
	if b := record.Body; b != nil && b.Task != nil && b.Task.Authority != nil {
		_, err = g.SetTask(ctx, h.cfg.Operator, b.Task.ID, tb.TaskRevoked)
		return err
	}
	if n := len(nodes) - 2; n >= 0 && nodes[n].Record.Kind == lineage.KindGrant {
		id = nodes[n].Record.ID()
	}
	_, err = g.Revoke(ctx, h.cfg.Operator, lineage.Revocation{
		Selector: lineage.Selector{Kind: lineage.SelectToken, Value: id.String()}, Reason: "revoked by its client",
	})
	return err
}
