package fosite

import (
	"context"
	"slices"

	"github.com/ory/fosite"
)

// HandleAuthorizeEndpointRequest implements fosite.AuthorizeEndpointHandler: nothing is decided at the authorization
// endpoint, so that no access token leaves it (RFC 6749, section 4.2) unless Config.Undecided names the implicit grant. A
// code is none: what it is redeemed for is decided.
func (h *handler) HandleAuthorizeEndpointRequest(ctx context.Context, r fosite.AuthorizeRequester, out fosite.AuthorizeResponder) error {
	asks := r.GetResponseTypes().Has("token") || out.GetParameters().Has("access_token")
	if !asks || slices.Contains(h.cfg.Undecided, string(fosite.GrantTypeImplicit)) {
		return nil
	}
	if err := h.discard(ctx, r); err != nil {
		return fosite.ErrServerError.WithWrap(err)
	}
	return fosite.ErrUnauthorizedClient.WithHint("No access token is issued at the authorization endpoint.")
}
