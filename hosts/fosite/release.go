package fosite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
)

// heldKey is where the form of a request holds the decision from Handle to Populate. The storage keeps no parameter of the
// form that fosite does not know, and what a client sends by this name is deleted before.
const heldKey = "tokenboundary_decision"

// hold keeps the decision with the request.
func hold(form url.Values, d tb.Decision) error {
	text, err := json.Marshal(d)
	form.Set(heldKey, string(text))
	return err
}

// held returns the decision on a request.
func held(form url.Values) (tb.Decision, error) {
	var d tb.Decision
	text := form.Get(heldKey)
	if text == "" {
		return d, errors.New("tokenboundary: the request was not decided; is Factory the last one?")
	}
	return d, json.Unmarshal([]byte(text), &d)
}

// apply makes the request what was decided. The recheck interval bounds the token's life: nobody asks again.
func (h *handler) apply(ctx context.Context, ar *fosite.AccessRequest, d tb.Decision) error {
	ar.RequestedScope, ar.GrantedScope = slices.Clone(d.Scopes()), slices.Clone(d.Scopes())
	ar.RequestedAudience, ar.GrantedAudience = slices.Clone(d.Audience), slices.Clone(d.Audience)
	if err := keep(ar.Session, ar, d); err != nil {
		return err
	}
	ar.Session.SetExpiresAt(fosite.AccessToken, ends(d))
	if most := h.lifespan(ctx, ar, fosite.RefreshToken); h.refreshable(ctx, ar, d) && most > -1 {
		ar.Session.SetExpiresAt(fosite.RefreshToken, ar.GetRequestedAt().Add(most).Round(time.Second))
	}
	return nil
}

// ends returns when the token ends.
func ends(d tb.Decision) time.Time {
	r := d.Token()
	if r.Body == nil || r.Body.Recheck <= 0 {
		return d.ExpiresAt
	}
	if again := r.IssuedAt.Add(r.Body.Recheck).Truncate(time.Second); again.Before(d.ExpiresAt) {
		return again
	}
	return d.ExpiresAt
}

// refreshable reports whether a refresh token comes with the token, which fosite has for no grant but its own.
func (h *handler) refreshable(ctx context.Context, r fosite.AccessRequester, d tb.Decision) bool {
	wants := h.config.GetRefreshTokenScopes(ctx)
	return !d.Family.IsZero() && grantType(r) != exchange.GrantRefreshToken &&
		r.GetClient().GetGrantTypes().Has(exchange.GrantRefreshToken) &&
		(len(wants) == 0 || fosite.Arguments(d.Scopes()).HasOneOf(wants...))
}

// PopulateTokenEndpointResponse implements fosite.TokenEndpointHandler: it mints for an exchange, and lets no token out that
// is not what was decided, and recorded.
func (h *handler) PopulateTokenEndpointResponse(ctx context.Context, r fosite.AccessRequester, out fosite.AccessResponder) error {
	if h.undecided(r) {
		return fosite.ErrUnknownRequest
	}
	d, err := held(r.GetRequestForm())
	if err == nil {
		err = h.release(ctx, r, out, d)
	}
	if err == nil {
		return nil
	}
	out.SetAccessToken("")
	return refused(errors.Join(err, h.discard(ctx, r)))
}

func (h *handler) release(ctx context.Context, r fosite.AccessRequester, out fosite.AccessResponder, d tb.Decision) error {
	kind := grantType(r)
	if kind == exchange.GrantTokenExchange {
		if err := h.mint(ctx, r, out); err != nil {
			return err
		}
	}
	if err := carries(r, out, d); err != nil {
		return err
	}
	if kind != exchange.GrantRefreshToken {
		if err := h.record(ctx, r, d); err != nil {
			return err
		}
	}
	if h.refreshable(ctx, r, d) {
		if err := h.mintRefresh(ctx, r, out); err != nil {
			return err
		}
	}
	if !d.TaskID.IsZero() {
		out.SetExtra("task_id", d.TaskID.String())
	}
	if len(d.Granted.Details) > 0 {
		out.SetExtra(claimDetails, d.Granted.Details)
	}
	return nil
}

// mint makes the token of an exchange (RFC 8693, section 2.2.1).
func (h *handler) mint(ctx context.Context, r fosite.AccessRequester, out fosite.AccessResponder) error {
	helper := oauth2.HandleHelper{AccessTokenStrategy: h.strategy, AccessTokenStorage: h.tokens, Config: h.config}
	if _, err := helper.IssueAccessToken(ctx, h.lifespan(ctx, r, fosite.AccessToken), r, out); err != nil {
		return fmt.Errorf("tokenboundary: mint: %w", err)
	}
	out.SetExtra("issued_token_type", tb.TypeAccessToken)
	return nil
}

// mintRefresh makes the refresh token that comes with the first token of a family.
func (h *handler) mintRefresh(ctx context.Context, r fosite.AccessRequester, out fosite.AccessResponder) error {
	token, signature, err := h.strategy.GenerateRefreshToken(ctx, r)
	if err == nil {
		access := h.strategy.AccessTokenSignature(ctx, out.GetAccessToken())
		err = h.tokens.CreateRefreshTokenSession(ctx, signature, access, r.Sanitize([]string{}))
	}
	if err != nil {
		return fmt.Errorf("tokenboundary: refresh token: %w", err)
	}
	out.SetExtra("refresh_token", token)
	return nil
}

// carries reports whether the token is what was decided: a host can still change the request when it was.
func carries(r fosite.AccessRequester, out fosite.AccessResponder, d tb.Decision) error {
	s := r.GetSession()
	switch {
	case out.GetAccessToken() == "":
		return errors.New("tokenboundary: no token was minted; is Factory the last one?")
	case !same(r.GetGrantedScopes(), d.Scopes()), !same(r.GetGrantedAudience(), d.Audience), idOf(s) != d.ID,
		s.GetSubject() != d.Subject.ID, r.GetClient().GetID() != d.Client, !s.GetExpiresAt(fosite.AccessToken).Equal(ends(d)):
		return errors.New("tokenboundary: the token is not what was decided")
	}
	return nil
}

// same reports whether two lists hold the same names.
func same(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}

// discard deletes what the server has stored for a request whose token does not leave, whatever became of the client.
func (h *handler) discard(ctx context.Context, r fosite.Requester) error {
	ctx = context.WithoutCancel(ctx)
	return errors.Join(gone(h.revocations.RevokeAccessToken(ctx, r.GetID())), gone(h.revocations.RevokeRefreshToken(ctx, r.GetID())))
}

// gone takes an error that says that there is nothing for none.
func gone(err error) error {
	if errors.Is(err, fosite.ErrNotFound) || errors.Is(err, fosite.ErrInactiveToken) {
		return nil
	}
	return err
}
