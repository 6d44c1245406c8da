package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/internal/front"
	"github.com/tokenboundary/tokenboundary/internal/jose"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// How old a proof may be: by default, and at most by configuration.
const (
	defaultProofAge = 60 * time.Second
	maxProofAge     = 5 * time.Minute
)

// thumbprints is the issuer of keys that vouch for themselves (RFC 9278). Sources gives it to nobody else.
const thumbprints = "urn:ietf:params:oauth:jwk-thumbprint:sha-256"

// DPoPConfig configures the source that verifies proofs of possession. Its zero value is good, for a token endpoint.
type DPoPConfig struct {
	// Resource says that the proofs come beside access tokens (RFC 9449, section 7.1), and not with token requests. Each must
	// then have an ath, and whoever asks compares it with the digest of the token (section 4.3): package verify does.
	Resource bool
	// MaxAge is how old a proof may be, from 1 s to 5 minutes; zero is 60 s.
	MaxAge time.Duration
	// Clock is the time; nil is the wall clock.
	Clock clock.Clock
	// Leeway is by how much a client's clock may be ahead, at most 5 minutes. A clock that is behind takes from MaxAge.
	Leeway time.Duration
}

// DPoPAlgorithms returns the algorithms that proofs may be signed with, as a boundary publishes them
// (dpop_signing_alg_values_supported, RFC 9449, section 5.1).
func DPoPAlgorithms() []string { return slices.Clone(defaultAlgs) }

// DPoP returns a source for proofs of possession (tokenboundary.TypeDPoP, RFC 9449, section 4.3). A proof is good for
// the one request whose Method and URL stand in the credential; the URL is compared without query and fragment, after
// the normalisation of RFC 3986, sections 6.2.2 and 6.2.3. The key comes back as Principal.Key, its thumbprint
// (RFC 7638), and the jti as Principal.Once.
//
// Anybody can make a key, and so a proof: it proves that whoever sends the request holds the key, and says nothing of
// who that is (section 3). The Principal therefore has neither a kind nor an identity, and no authority.
//
// A proof with ath was made for the use of an access token, which a token request is not: it is refused, and one without is
// where cfg is for a resource. Who sends the
// header twice must be refused by whoever reads it; a list of proofs is none.
func DPoP(cfg DPoPConfig) (*Source, error) {
	if cfg.MaxAge == 0 {
		cfg.MaxAge = defaultProofAge
	}
	if cfg.MaxAge < time.Second || cfg.MaxAge > maxProofAge {
		return nil, fmt.Errorf("identity: DPoPConfig: %w", fieldError("MaxAge must be from 1s to 5m"))
	}
	if err := checkLeeway(cfg.Leeway); err != nil {
		return nil, fmt.Errorf("identity: DPoPConfig: %w", err)
	}
	cfg.Clock = orClock(cfg.Clock)
	return &Source{identify: cfg.identify, issuer: thumbprints}, nil
}

func (d DPoPConfig) identify(_ context.Context, cred tokenboundary.Credential) (tokenboundary.Principal, error) {
	if cred.Type != tokenboundary.TypeDPoP {
		return tokenboundary.Principal{}, notMine("type of credential")
	}
	request, err := targetURI(cred.URL)
	if err != nil || canon.Name(cred.Method) != nil {
		return tokenboundary.Principal{}, errors.New("identity: it is not known which request the proof came with")
	}
	key, tok, err := possessed(cred.Value)
	if err != nil {
		return tokenboundary.Principal{}, fmt.Errorf("identity: %w", err)
	}
	c := readClaims(tok)
	c.proves(cred.Method, request, d.Resource)
	issued, expires := c.fresh(d.Clock.Now(), d.Leeway, d.MaxAge)
	p := tokenboundary.Principal{
		Party: lineage.Party{ID: key, Issuer: thumbprints}, Key: key,
		Issued: issued, Expires: expires, Once: c.text("jti"),
	}
	if p.Once == "" {
		c.fail("claim jti is missing")
	}
	if c.err != nil {
		return tokenboundary.Principal{}, c.err
	}
	return p, nil
}

// possessed returns the thumbprint of the key that signed a proof, and the proof.
func possessed(raw string) (thumbprint string, tok front.Token, err error) {
	tok, jwk, err := front.ParseProof(raw)
	if err != nil {
		return "", tok, err
	}
	key, err := jose.ParseKey(jwk)
	if err != nil {
		return "", tok, err
	}
	if err := jose.Verify(tok, key, defaultAlgs...); err != nil {
		return "", tok, err
	}
	thumbprint, err = jose.Thumbprint(key.Public)
	return thumbprint, tok, err
}

// proves checks that a proof is for the request (RFC 9449, section 4.3, checks 8, 9 and 12).
func (c *claims) proves(method, request string, resource bool) {
	htm, _ := canon.Text(c.members.Get("htm"))
	htu, _ := canon.Text(c.members.Get("htu"))
	target, err := targetURI(htu)
	switch {
	case c.err != nil:
	case htm == "" || htu == "":
		c.fail("claim htm or htu is missing")
	case htm != method:
		c.fail("proof is for another method")
	case err != nil || target != request:
		c.fail("proof is for another URL")
	case c.has("ath") && !resource:
		c.fail("proof is for the use of an access token")
	case resource && c.text("ath") == "":
		c.fail("claim ath is missing")
	}
}

// fresh returns when a proof was made and when it ends, and checks both (RFC 9449, section 11.1). An exp or nbf is not
// asked for, but honoured (RFC 7519, section 4.1).
func (c *claims) fresh(now time.Time, leeway, maxAge time.Duration) (issued, expires time.Time) {
	issued = c.time("iat")
	expires = issued.Add(maxAge)
	switch latest := now.Add(leeway); {
	case c.err != nil:
	case !c.has("iat"):
		c.fail("claim iat is missing")
	case issued.After(latest):
		c.fail("proof is from the future")
	case !now.Before(expires):
		c.fail("proof is too old")
	case c.has("exp") && !now.Before(c.time("exp")):
		c.fail("proof is expired")
	case c.has("nbf") && c.time("nbf").After(latest):
		c.fail("proof is not valid yet")
	}
	return issued, expires
}
