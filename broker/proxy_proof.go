package broker

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/tokenboundary/tokenboundary"
)

// prove checks that the proof that came with a token proves the key that the token is bound to, for this request and this
// token (RFC 9449, section 4.3).
func (p *Proxy) prove(ctx context.Context, t target, token presented, thumbprint string) (tokenboundary.Principal, error) {
	var none tokenboundary.Principal
	if p.cfg.Proofs == nil {
		return none, errProof
	}
	got, err := p.cfg.Proofs.Identify(ctx, tokenboundary.Credential{
		Type: tokenboundary.TypeDPoP, Value: token.proof, Method: t.method, URL: p.cfg.Origin + t.path,
	})
	switch {
	case errors.Is(err, tokenboundary.ErrUnavailable):
		return none, errors.Join(errCannotTell, err)
	case err != nil, got.Key == "", subtle.ConstantTimeCompare([]byte(got.Key), []byte(thumbprint)) != 1,
		got.Once == "", got.Expires.IsZero(), got.Expires.After(p.b.cfg.Clock.Now().Add(proofLife + proofSlack)), !provesToken(token.proof, token.raw):
		return none, errProof
	}
	return got, nil
}

// provesToken reports whether the ath of a proof, which is verified, is the digest of the token (check 12).
func provesToken(proof, token string) bool {
	_, rest, _ := strings.Cut(proof, ".")
	segment, _, _ := strings.Cut(rest, ".")
	payload, err := base64.RawURLEncoding.DecodeString(segment)
	var claims map[string]json.RawMessage // by their exact names
	var ath string
	if err != nil || json.Unmarshal(payload, &claims) != nil || json.Unmarshal(claims["ath"], &ath) != nil {
		return false
	}
	digest := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare([]byte(ath), []byte(base64.RawURLEncoding.EncodeToString(digest[:]))) == 1
}

// proofs remembers proofs that were used at any proxy of a Broker, until they end. The zero value is ready.
type proofs struct {
	mu    sync.Mutex
	until map[string]time.Time
	swept time.Time
}

// spend uses a proof, once.
func (s *proofs) spend(key string, expires, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.until == nil {
		s.until = map[string]time.Time{}
	}
	if _, used := s.until[key]; used { // also one that has ended: clocks go back
		return errProof
	}
	if now.Sub(s.swept) > time.Second || now.Before(s.swept) {
		s.swept = now
		for k, until := range s.until {
			if now.After(until) {
				delete(s.until, k)
			}
		}
	}
	if len(s.until) >= maxProofs {
		return errors.Join(errCannotTell, errors.New("too many proofs at once"))
	}
	s.until[key] = expires.Add(proofSlack)
	return nil
}

// same compares two secrets in a time that does not say where they differ, nor how long they are.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
