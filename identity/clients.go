package identity

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/internal/front"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// minSecret is the shortest client secret in bytes. Secrets are random, and so need no slow hash.
const minSecret = 16

// Bounds on a client assertion, which is looked at before anybody is authenticated.
const (
	maxAssertion     = 5 * time.Minute // how far ahead it may expire
	maxAssertionSize = 16 << 10        // bytes
)

// ClientsConfig configures the source by which clients authenticate.
type ClientsConfig struct {
	// Issuer is the boundary's own issuer: the only audience of an assertion, and the namespace of client ids. Required.
	Issuer string
	// Clients are the clients; ids are unique.
	Clients []ClientAuth
	// Clock, Leeway and HTTPClient are as in OIDCConfig.
	Clock      clock.Clock
	Leeway     time.Duration
	HTTPClient *http.Client
}

// Clients returns a source for client secrets (tokenboundary.TypeClientSecret, RFC 6749, section 2.3.1) and client
// assertions (tokenboundary.TypeClientAssertion, RFC 7523, section 3, with the corrections of its successor).
//
// An assertion has the client id as iss and sub, the issuer as its only aud, a jti, and an exp at most five minutes
// ahead. The jti comes back as Principal.Once. A client registered for one method cannot use another.
//
// An assertion has at most 16 KiB. One that names no key (kid) is refused where more than three keys of the client fit, or
// RSA keys of more than 16384 bits together: anybody can send one, and each key would be tried.
func Clients(cfg ClientsConfig) (*Source, error) {
	if canon.Name(cfg.Issuer) != nil {
		return nil, fmt.Errorf("identity: ClientsConfig: %w", fieldError("Issuer is required"))
	}
	if err := checkLeeway(cfg.Leeway); err != nil {
		return nil, fmt.Errorf("identity: ClientsConfig: %w", err)
	}
	r := &registry{
		issuer: cfg.Issuer, clk: orClock(cfg.Clock), leeway: cfg.Leeway,
		secrets: map[string][sha256.Size]byte{}, keys: map[string]verifier{},
	}
	seen := map[string]bool{}
	for _, a := range cfg.Clients {
		if canon.Name(a.ID) != nil || seen[a.ID] {
			return nil, errors.New("identity: ClientsConfig: a client id is missing, unusable or not unique")
		}
		seen[a.ID] = true
		if err := r.add(a, cfg.HTTPClient); err != nil {
			return nil, fmt.Errorf("identity: client %q: %w", a.ID, err)
		}
	}
	return &Source{identify: r.identify, issuer: cfg.Issuer}, nil
}

// registry holds what clients authenticate by. A client is in at most one of the maps.
type registry struct {
	issuer  string
	clk     clock.Clock
	leeway  time.Duration
	secrets map[string][sha256.Size]byte
	keys    map[string]verifier
}

func (r *registry) add(a ClientAuth, client *http.Client) error {
	methods := 0
	for _, given := range []bool{a.Secret != "", len(a.SecretHash) > 0, a.JWKSFile != "" || a.JWKSURI != ""} {
		if given {
			methods++
		}
	}
	switch {
	case methods == 0:
		return nil
	case methods > 1:
		return errors.New("more than one way to authenticate")
	case a.Secret != "" && len(a.Secret) < minSecret:
		return fieldError("Secret is shorter than 16 bytes")
	case a.Secret != "":
		r.secrets[a.ID] = sha256.Sum256([]byte(a.Secret))
		return nil
	case len(a.SecretHash) > 0 && len(a.SecretHash) != sha256.Size:
		return fieldError("SecretHash is not a SHA-256")
	case len(a.SecretHash) > 0:
		r.secrets[a.ID] = [sha256.Size]byte(a.SecretHash)
		return nil
	}
	algs, err := algorithms(a.Algs)
	if err != nil {
		return err
	}
	keys, err := keySource(a.JWKSFile, a.JWKSURI, r.clk, client)
	if err != nil {
		return err
	}
	r.keys[a.ID] = verifier{
		keys: keys, algs: algs, types: assertionTypes, use: "sig", bounded: true,
	}
	return nil
}

func (r *registry) identify(ctx context.Context, cred tokenboundary.Credential) (tokenboundary.Principal, error) {
	switch cred.Type {
	case tokenboundary.TypeClientSecret:
		return r.bySecret(cred)
	case tokenboundary.TypeClientAssertion:
		return r.byAssertion(ctx, cred)
	}
	return tokenboundary.Principal{}, notMine("type of credential")
}

// bySecret compares digests, so that neither the length nor any part of a secret shows in the time it takes. An
// unknown client costs the same.
func (r *registry) bySecret(cred tokenboundary.Credential) (tokenboundary.Principal, error) {
	want, known := r.secrets[cred.ID]
	got := sha256.Sum256([]byte(cred.Value))
	equal := subtle.ConstantTimeCompare(want[:], got[:]) == 1
	if !known || !equal || cred.Value == "" {
		return tokenboundary.Principal{}, errors.New("identity: client or secret is wrong")
	}
	return r.principal(cred.ID), nil
}

func (r *registry) byAssertion(ctx context.Context, cred tokenboundary.Credential) (tokenboundary.Principal, error) {
	if len(cred.Value) > maxAssertionSize {
		return tokenboundary.Principal{}, errors.New("identity: assertion is too long")
	}
	tok, err := front.ParseAs(cred.Value, assertionTypes...)
	if err != nil {
		return tokenboundary.Principal{}, fmt.Errorf("identity: %w", err)
	}
	c := readClaims(tok)
	id := c.text("iss")
	v, known := r.keys[id]
	switch {
	case c.err != nil:
		return tokenboundary.Principal{}, c.err
	case !known || id == "":
		return tokenboundary.Principal{}, errors.New("identity: no client with keys has this id")
	case cred.ID != "" && cred.ID != id:
		return tokenboundary.Principal{}, errors.New("identity: assertion is of another client")
	}
	if err := v.verify(ctx, tok); err != nil {
		return tokenboundary.Principal{}, err
	}
	now := r.clk.Now()
	c.plain()
	c.addressed(r.issuer, true)
	p := r.principal(id)
	p.Issued, p.Expires = c.times(window{now: now, leeway: r.leeway})
	p.Once = c.text("jti")
	switch {
	case c.text("sub") != id:
		c.fail("claim sub is not the client")
	case p.Once == "":
		c.fail("claim jti is missing")
	case p.Expires.After(now.Add(maxAssertion + r.leeway)):
		c.fail("assertion expires too far ahead")
	}
	if c.err != nil {
		return tokenboundary.Principal{}, c.err
	}
	return p, nil
}

func (r *registry) principal(id string) tokenboundary.Principal {
	return tokenboundary.Principal{Party: lineage.Party{ID: id, Issuer: r.issuer}, Identity: true}
}
