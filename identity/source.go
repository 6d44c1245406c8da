package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tokenboundary/tokenboundary"
)

// Source verifies one kind of credential of one issuer. It is immutable and safe for concurrent use. The zero value
// refuses everything.
type Source struct {
	identify func(context.Context, tokenboundary.Credential) (tokenboundary.Principal, error)
	issuer   string // whose credentials it verifies
	space    string // what every name of its parties begins with
	named    bool   // whether it names subjects, and so takes part in the division of names
}

var _ tokenboundary.IdentitySource = (*Source)(nil)

var errSource = errors.New("identity: source was not made by a constructor")

// Identify implements tokenboundary.IdentitySource.
func (s *Source) Identify(ctx context.Context, cred tokenboundary.Credential) (tokenboundary.Principal, error) {
	if s == nil || s.identify == nil {
		return tokenboundary.Principal{}, errSource
	}
	return s.identify(ctx, cred)
}

// Sources returns list as it is used in tokenboundary.Config, in this order. It sees to it that no two sources can give
// one name to two parties. Refused at once: one issuer or trust domain twice, one subject prefix twice (two sources
// without a prefix included), and a prefix that begins with another. Refused when it is presented: a subject, or an
// actor in its chain, that spells the prefix of another source.
func Sources(list ...*Source) ([]tokenboundary.IdentitySource, error) {
	for i, a := range list {
		if a == nil || a.identify == nil {
			return nil, errSource
		}
		for _, b := range list[:i] {
			if err := disjoint(a, b); err != nil {
				return nil, err
			}
		}
	}
	out := make([]tokenboundary.IdentitySource, len(list))
	for i, a := range list {
		out[i] = tokenboundary.IdentityFunc(func(ctx context.Context, cred tokenboundary.Credential) (tokenboundary.Principal, error) {
			p, err := a.Identify(ctx, cred)
			if err == nil {
				err = a.keepsTo(p, list)
			}
			if err != nil {
				return tokenboundary.Principal{}, err
			}
			return p, nil
		})
	}
	return out, nil
}

func disjoint(a, b *Source) error {
	switch {
	case a.issuer == b.issuer:
		return fmt.Errorf("identity: two sources for issuer %q", a.issuer)
	case !a.named || !b.named:
		return nil
	case a.space == b.space:
		return fmt.Errorf("identity: two sources with subject prefix %q", a.space)
	case a.space != "" && b.space != "" && (strings.HasPrefix(a.space, b.space) || strings.HasPrefix(b.space, a.space)):
		return fmt.Errorf("identity: subject prefixes %q and %q begin alike", a.space, b.space)
	}
	return nil
}

// keepsTo refuses a principal of s with a name that belongs to another source.
func (s *Source) keepsTo(p tokenboundary.Principal, all []*Source) error {
	if !s.named {
		return nil
	}
	for _, a := range p.Actors {
		if !strings.HasPrefix(a.ID, s.space) {
			return errors.New("identity: actor is not in the name space of its source")
		}
	}
	for _, other := range all {
		if other == s || !other.named || other.space == "" {
			continue
		}
		if strings.HasPrefix(p.Party.ID, other.space) {
			return errors.New("identity: subject spells the prefix of another source")
		}
		if strings.HasPrefix(p.Session.ID, other.space) {
			return errors.New("identity: session spells the prefix of another source")
		}
		for _, a := range p.Actors {
			if strings.HasPrefix(a.ID, other.space) {
				return errors.New("identity: actor spells the prefix of another source")
			}
		}
	}
	return nil
}
