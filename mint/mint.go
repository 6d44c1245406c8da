package mint

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/store"
)

// Config is what a Mint is made of. Issuer, Store, and one of Dir and Signer are required. It hides itself in logs.
type Config struct {
	// Issuer is the exact issuer of the tokens, the one of the Governor.
	Issuer string
	// Store keeps the public keys, where every node of the issuer sees them.
	Store store.Store
	// Alg is ES256, EdDSA, RS256 or PS256. Empty: ES256. Where the keys in Dir are for another one, a key for Alg is
	// published as the next.
	Alg string
	// Dir is a directory with the private keys of this issuer and of no other, as PKCS#8 PEM files named <kid>.pem.
	// It is made with mode 0700, and files with mode 0600; a file that others may access, and a directory that others
	// may write to, are refused. Nodes may share it. A file that is put there is published as the next key at the
	// next Open; the file of a key that is gone is destroyed.
	Dir string
	// Signer holds the private key elsewhere, for example in a KMS. Its Sign is called concurrently, without a
	// context, and for ECDSA returns ASN.1. New keys come by RotateTo.
	Signer crypto.Signer
	// PublishAhead is for how long a key is published before its first use: one cache time of the JWKS. Zero: 5 min.
	PublishAhead time.Duration
	// Overlap is for how long a retired key still verifies. It must be the same at all nodes, and at least the longest
	// lifetime of a token and one minute more. Zero: 2 h.
	Overlap time.Duration
	// Clock is where time comes from. Nil: the machine's.
	Clock clock.Clock
}

// String hides the signer.
func (c Config) String() string { return fmt.Sprintf("mint.Config(%s)", c.Issuer) }

// GoString hides the signer.
func (c Config) GoString() string { return c.String() }

// LogValue hides the signer.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalJSON hides the signer, also where it is part of something that is logged as JSON.
func (c Config) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }

// Mint signs and verifies the tokens of one issuer. It is safe for concurrent use; make it with Open.
type Mint struct {
	issuer         string
	store          store.Store
	clock          clock.Clock
	alg            string
	dir            keyDir // empty: keys come from outside
	ahead, overlap time.Duration

	snap   atomic.Pointer[snapshot]
	rounds atomic.Uint64 // readings begun

	gate    chan struct{} // one place; whoever fills it may use what follows
	held    map[string]*privateKey
	reading attempt // the last reading
	tending attempt // the last change that signing made necessary
	asked   attempt // the last reading for an unknown kid
}

// attempt is when something was last tried, and how it ended.
type attempt struct {
	round uint64
	at    time.Time
	err   error
}

var _ tokenboundary.Minter = (*Mint)(nil)

// Open returns the Mint of an issuer, with a key that can sign. It publishes the keys that the store does not list
// yet, and makes the first one where Dir is empty. An error names the field of cfg, or the file, that it cannot work
// with; one of the store is tokenboundary.ErrUnavailable.
func Open(ctx context.Context, cfg Config) (*Mint, error) {
	m, err := newMint(cfg)
	if err != nil {
		return nil, err
	}
	if cfg.Signer != nil {
		k, err := newPrivateKey(m.alg, cfg.Signer)
		if err != nil {
			return nil, err
		}
		m.held[k.ID] = k
	} else if m.dir, err = openDir(cfg.Dir); err != nil {
		return nil, err
	}
	if err := m.load(ctx); err != nil {
		return nil, err
	}
	if err := m.settle(ctx, m.alg); err != nil {
		return nil, err
	}
	return m, nil
}

func newMint(cfg Config) (*Mint, error) {
	if cfg.Alg == "" {
		cfg.Alg = ES256
	}
	switch {
	case canon.Name(cfg.Issuer) != nil:
		return nil, errors.New("mint: Config.Issuer is required")
	case cfg.Store == nil:
		return nil, errors.New("mint: Config.Store is required")
	case !slices.Contains(algorithms, cfg.Alg):
		return nil, errors.New("mint: Config.Alg must be ES256, EdDSA, RS256 or PS256")
	case (cfg.Dir == "") == (cfg.Signer == nil):
		return nil, errors.New("mint: one of Config.Dir and Config.Signer is required")
	case cfg.PublishAhead < 0 || cfg.Overlap < 0:
		return nil, errors.New("mint: Config.PublishAhead and Config.Overlap must not be negative")
	}
	m := &Mint{
		issuer: cfg.Issuer, store: cfg.Store, clock: cfg.Clock, alg: cfg.Alg,
		ahead: cfg.PublishAhead, overlap: cfg.Overlap,
		gate: make(chan struct{}, 1), held: map[string]*privateKey{},
	}
	if m.clock == nil {
		m.clock = clock.New()
	}
	if m.ahead == 0 {
		m.ahead = 5 * time.Minute
	}
	if m.overlap == 0 {
		m.overlap = 2 * time.Hour
	}
	return m, nil
}

// Key implements tokenboundary.Minter. A key that has become usable takes over here; a key that was revoked, by any
// node, is replaced at once. The error is tokenboundary.ErrUnavailable if the store fails or no key can sign.
func (m *Mint) Key(ctx context.Context) (string, error) {
	s, err := m.current(ctx, freshness)
	if err == nil && m.wants(s, m.clock.Now()) {
		s, err = m.tend(ctx)
	}
	if err != nil {
		return "", err
	}
	e := s.ring.signing(s.holds, m.clock.Now())
	if e == nil {
		return "", unavailable(errNoKey)
	}
	return e.Kid, nil
}

// Mint implements tokenboundary.Minter. It refuses claims of another issuer, incomplete ones, and what would exceed
// 8 KiB with tokenboundary.ErrInvalid, and a key that may not sign now with tokenboundary.ErrUnavailable.
func (m *Mint) Mint(ctx context.Context, claims tokenboundary.Claims) (string, error) {
	if claims.Issuer != m.issuer {
		return "", fmt.Errorf("%w: claims of another issuer", tokenboundary.ErrInvalid)
	}
	buf := canon.GetBuffer()
	defer canon.PutBuffer(buf)
	payload, err := appendClaims(*buf, claims)
	if *buf = payload; err != nil {
		return "", err
	}
	s, err := m.current(ctx, freshness)
	if err != nil {
		return "", err
	}
	k, e := s.held[claims.Key], s.ring.find(claims.Key)
	if k == nil || e == nil || s.revoked[claims.Key] || !e.maySign(m.clock.Now()) {
		return "", unavailable(errors.New("the key of the claims may not sign"))
	}
	raw, err := k.token(payload)
	if err != nil && !errors.Is(err, tokenboundary.ErrInvalid) {
		err = unavailable(err)
	}
	return raw, err
}

// JWKS returns the public keys as a JWKS document (RFC 7517, section 5): those that sign, those that soon will, and
// those that are retired and still verify. It is as the store is now; if the store fails, there is no answer but
// tokenboundary.ErrUnavailable.
func (m *Mint) JWKS(ctx context.Context) ([]byte, error) {
	s, err := m.current(ctx, 0)
	if err != nil {
		return nil, err
	}
	return s.jwks(m.clock.Now(), m.overlap)
}

var errNoKey = errors.New("the keys of this node were retired or revoked")

// unavailable marks err as trouble with infrastructure. No error of this package contains a token or a key.
func unavailable(err error) error {
	if errors.Is(err, tokenboundary.ErrUnavailable) {
		return err
	}
	return &tokenboundary.UnavailableError{RetryAfter: time.Second, Err: fmt.Errorf("mint: %w", err)}
}
