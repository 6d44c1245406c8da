package verify

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tokenboundary/tokenboundary"
)

// Bounds on proofs of possession.
const (
	maxProof  = 16 << 10 // bytes of one
	maxProofs = 200_000  // that are remembered until they end
	proofLife = 5 * time.Minute
)

// use is one use of a proof.
type use struct {
	key     string
	expires time.Time
}

// prove checks that the proof that came with a token proves the key that the token is bound to, for this request and
// this token. The result has to be spent.
func (v *Verifier) prove(ctx context.Context, raw, thumbprint string, proof tokenboundary.Credential) (*use, error) {
	no := func(why string) (*use, error) { return nil, fmt.Errorf("%w: %s", ErrProof, why) }
	switch {
	case v.cfg.Proofs == nil:
		return no("none is accepted here")
	case proof.Type != tokenboundary.TypeDPoP || proof.Value == "" || len(proof.Value) > maxProof:
		return no("none, or too long")
	}
	proof.Verified = nil // whatever the caller knows of it, it is for this source to say
	p, err := v.cfg.Proofs.Identify(ctx, proof)
	switch {
	case errors.Is(err, tokenboundary.ErrUnavailable):
		return nil, err
	case err != nil: // whose text may speak of the proof
		return no("not acceptable")
	case p.Key == "" || subtle.ConstantTimeCompare([]byte(p.Key), []byte(thumbprint)) != 1:
		return no("of another key")
	case p.Once == "" || p.Expires.IsZero() || p.Expires.After(v.latest().Add(proofLife+leeway)):
		return no("it could be used again")
	case !provesToken(proof.Value, raw):
		return no("ath is missing, or of another token")
	}
	return &use{p.Key + " " + p.Once, p.Expires.Add(leeway)}, nil
}

// provesToken reports whether the ath of a proof, which is verified, is the digest of the token (RFC 9449, section 4.3,
// check 12).
func provesToken(proof, token string) bool {
	_, rest, _ := strings.Cut(proof, ".")
	segment, _, _ := strings.Cut(rest, ".")
	payload, err := base64.RawURLEncoding.DecodeString(segment)
	var claims map[string]json.RawMessage // by their exact names
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		return false
	}
	var ath string
	if json.Unmarshal(claims["ath"], &ath) != nil {
		return false
	}
	digest := sha256.Sum256([]byte(token))
	want := base64.RawURLEncoding.EncodeToString(digest[:])
	return subtle.ConstantTimeCompare([]byte(ath), []byte(want)) == 1
}

// spent remembers proofs that were used, until they end. The zero value is ready.
type spent struct {
	mu    sync.Mutex
	until map[string]time.Time
	swept time.Time
}

// spend uses a proof, once.
func (s *spent) spend(u use, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.until == nil {
		s.until = map[string]time.Time{}
	}
	if until, used := s.until[u.key]; used && now.Before(until) {
		return fmt.Errorf("%w: it was used before", ErrProof)
	}
	if len(s.until) >= maxProofs/2 && !younger(now, s.swept, time.Second) {
		s.swept = now
		for key, until := range s.until {
			if !now.Before(until) {
				delete(s.until, key)
			}
		}
	}
	if len(s.until) >= maxProofs {
		return &tokenboundary.UnavailableError{RetryAfter: time.Second, Err: errors.New("verify: too many proofs at once")}
	}
	s.until[u.key] = u.expires
	return nil
}
