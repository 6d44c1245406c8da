package mint

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/internal/jose"
)

// VerifierConfig is what a Verifier is made of. Issuer, Audience, and one of JWKS and URI are required.
type VerifierConfig struct {
	// Issuer is the exact iss of the tokens.
	Issuer string
	// Audience is the resource that the tokens must be for: one of their aud.
	Audience string
	// JWKS is the issuer's JWKS document, for a verifier that never learns of another key.
	JWKS []byte
	// URI is where the document is fetched from: https, or http on a loopback host. Redirects are not followed. While
	// it cannot be reached, the last document is used for a day.
	URI string
	// Leeway is by how much clocks may differ. Zero: 5 s.
	Leeway time.Duration
	// Clock is where time comes from. Nil: the machine's.
	Clock clock.Clock
}

// Verifier checks tokens of one issuer for one resource server, with nothing but the issuer's public keys. It works
// offline: a token that it accepts may have been revoked. It is safe for concurrent use; make it with NewVerifier.
type Verifier struct {
	issuer, audience string
	keys             jose.Source
	leeway           time.Duration
	clock            clock.Clock
}

// NewVerifier returns a Verifier. The error names the field of cfg that it cannot work with. It fetches nothing yet.
func NewVerifier(cfg VerifierConfig) (*Verifier, error) {
	switch {
	case canon.Name(cfg.Issuer) != nil:
		return nil, errors.New("mint: VerifierConfig.Issuer is required")
	case cfg.Audience == "":
		return nil, errors.New("mint: VerifierConfig.Audience is required")
	case cfg.Leeway < 0:
		return nil, errors.New("mint: VerifierConfig.Leeway is negative")
	}
	v := &Verifier{issuer: cfg.Issuer, audience: cfg.Audience, leeway: cfg.Leeway, clock: cfg.Clock}
	if v.leeway == 0 {
		v.leeway = 5 * time.Second
	}
	if v.clock == nil {
		v.clock = clock.New()
	}
	var err error
	v.keys, err = newSource(cfg, v.clock)
	return v, err
}

func newSource(cfg VerifierConfig, clk clock.Clock) (jose.Source, error) {
	switch static, uri := len(cfg.JWKS) > 0, cfg.URI != ""; {
	case static && !uri:
		set, err := jose.ParseKeySet(cfg.JWKS)
		if err == nil && set.Len() == 0 {
			err = errors.New("no usable key")
		}
		if err != nil {
			return nil, fmt.Errorf("mint: VerifierConfig.JWKS: %w", err)
		}
		return jose.Static(set), nil
	case uri && !static:
		source, err := jose.NewRemote(cfg.URI, clk, nil)
		if err != nil {
			return nil, fmt.Errorf("mint: VerifierConfig.URI: %w", err)
		}
		return source, nil
	}
	return nil, errors.New("mint: one of VerifierConfig.JWKS and URI is required")
}

// Verify returns the claims of a token that the issuer signed for this audience and that is valid now. Any other token
// is ErrToken, and where that is the reason ErrSignature, ErrExpired or ErrAudience. If the issuer's keys cannot be
// had, the error is tokenboundary.ErrUnavailable.
//
// Two claims are for the caller to act on. Where Confirm is set, the token is good only beside a proof of that key for
// this request, and never as a bearer token (RFC 9449, section 7.1). Recheck is for how many seconds it may be relied on
// until the issuer has to be asked again whether it is active.
func (v *Verifier) Verify(ctx context.Context, raw string) (tokenboundary.Claims, error) {
	claims, err := v.verify(ctx, raw)
	if err != nil {
		return tokenboundary.Claims{}, err
	}
	return claims, nil
}

func (v *Verifier) verify(ctx context.Context, raw string) (c tokenboundary.Claims, err error) {
	if len(raw) > canon.MaxMinted {
		return c, fmt.Errorf("%w: too long", ErrToken)
	}
	kid, ok := pinned(raw)
	if !ok {
		_, why := reason(raw)
		return c, fmt.Errorf("%w: %w", ErrToken, why)
	}
	k, err := v.key(ctx, kid)
	if err != nil {
		return c, err
	}
	if c, err = k.read(raw); err != nil {
		return c, err
	}
	now := v.clock.Now()
	switch {
	case c.Issuer != v.issuer:
		return c, fmt.Errorf("%w: another issuer", ErrToken)
	case !slices.Contains(c.Audience, v.audience):
		return c, ErrAudience
	case !now.Before(time.Unix(c.ExpiresAt, 0).Add(v.leeway)):
		return c, ErrExpired
	case now.Add(v.leeway).Before(time.Unix(c.IssuedAt, 0)):
		return c, fmt.Errorf("%w: issued in the future", ErrToken)
	}
	return c, nil
}

// key returns the key of the id. One that does not say what it is for is none of this issuer's.
func (v *Verifier) key(ctx context.Context, kid string) (publicKey, error) {
	set, err := v.keys.Keys(ctx, kid)
	if err != nil {
		return publicKey{}, unavailable(err)
	}
	for _, alg := range algorithms {
		for _, k := range set.Find(kid, alg, "sig") {
			if k.Alg == alg {
				return newPublicKey(k), nil
			}
		}
	}
	return publicKey{}, fmt.Errorf("%w: unknown key", ErrSignature)
}
