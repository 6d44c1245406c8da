package gate

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
)

// answer is what the client gets. Of the endpoint's answer nothing else is in it.
type answer struct {
	AccessToken     string `json:"access_token"`
	TokenType       string `json:"token_type"`
	ExpiresIn       int64  `json:"expires_in"`
	Scope           string `json:"scope,omitempty"`
	IssuedTokenType string `json:"issued_token_type,omitempty"`
	RefreshToken    string `json:"refresh_token,omitempty"`
	TaskID          string `json:"task_id,omitempty"`
}

// Handle returns the handle under which a Gate records an access token: its digest. Who presents the token presents the
// decision that is recorded under it.
func Handle(token string) string {
	digest := sha256.Sum256([]byte(token))
	return "sha256:" + base64.RawURLEncoding.EncodeToString(digest[:])
}

// release checks what was minted against the decision, records it, and makes the answer.
func (p *pass) release(ctx context.Context, res exchange.Result) error {
	d := p.decision
	ctx, cancel := context.WithTimeout(ctx, p.g.cfg.Timeout)
	defer cancel()
	if err := p.check(ctx, res); err != nil {
		return err
	}
	refresh, err := p.sealed(res)
	if err != nil {
		return err
	}
	left := min(res.ExpiresIn, d.ExpiresAt.Sub(p.g.cfg.Clock.Now())).Truncate(time.Second)
	if left <= 0 {
		return fmt.Errorf("%w: the endpoint took as long as the token may live", tokenboundary.ErrUnavailable)
	}
	if err := p.record(ctx, Handle(res.Value())); err != nil {
		return err
	}
	p.answer = answer{
		AccessToken: res.Value(), TokenType: "Bearer", ExpiresIn: int64(left / time.Second), Scope: strings.Join(res.Scopes, " "),
		RefreshToken: refresh, TaskID: d.TaskID.String(),
	}
	if p.req.Grant == tokenboundary.Exchange {
		p.answer.IssuedTokenType = tokenboundary.TypeAccessToken
	}
	return nil
}

// check refuses a token that is good for more than was granted, or for longer.
func (p *pass) check(ctx context.Context, res exchange.Result) error {
	granted := p.decision.Scopes()
	as := p.req
	switch {
	case slices.ContainsFunc(res.Scopes, func(s string) bool { return !slices.Contains(granted, s) }):
		as.Enforce, as.Scopes = enforced&^tokenboundary.CapScopes, res.Scopes
	case res.ExpiresIn > p.lifetime():
		as.Enforce, as.Lifetime = enforced&^tokenboundary.CapLifetime, res.ExpiresIn
	default:
		var more bool
		if as, more = p.inside(res.Value()); !more {
			return nil
		}
	}
	return p.object(ctx, as)
}

// lifetime returns how long a token for the decision may live. The endpoint counts from when it mints, and the decision from
// when it was made: a token may outlive its record by what lies between.
func (p *pass) lifetime() time.Duration {
	return p.decision.ExpiresAt.Sub(p.decision.Token().IssuedAt.Truncate(time.Second))
}

// record binds the token to the decision. Whether a record was made whose answer is lost, a second try tells.
func (p *pass) record(ctx context.Context, handle string) error {
	var err error
	for range 2 {
		err = p.g.cfg.Governor.Record(ctx, p.decision, tokenboundary.HostToken{Handle: handle})
		if !errors.Is(err, tokenboundary.ErrUnavailable) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("%w: record: %w", tokenboundary.ErrUnavailable, err)
	}
	return nil
}

// sealed returns the refresh token that the client gets: none where policy permits none.
func (p *pass) sealed(res exchange.Result) (string, error) {
	if res.RefreshValue() == "" || p.decision.Family.IsZero() || len(p.g.seals) == 0 {
		return "", nil
	}
	return p.g.seals.seal(p.decision.Family, res.RefreshValue())
}
