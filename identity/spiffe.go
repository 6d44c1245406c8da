package identity

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/internal/front"
	"github.com/tokenboundary/tokenboundary/internal/jose"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// SPIFFEConfig configures a source for the JWT-SVIDs of one trust domain.
type SPIFFEConfig struct {
	// TrustDomain is its name, such as "acme.example". Required.
	TrustDomain string
	// BundleFile is the trust domain's bundle, a JWKS document with keys of use "jwt-svid". Required.
	BundleFile string
	// Audience is what the aud of an SVID must contain. Required.
	Audience string
	// Session says who sits behind the subjects; empty is "workload".
	Session string
	// Clock is the time; nil is the wall clock.
	Clock clock.Clock
	// Leeway is by how much clocks may differ, at most 5 minutes.
	Leeway time.Duration
}

// svidAlgs are the algorithms of a JWT-SVID (SPIFFE JWT-SVID, section 2.1). EdDSA is not among them.
var svidAlgs = []string{"RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512"}

type trustDomain struct {
	cfg SPIFFEConfig
	v   verifier
	ns  namespace
}

// SPIFFE returns a source for JWT-SVIDs, presented as tokenboundary.TypeJWT. The subject's name is the SPIFFE ID and its
// issuer the trust domain. An SVID need not say when it was issued; one that does not counts as older than any
// revocation.
func SPIFFE(cfg SPIFFEConfig) (*Source, error) {
	s, err := newTrustDomain(cfg)
	if err != nil {
		return nil, fmt.Errorf("identity: SPIFFEConfig: %w", err)
	}
	return &Source{identify: s.identify, issuer: s.ns.issuer, space: s.ns.issuer + "/", named: true}, nil
}

func newTrustDomain(cfg SPIFFEConfig) (*trustDomain, error) {
	if cfg.Session == "" {
		cfg.Session = workload
	}
	switch {
	case checkTrustDomain(cfg.TrustDomain) != nil:
		return nil, fieldError("TrustDomain is required and must be the name of a trust domain")
	case canon.Name(cfg.Audience) != nil:
		return nil, fieldError("Audience is required")
	case cfg.BundleFile == "":
		return nil, fieldError("BundleFile is required")
	}
	if err := cmp.Or(checkSession(cfg.Session), checkLeeway(cfg.Leeway)); err != nil {
		return nil, err
	}
	keys, err := jose.File(cfg.BundleFile)
	if err != nil {
		return nil, err
	}
	cfg.Clock = orClock(cfg.Clock)
	return &trustDomain{
		cfg: cfg,
		v:   verifier{keys: keys, algs: svidAlgs, types: []string{"", "jwt", "jose"}, use: "jwt-svid"},
		ns:  namespace{issuer: spiffeScheme + cfg.TrustDomain},
	}, nil
}

func (s *trustDomain) identify(ctx context.Context, cred tokenboundary.Credential) (tokenboundary.Principal, error) {
	if cred.Type != tokenboundary.TypeJWT {
		return tokenboundary.Principal{}, notMine("type of credential")
	}
	tok, err := front.Parse(cred.Value) // of any type: another issuer's may be for another source
	if err != nil {
		return tokenboundary.Principal{}, fmt.Errorf("identity: %w", err)
	}
	c := readClaims(tok)
	sub, _ := canon.Text(c.members.Get("sub"))
	if !strings.HasPrefix(sub, s.ns.issuer+"/") {
		return tokenboundary.Principal{}, notMine("trust domain")
	}
	if id, err := ParseID(sub); err != nil || id.TrustDomain != s.cfg.TrustDomain {
		return tokenboundary.Principal{}, errSPIFFE
	}
	if tok.Kid == "" {
		return tokenboundary.Principal{}, errors.New("identity: SVID names no key")
	}
	if err := s.v.verify(ctx, tok); err != nil {
		return tokenboundary.Principal{}, err
	}
	p := s.principal(c)
	if c.err != nil {
		return tokenboundary.Principal{}, c.err
	}
	return p, nil
}

func (s *trustDomain) principal(c *claims) tokenboundary.Principal {
	c.plain()
	c.addressed(s.cfg.Audience, false)
	issued, expires := c.times(window{now: s.cfg.Clock.Now(), leeway: s.cfg.Leeway})
	c.text("jti")
	ns := s.ns
	ns.iss = c.text("iss")
	return tokenboundary.Principal{
		Party:   lineage.Party{ID: c.text("sub"), Issuer: ns.issuer, Kind: s.cfg.Session},
		Session: lineage.Session{Kind: s.cfg.Session},
		Issued:  issued, Expires: expires, Identity: true,
		Actors: c.actors(ns), MayAct: c.mayAct(ns),
	}
}
