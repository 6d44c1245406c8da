package identity

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/internal/front"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// OIDCConfig configures a source for the tokens of one OpenID provider, or of any issuer of JWTs.
type OIDCConfig struct {
	// Issuer is the exact iss of its tokens. Required.
	Issuer string
	// Audience is what the aud of its tokens must contain. Required.
	Audience string
	// SubjectPrefix is put before every sub and sid, to keep the names of several issuers apart. May be empty for one
	// source.
	SubjectPrefix string
	// Session says who sits behind its subjects: "human", "agent" or "workload". Required.
	Session string
	// JWKSFile or JWKSURI is where its keys are; exactly one is required. The URI is https, or http on a loopback host.
	JWKSFile, JWKSURI string
	// Algs are the accepted algorithms; by default ES256, ES384, EdDSA, Ed25519, RS256 and PS256.
	Algs []string
	// Clock is the time; nil is the wall clock.
	Clock clock.Clock
	// Leeway is by how much the issuer's clock may differ, at most 5 minutes.
	Leeway time.Duration
	// MaxLifetime is the longest time from iat to exp; zero is no limit.
	MaxLifetime time.Duration
	// HTTPClient fetches the JWKSURI; nil is one of its own.
	HTTPClient *http.Client
}

// OIDC returns a source for ID tokens (tokenboundary.TypeIDToken) and other JWTs (tokenboundary.TypeJWT) of one issuer.
//
// Required claims are iss, sub, aud, exp and iat. The subject's session has sid, auth_time, acr and amr as stated.
// What the token says of actors (act, may_act) is taken over; a malformed statement refuses the token. A token is taken
// as proof of identity only: a scope in it neither grants nor limits anything, and policy alone bounds what is granted.
func OIDC(cfg OIDCConfig) (*Source, error) {
	s, err := newIssuer(cfg)
	if err != nil {
		return nil, fmt.Errorf("identity: OIDCConfig: %w", err)
	}
	return &Source{identify: s.identify, issuer: cfg.Issuer, space: cfg.SubjectPrefix, named: true}, nil
}

// issuer verifies the tokens of one issuer.
type issuer struct {
	cfg     OIDCConfig
	ns      namespace
	byType  map[string]verifier                     // by type of credential
	subject func(*claims, *tokenboundary.Principal) // further rules for the subject; may be nil
}

func newIssuer(cfg OIDCConfig) (*issuer, error) {
	switch {
	case canon.Name(cfg.Issuer) != nil:
		return nil, fieldError("Issuer is required")
	case canon.Name(cfg.Audience) != nil:
		return nil, fieldError("Audience is required")
	case cfg.SubjectPrefix != "" && canon.Name(cfg.SubjectPrefix) != nil:
		return nil, fieldError("SubjectPrefix is not usable")
	case strings.HasPrefix(cfg.SubjectPrefix, "spiffe:"):
		return nil, fieldError("SubjectPrefix must not look like a SPIFFE ID")
	case cfg.MaxLifetime < 0:
		return nil, fieldError("MaxLifetime must not be negative")
	}
	if err := cmp.Or(checkSession(cfg.Session), checkLeeway(cfg.Leeway)); err != nil {
		return nil, err
	}
	algs, err := algorithms(cfg.Algs)
	if err != nil {
		return nil, err
	}
	cfg.Clock = orClock(cfg.Clock)
	keys, err := keySource(cfg.JWKSFile, cfg.JWKSURI, cfg.Clock, cfg.HTTPClient)
	if err != nil {
		return nil, err
	}
	v := verifier{keys: keys, algs: algs, use: "sig"}
	idToken, jwt := v, v
	idToken.seen, jwt.seen = newSignatures(), newSignatures()
	idToken.types, jwt.types = []string{"", "jwt"}, []string{"", "jwt", "at+jwt"}
	return &issuer{
		cfg:    cfg,
		ns:     namespace{cfg.Issuer, cfg.Issuer, cfg.SubjectPrefix},
		byType: map[string]verifier{tokenboundary.TypeIDToken: idToken, tokenboundary.TypeJWT: jwt},
	}, nil
}

func (s *issuer) identify(ctx context.Context, cred tokenboundary.Credential) (tokenboundary.Principal, error) {
	v, known := s.byType[cred.Type]
	if !known {
		return tokenboundary.Principal{}, notMine("type of credential")
	}
	tok, err := front.Parse(cred.Value) // of any type: another issuer's may be for another source
	if err != nil {
		return tokenboundary.Principal{}, fmt.Errorf("identity: %w", err)
	}
	c := readClaims(tok)
	if iss, ok := canon.Text(c.members.Get("iss")); !ok || iss != s.cfg.Issuer {
		return tokenboundary.Principal{}, notMine("issuer")
	}
	if err := v.verify(ctx, tok); err != nil {
		return tokenboundary.Principal{}, err
	}
	if cred.Type == tokenboundary.TypeIDToken && (c.has("scope") || c.has("scp")) {
		c.fail("an access token is no ID token") // which would shed the bound of its expiry
	}
	p := s.principal(c)
	if c.err != nil {
		return tokenboundary.Principal{}, c.err
	}
	return p, nil
}

// principal reads the claims of a token with a good signature. The result counts only if c has no error.
func (s *issuer) principal(c *claims) tokenboundary.Principal {
	now := s.cfg.Clock.Now()
	c.plain()
	c.addressed(s.cfg.Audience, false)
	issued, expires := c.times(window{now, s.cfg.Leeway, s.cfg.MaxLifetime, true})
	c.text("jti")
	p := tokenboundary.Principal{
		Party: lineage.Party{ID: s.ns.prefix + c.text("sub"), Issuer: s.cfg.Issuer, Kind: s.cfg.Session},
		Session: lineage.Session{
			Kind: s.cfg.Session, ID: c.text("sid"), AuthTime: c.time("auth_time"), ACR: c.text("acr"), AMR: c.texts("amr"),
		},
		Issued: issued, Expires: expires, Identity: true,
		Actors: c.actors(s.ns), MayAct: c.mayAct(s.ns),
	}
	if p.Session.ID != "" { // a name like any other: two issuers may use the same
		p.Session.ID = s.ns.prefix + p.Session.ID
	}
	switch at := p.Session.AuthTime; {
	case at.After(now.Add(s.cfg.Leeway)):
		c.fail("claim auth_time is in the future")
	case c.has("auth_time") && at.Before(issued):
		p.Issued = at
	}
	switch {
	case p.Party.ID == s.ns.prefix:
		c.fail("claim sub is missing")
	case canon.Name(p.Party.ID) != nil:
		c.fail("claim sub is too long")
	case strings.HasPrefix(p.Party.ID, "spiffe://"):
		c.fail("subject spells a SPIFFE ID")
	case len(p.Session.AMR) > canon.MaxChain:
		c.fail("claim amr is too long")
	}
	if s.subject != nil {
		s.subject(c, &p)
	}
	return p
}
