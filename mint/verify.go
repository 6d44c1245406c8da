package mint

import (
	"context"
	"fmt"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/internal/jose"
)

// Verify implements tokenboundary.Minter. What is no acceptable JWS, names no key of this issuer, or is signed for
// another issuer, is tokenboundary.ErrNotMine. A token that names a key of ours and is not what we would have made is
// ErrToken, and ErrSignature where only the signature is wrong.
//
// While the store fails, it goes on with what it knew for one minute; after that the error is
// tokenboundary.ErrUnavailable. Revocation of the token is not its business, that of the key is: a node sees it within
// one second.
//
// It remembers tokens that have verified, as long as the key set stays as it is: to verify one again costs a digest. The
// claims are shared; the caller must not change what they point to.
func (m *Mint) Verify(ctx context.Context, raw string) (tokenboundary.Claims, error) {
	if len(raw) > canon.MaxMinted {
		return tokenboundary.Claims{}, notMine("longer than any token of this issuer")
	}
	kid, ok := m.snap.Load().pinned(raw)
	if !ok {
		return tokenboundary.Claims{}, m.refusal(raw)
	}
	k, verified, err := m.verifier(ctx, kid)
	if err != nil {
		return tokenboundary.Claims{}, err
	}
	d, now := digestOf(raw), m.clock.Now()
	if claims, ok := verified.get(d, now); ok {
		return claims, nil
	}
	claims, err := k.read(raw)
	if err != nil {
		return tokenboundary.Claims{}, err
	}
	if claims.Issuer != m.issuer {
		return tokenboundary.Claims{}, notMine("another issuer")
	}
	verified.put(d, claims, now)
	return claims, nil
}

// refusal is the error for a token that does not have the header of any of ours.
func (m *Mint) refusal(raw string) error {
	kid, why := reason(raw)
	if m.snap.Load().ring.find(kid) == nil {
		return fmt.Errorf("mint: %w: %w", tokenboundary.ErrNotMine, why)
	}
	return fmt.Errorf("%w: %w", ErrToken, why)
}

func notMine(why string) error { return fmt.Errorf("mint: %w: %s", tokenboundary.ErrNotMine, why) }

// verifier returns the key of ours that kid names, and what has verified with the keys as they are.
func (m *Mint) verifier(ctx context.Context, kid string) (publicKey, *cache, error) {
	s, err := m.current(ctx, freshness)
	if err != nil {
		s = m.snap.Load()
		if !jose.Within(m.clock.Now(), s.at, patience) {
			return publicKey{}, nil, err
		}
	}
	k, trusted, known := s.lookup(kid, m.clock.Now(), m.overlap)
	if !known {
		if s, err = m.ask(ctx); err != nil {
			return publicKey{}, nil, err
		}
		k, trusted, known = s.lookup(kid, m.clock.Now(), m.overlap)
	}
	switch {
	case !known:
		return publicKey{}, nil, notMine("unknown key")
	case !trusted:
		return publicKey{}, nil, fmt.Errorf("%w: its key was retired or revoked", ErrToken)
	}
	if own := s.held[kid]; own != nil {
		k.made = own.made
	}
	return k, s.verified, nil
}

// ask reads the key set again because a token names a key that is not in it, at most once in freshness: unknown key
// ids are free of charge for whoever sends them.
func (m *Mint) ask(ctx context.Context) (*snapshot, error) {
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.unlock()
	now := m.clock.Now()
	if jose.Within(now, m.asked.at, freshness) {
		return m.snap.Load(), m.asked.err
	}
	s, err := m.read(ctx)
	if err == nil || ctx.Err() == nil {
		m.asked = attempt{at: now, err: err}
	}
	return s, err
}
