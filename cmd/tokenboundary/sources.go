package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/cmd/tokenboundary/internal/config"
	"github.com/tokenboundary/tokenboundary/identity"
)

// identities returns the sources that authenticate clients and everyone else.
func identities(cfg *config.Config, clk clock.Clock) ([]tokenboundary.IdentitySource, error) {
	if err := approvers(cfg); err != nil {
		return nil, err
	}
	clients, err := clientSource(cfg, clk)
	if err != nil {
		return nil, err
	}
	list := []*identity.Source{clients}
	if binds(cfg) {
		proofs, err := identity.DPoP(identity.DPoPConfig{Leeway: cfg.Lifetimes.ClockLeeway, Clock: clk})
		if err != nil {
			return nil, err
		}
		list = append(list, proofs)
	}
	for _, t := range cfg.Trust {
		s, err := trusted(t, cfg.Lifetimes.ClockLeeway, clk)
		if err == nil {
			list = append(list, s)
			_, err = identity.Sources(list...) // a contradiction is reported where it arises
		}
		if err != nil {
			return nil, t.Errorf("%w", err)
		}
	}
	return identity.Sources(list...)
}

// approvers refuses an operator whose person no subject can be: that its approvals are not for its own requests could then
// not be told.
func approvers(cfg *config.Config) error {
	var prefixes []string
	for _, t := range cfg.Trust {
		if t.Session == "human" {
			prefixes = append(prefixes, t.SubjectPrefix)
		}
	}
	for _, c := range cfg.Clients {
		known := func(prefix string) bool { return strings.HasPrefix(c.Person, prefix) }
		if c.Person != "" && len(prefixes) > 0 && !slices.ContainsFunc(prefixes, known) {
			return c.Errorf("person: not a subject that trust knows: each has a subject_prefix, and this has none of them")
		}
	}
	return nil
}

// binds reports whether any client's tokens can be bound to a key.
func binds(cfg *config.Config) bool {
	return slices.ContainsFunc(cfg.Clients, func(c config.Client) bool { return c.Binding != tokenboundary.BindingOff })
}

// metadata adds to the metadata document what follows from the configuration.
func metadata(cfg *config.Config) map[string]any {
	out := map[string]any{}
	if binds(cfg) {
		out["dpop_signing_alg_values_supported"] = identity.DPoPAlgorithms()
	}
	if types := slices.Sorted(maps.Keys(details(cfg))); len(types) > 0 {
		out["authorization_details_types_supported"] = append(types, "task")
	}
	return out
}

// trusted returns the source of one entry of trust.
func trusted(t config.Trust, leeway time.Duration, clk clock.Clock) (*identity.Source, error) {
	switch t.Kind {
	case "oidc":
		return identity.OIDC(identity.OIDCConfig{
			Issuer: t.Issuer, Audience: t.Audience, SubjectPrefix: t.SubjectPrefix, Session: t.Session,
			JWKSFile: t.Keys.File, JWKSURI: t.Keys.URI, Leeway: leeway, Clock: clk,
		})
	case "spiffe":
		return identity.SPIFFE(identity.SPIFFEConfig{
			TrustDomain: t.Domain, BundleFile: t.Bundle, Audience: t.Audience, Session: t.Session, Leeway: leeway, Clock: clk,
		})
	case "kubernetes":
		return identity.Kubernetes(identity.KubernetesConfig{
			Issuer: t.Issuer, Audience: t.Audience, SubjectPrefix: t.SubjectPrefix, MaxLifetime: t.MaxLifetime,
			JWKSFile: t.Keys.File, JWKSURI: t.Keys.URI, Leeway: leeway, Clock: clk,
		})
	}
	return nil, fmt.Errorf("a source of kind %q is not supported", t.Kind)
}

// clientSource returns the source by which clients authenticate. Each client is also tried by itself, so that a key
// file that cannot be used is reported where it is named.
func clientSource(cfg *config.Config, clk clock.Clock) (*identity.Source, error) {
	c := identity.ClientsConfig{Issuer: cfg.Issuer, Leeway: cfg.Lifetimes.ClockLeeway, Clock: clk}
	for _, cl := range cfg.Clients {
		auth := identity.ClientAuth{ID: cl.ID, Secret: string(cl.Auth.Secret)}
		if k := cl.Auth.Assertion; k != nil {
			auth.JWKSFile, auth.JWKSURI = k.File, k.URI
		}
		one := c
		one.Clients = []identity.ClientAuth{auth}
		if _, err := identity.Clients(one); err != nil {
			return nil, cl.Errorf("%w", err)
		}
		c.Clients = append(c.Clients, auth)
	}
	return identity.Clients(c)
}
