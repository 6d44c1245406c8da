package fosite

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ory/fosite"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
)

// CanSkipClientAuth implements fosite.TokenEndpointHandler: every client is authenticated.
func (h *handler) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool { return false }

// CanHandleTokenEndpointRequest implements fosite.TokenEndpointHandler: every request is decided, or refused, but those of
// undecided grants.
func (h *handler) CanHandleTokenEndpointRequest(_ context.Context, r fosite.AccessRequester) bool {
	return !h.undecided(r)
}

// undecided reports whether the server answers for the request by itself. A refresh is undecided where what it goes on with
// is.
func (h *handler) undecided(r fosite.AccessRequester) bool {
	kind := grantType(r)
	if kind == exchange.GrantRefreshToken {
		return len(h.cfg.Undecided) > 0 && idOf(r.GetSession()).IsZero()
	}
	return slices.Contains(h.cfg.Undecided, kind)
}

// grantType returns the one grant type of a request; empty where there is not exactly one.
func grantType(r fosite.Requester) string {
	if a, ok := r.(fosite.AccessRequester); ok && len(a.GetGrantTypes()) == 1 {
		return a.GetGrantTypes()[0]
	}
	return ""
}

// HandleTokenEndpointRequest implements fosite.TokenEndpointHandler: it decides, and makes the request what was decided.
func (h *handler) HandleTokenEndpointRequest(ctx context.Context, r fosite.AccessRequester) error {
	ar, ok := r.(*fosite.AccessRequest)
	if !ok || ar.GetSession() == nil {
		return refused(fmt.Errorf("tokenboundary: a request of type %T with a session of type %T", r, r.GetSession()))
	}
	ar.Form.Del(heldKey)
	kind := grantType(ar)
	switch client := ar.GetClient(); {
	case client.IsPublic():
		return fosite.ErrUnauthorizedClient.WithHint("The client is public: there is no proof of who it is.")
	case governed[kind] != "" && !client.GetGrantTypes().Has(kind):
		return fosite.ErrUnauthorizedClient.WithHint("The client is not registered for the grant type.")
	}
	d, err := h.decide(ctx, ar)
	if err == nil {
		err = h.fits(ctx, ar.GetClient(), d)
	}
	if err == nil {
		err = h.apply(ctx, ar, d)
	}
	if err == nil && governed[kind] == tb.Refresh {
		err = h.record(ctx, ar, d) // nothing is spent by it, and the refresh token is not rotated yet
	}
	if err == nil {
		err = hold(ar.Form, d)
	}
	if err != nil {
		return refused(err)
	}
	return nil
}

// decide asks the Governor. A refusal is an error.
func (h *handler) decide(ctx context.Context, ar *fosite.AccessRequest) (tb.Decision, error) {
	req, malformed, err := h.request(ctx, ar)
	if err != nil {
		return tb.Decision{}, err
	}
	d, err := h.cfg.Governor.Decide(ctx, req)
	switch {
	case err != nil:
		return tb.Decision{}, err
	case d.Effect == tb.Allow:
		return d, nil
	case malformed != nil && d.Code == req.Malformed:
		return d, malformed
	}
	return d, &tb.DeniedError{Decision: d}
}

// fits holds what was decided to the client's registration at the server, which has seen only what was asked for: the
// policy's defaults, and what a scope implies, may be more.
func (h *handler) fits(ctx context.Context, client fosite.Client, d tb.Decision) error {
	matches := h.config.GetScopeStrategy(ctx)
	for _, s := range d.Scopes() {
		if !matches(client.GetScopes(), s) {
			return &exchange.Error{Code: string(tb.CodeInvalidScope), Description: "scope was refused"}
		}
	}
	if err := h.config.GetAudienceStrategy(ctx)(client.GetAudience(), d.Audience); err != nil {
		return &exchange.Error{Code: string(tb.CodeInvalidTarget), Description: "resource or audience was refused"}
	}
	return nil
}

// record commits the decision, under a handle that names the request. All tokens of a refresh family are of one request;
// those after the first say also which decision they are.
func (h *handler) record(ctx context.Context, r fosite.AccessRequester, d tb.Decision) error {
	handle := r.GetID()
	if grantType(r) == exchange.GrantRefreshToken {
		handle += "/" + d.ID.String()
	}
	err := h.cfg.Governor.Record(ctx, d, tb.HostToken{Handle: handle})
	if errors.Is(err, tb.ErrUnavailable) { // it may be recorded
		err = h.cfg.Governor.Record(ctx, d, tb.HostToken{Handle: handle})
	}
	if errors.Is(err, tb.ErrConflict) { // asked again, it is decided anew
		err = fmt.Errorf("%w: %w", tb.ErrUnavailable, err)
	}
	return err
}

// refused returns err as the server answers with it. What it wraps is for the server only.
func refused(err error) error {
	e := exchange.AsError(err)
	status := e.Status
	if status == 0 {
		status = 400
	}
	out := &fosite.RFC6749Error{ErrorField: e.Code, DescriptionField: e.Description, CodeField: status}
	return out.WithWrap(err)
}
