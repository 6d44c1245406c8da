package identity

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/front"
	"github.com/tokenboundary/tokenboundary/internal/jose"
	"github.com/tokenboundary/tokenboundary/internal/recent"
)

// maxLeeway is the most by which clocks may be configured to differ.
const maxLeeway = 5 * time.Minute

// defaultAlgs are the algorithms accepted where none are configured.
var defaultAlgs = []string{"ES256", "ES384", "EdDSA", "Ed25519", "RS256", "PS256"}

// assertionTypes are the types (typ) of a client assertion (RFC 7523bis), known before its claims are looked at.
var assertionTypes = []string{"", "jwt", "client-authentication+jwt"}

// verifier checks that a token is of an accepted type and signed by one of the keys of a source.
type verifier struct {
	keys  jose.Source
	algs  []string
	types []string // accepted typ headers; "" is an absent one
	use   string
	// bounded says that a token is refused that names no key where trying all that fit would be much work: strangers
	// can send it.
	bounded bool
	// seen remembers signatures that verified; nil: none. It is not for what is good for one use.
	seen *signatures
}

// maxSeen is how many signatures are remembered at least.
const maxSeen = 4096

// signatures are those that verified, by the digest of the whole token, with the key that they verified by. They belong to
// one issuer and one kind of token. A signature is all that is remembered: that the key is still one of the issuer's, what
// the token says, and that it is in time, is looked at each time.
type signatures struct {
	recent.Cache[[sha256.Size]byte, crypto.PublicKey]
}

func newSignatures() *signatures {
	return &signatures{recent.Cache[[sha256.Size]byte, crypto.PublicKey]{Size: maxSeen}}
}

// by reports whether the token has verified by the key.
func (s *signatures) by(digest [sha256.Size]byte, key jose.Key) bool {
	pub, found := s.Get(digest)
	known, ok := pub.(interface{ Equal(crypto.PublicKey) bool })
	return found && ok && known.Equal(key.Public)
}

// How much is tried for a token that names no key, of a bounded verifier: RSA-8192 and P-521 take a millisecond and more.
const (
	maxTries    = 3
	maxRSATries = 16 << 10 // bits of all moduli together
)

// heavy reports whether trying all keys is more work than a stranger may cause.
func heavy(keys []jose.Key) bool {
	bits := 0
	for _, k := range keys {
		if pub, ok := k.Public.(*rsa.PublicKey); ok {
			bits += 8 * pub.Size()
		}
	}
	return len(keys) > maxTries || bits > maxRSATries
}

// verify checks type and signature. The token never chooses its keys, only one among those of the source.
func (v verifier) verify(ctx context.Context, tok front.Token) error {
	if !slices.Contains(v.types, tok.Typ) {
		return errors.New("identity: type of token is not accepted here")
	}
	if !slices.Contains(v.algs, tok.Alg) {
		return errors.New("identity: algorithm is not accepted")
	}
	set, err := v.keys.Keys(ctx, tok.Kid)
	if errors.Is(err, jose.ErrUnavailable) {
		return &tokenboundary.UnavailableError{RetryAfter: time.Second, Err: fmt.Errorf("identity: %w", err)}
	}
	if err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	found := set.Find(tok.Kid, tok.Alg, v.use)
	switch {
	case len(found) == 0:
		return errors.New("identity: issuer has no such key")
	case v.bounded && heavy(found):
		return errors.New("identity: token names no key, and too many fit")
	}
	for _, key := range found {
		if err = v.signed(tok, key); err == nil {
			return nil
		}
	}
	return fmt.Errorf("identity: %w", err)
}

// signed checks the signature of tok by key, once where that is remembered.
func (v verifier) signed(tok front.Token, key jose.Key) error {
	if v.seen == nil {
		return jose.Verify(tok, key, v.algs...)
	}
	digest := sha256.Sum256([]byte(tok.Raw))
	if v.seen.by(digest, key) {
		return nil
	}
	err := jose.Verify(tok, key, v.algs...)
	if err == nil {
		v.seen.Put(digest, key.Public)
	}
	return err
}

// keySource returns the source of keys that is configured: a file or a URI, and exactly one of them.
func keySource(file, uri string, clk clock.Clock, client *http.Client) (jose.Source, error) {
	switch {
	case file != "" && uri != "":
		return nil, fieldError("JWKSFile and JWKSURI exclude each other")
	case file != "":
		return jose.File(file)
	case uri != "":
		return jose.NewRemote(uri, clk, client)
	}
	return nil, fieldError("JWKSFile or JWKSURI is required")
}

// algorithms returns the configured algorithms, or the default where there are none.
func algorithms(configured []string) ([]string, error) {
	if len(configured) == 0 {
		return defaultAlgs, nil
	}
	for _, a := range configured {
		if !slices.Contains(front.Algorithms(), a) {
			return nil, fieldError("Algs has an algorithm that is not supported")
		}
	}
	return slices.Clone(configured), nil
}

// workload is the kind of a session that is neither a human's nor an agent's.
const workload = "workload"

// checkSession refuses what is no kind of a session (lineage.Session.Kind).
func checkSession(kind string) error {
	switch kind {
	case "human", "agent", workload:
		return nil
	}
	return fieldError(`Session must be "human", "agent" or "workload"`)
}

func checkLeeway(d time.Duration) error {
	if d < 0 || d > maxLeeway {
		return fieldError("Leeway must be from 0 to 5m")
	}
	return nil
}

func orClock(c clock.Clock) clock.Clock {
	if c == nil {
		return clock.New()
	}
	return c
}

// notMine says that a credential is for another source.
func notMine(kind string) error {
	return fmt.Errorf("identity: %s: %w", kind, tokenboundary.ErrNotMine)
}

// fieldError says what is wrong with a field of a configuration.
type fieldError string

func (e fieldError) Error() string { return string(e) }
