package verify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/mint"
)

// The errors of tokens that are well signed. Like those of package mint they wrap mint.ErrToken, and hold nothing of a
// token. Any other error of a Verifier wraps tokenboundary.ErrUnavailable: nothing is known against the token, and it must
// not be accepted.
var (
	// ErrInactive means that the token was revoked, or that its task is not active.
	ErrInactive = fmt.Errorf("%w: inactive", mint.ErrToken)
	// ErrLifetime means that the token lives longer than Config.Lifetime.
	ErrLifetime = fmt.Errorf("%w: it lives longer than Config.Lifetime", mint.ErrToken)
	// ErrBinding means that the token is bound to a key and was presented as a bearer token, or the other way round
	// (RFC 9449, section 7.1).
	ErrBinding = fmt.Errorf("%w: binding", mint.ErrToken)
	// ErrProof means that a key-bound token came without a proof of its key that is good for this request.
	ErrProof = fmt.Errorf("%w: proof of possession", mint.ErrToken)
)

// FeedLost says what becomes of tokens while it is not known what was revoked lately. The zero value refuses them.
type FeedLost uint8

// The policies. They concern only what is not known: a token that an entry has reached is refused under both, and so is
// one that the boundary would have to be asked about and cannot be.
const (
	FailClosed  FeedLost = iota // every token is refused
	UntilExpiry                 // a token is accepted until it expires
)

// Config is what a Verifier is made of. Issuer, Resource, Boundary, and one of JWKS and JWKSURI are required.
type Config struct {
	// Issuer is the exact iss of the tokens.
	Issuer string
	// Resource is the resource that the tokens must be for, as the boundary writes it into aud.
	Resource string
	// JWKS and JWKSURI say where the boundary's public keys are, as in mint.VerifierConfig.
	JWKS    []byte
	JWKSURI string
	// Boundary is asked for revocations, about tokens, and told of uses.
	Boundary Boundary
	// FeedLost says what becomes of tokens while the feed is away.
	FeedLost FeedLost
	// MaxStale bounds how long ago something may have been revoked without being known here: from 1 s to 10 minutes; zero
	// is 30 s. As long as the feed can be read, it is known as soon as it is written.
	MaxStale time.Duration
	// Lifetime is how long a token may live at most, from iat to exp; zero is 1 h. It must not be less than what the
	// boundary grants: tokens that live longer are refused. What was revoked is remembered for so long.
	Lifetime time.Duration
	// Entries is how many entries of the feed are remembered one by one; zero is 200,000, some 60 MB. Tokens that are
	// older than those that do not fit are introspected.
	Entries int
	// Proofs verifies proofs of possession (tokenboundary.TypeDPoP, RFC 9449, section 4.3) with all that they say but ath,
	// which is compared here: identity.DPoP, for a resource. Nil: key-bound tokens are refused.
	Proofs tokenboundary.IdentitySource
	// ProofAlgs are the algorithms that Proofs accepts, for challenges and metadata.
	ProofAlgs []string
	// Origin is the scheme and authority under which clients reach the resource server, where they are not those of
	// Resource: what the htu of a proof and the URL of the metadata begin with.
	Origin string
	// Scopes are the scopes that clients may have use for here, for the metadata (scopes_supported).
	Scopes []string
	// Clock is where time comes from. Nil: the machine's.
	Clock clock.Clock
	// Logger is told where the feed is lost and found again, and what could not be reported. Nil: nobody.
	Logger *slog.Logger
}

// Verifier decides whether tokens may be relied on at one resource. It is safe for concurrent use; make it with New, and
// let Run follow the feed.
type Verifier struct {
	cfg      Config
	keys     *mint.Verifier
	origin   string
	metadata []byte
	asking   asking
	proofs   spent
	usage    usage

	running atomic.Bool
	index   atomic.Pointer[index]
	known   atomic.Bool  // index holds the whole feed as it was at fresh
	fresh   atomic.Int64 // nanoseconds
	seen    atomic.Int64 // the latest time, in nanoseconds
	moved   signal       // what is known has changed
}

// New returns a Verifier, which knows nothing of revocations yet. The error names the field of cfg that it cannot work
// with.
func New(cfg Config) (*Verifier, error) {
	cfg.complete()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	keys, err := mint.NewVerifier(mint.VerifierConfig{
		Issuer: cfg.Issuer, Audience: cfg.Resource, JWKS: cfg.JWKS, URI: cfg.JWKSURI, Leeway: leeway, Clock: cfg.Clock,
	})
	if err != nil {
		return nil, fmt.Errorf("verify: Config: %w", err)
	}
	v := &Verifier{cfg: cfg, keys: keys, origin: cfg.Origin}
	v.asking = asking{slots: make(chan struct{}, maxAsking), flights: map[string]chan struct{}{}}
	v.index.Store(newIndex(cfg.Lifetime, cfg.Entries))
	if v.metadata, err = v.document(); err != nil {
		return nil, err
	}
	return v, nil
}

func (cfg *Config) complete() {
	cfg.Clock = orClock(cfg.Clock)
	cfg.ProofAlgs, cfg.Scopes = slices.Clone(cfg.ProofAlgs), slices.Clone(cfg.Scopes)
	if cfg.MaxStale == 0 {
		cfg.MaxStale = 30 * time.Second
	}
	if cfg.Lifetime == 0 {
		cfg.Lifetime = time.Hour
	}
	if cfg.Entries == 0 {
		cfg.Entries = 200_000
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if u, err := url.Parse(cfg.Resource); cfg.Origin == "" && err == nil && u.Host != "" {
		cfg.Origin = u.Scheme + "://" + u.Host
	}
}

func (cfg *Config) check() error {
	origin, err := url.Parse(cfg.Origin)
	hosted := err == nil && origin.Host != "" && cfg.Origin == origin.Scheme+"://"+origin.Host
	for _, f := range []struct {
		name string
		ok   bool
	}{
		{"Issuer is required", cfg.Issuer != ""},
		{"Resource is required, and quotable", quotable(cfg.Resource)},
		{"Boundary is required", cfg.Boundary != nil},
		{"FeedLost is unknown", cfg.FeedLost <= UntilExpiry},
		{"MaxStale must be from 1s to 10m", cfg.MaxStale >= time.Second && cfg.MaxStale <= 10*time.Minute},
		{"Lifetime must be from 1s to 30 days", cfg.Lifetime >= time.Second && cfg.Lifetime <= 30*24*time.Hour},
		{"Entries is negative", cfg.Entries > 0},
		{"Origin must be a scheme and an authority", hosted && quotable(cfg.Origin)},
		{"ProofAlgs is without Proofs, or not quotable", (cfg.Proofs != nil || len(cfg.ProofAlgs) == 0) && quotable(cfg.ProofAlgs...)},
		{"Scopes is not quotable", quotable(cfg.Scopes...)},
	} {
		if !f.ok {
			return errors.New("verify: Config." + f.name)
		}
	}
	return nil
}

// Verify returns the claims of a bearer token that may be relied on at the resource now: the boundary signed it for the
// resource, it has not expired, it is not bound to a key, and nothing it came from is revoked as far as is known. What the
// token permits is for the caller to compare: its scopes, its authorization_details, and the authentication behind it.
//
// Any other token is an error that wraps mint.ErrToken: RFC 6750 calls it invalid_token. If that cannot be told, because
// the keys, the feed or the boundary are away, the error wraps tokenboundary.ErrUnavailable.
func (v *Verifier) Verify(ctx context.Context, raw string) (tokenboundary.Claims, error) {
	return v.verify(ctx, raw, nil)
}

// VerifyBound is Verify for a token that came beside a proof of possession (RFC 9449, section 7): the token must be bound
// to the key that proof proves for the Method and URL in it, and a proof is good for one request. A proof that is not is
// ErrProof.
func (v *Verifier) VerifyBound(ctx context.Context, raw string, proof tokenboundary.Credential) (tokenboundary.Claims, error) {
	return v.verify(ctx, raw, &proof)
}

func (v *Verifier) verify(ctx context.Context, raw string, proof *tokenboundary.Credential) (tokenboundary.Claims, error) {
	var none tokenboundary.Claims
	now := v.latest()
	c, err := v.keys.Verify(ctx, raw)
	if err != nil {
		return none, err
	}
	expires := time.Unix(c.ExpiresAt, 0)
	switch {
	case !now.Before(expires.Add(leeway)): // after the clock went back, what had ended stays ended
		return none, mint.ErrExpired
	case expires.Sub(time.Unix(c.IssuedAt, 0)) > v.cfg.Lifetime:
		return none, ErrLifetime
	case (c.Confirm != nil) != (proof != nil):
		return none, ErrBinding
	}
	var once *use
	if proof != nil {
		if once, err = v.prove(ctx, raw, c.Confirm.Thumbprint, *proof); err != nil {
			return none, err
		}
	}
	if err := v.unrevoked(ctx, raw, &c); err != nil {
		return none, err
	}
	if once != nil {
		if err := v.proofs.spend(*once, now); err != nil {
			return none, err
		}
	}
	return c, nil
}

// unrevoked checks that nothing is known against a token, and that enough is known.
func (v *Verifier) unrevoked(ctx context.Context, raw string, c *tokenboundary.Claims) error {
	ix := v.index.Load()
	j := ix.judge(c)
	if j.dead != nil {
		return j.dead
	}
	if v.cfg.FeedLost == FailClosed {
		if err := v.current(); err != nil {
			return err
		}
	}
	return v.confirm(ctx, ix, raw, c, j.asked)
}

// latest returns the latest time that was seen.
func (v *Verifier) latest() time.Time {
	for {
		now, seen := v.cfg.Clock.Now(), v.seen.Load()
		if now.UnixNano() <= seen {
			return time.Unix(0, seen)
		}
		if v.seen.CompareAndSwap(seen, now.UnixNano()) {
			return now
		}
	}
}
