package identity

import (
	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// namespace is where the names in a token live: the issuer that vouches for them, what its tokens call it, and the
// prefix that its names are given here.
type namespace struct{ issuer, iss, prefix string }

// actors returns the chain of the act claim (RFC 8693, section 4.1), the current actor first. An issuer vouches for
// the names of its own parties only: an actor that is said to be of another issuer refuses the token.
func (c *claims) actors(ns namespace) []lineage.Party {
	var chain []lineage.Party
	for at := c; at.has("act"); {
		inner := at.object("act")
		p := inner.party("act")
		if iss := inner.text("iss"); inner.has("iss") && iss != ns.iss {
			inner.fail("claim act names an actor of another issuer")
		}
		p.ID, p.Issuer = ns.prefix+p.ID, ns.issuer
		if canon.Name(p.ID) != nil {
			inner.fail("claim act names an unusable actor")
		}
		if chain = append(chain, p); len(chain) > canon.MaxChain {
			inner.fail("claim act is nested too deeply")
		}
		if inner.err != nil {
			c.adopt(inner.err)
			return nil
		}
		at = inner
	}
	return chain
}

// mayAct returns the party of the may_act claim (RFC 8693, section 4.4). It restricts who may act, so a member that
// is not understood refuses the token. A party without an issuer is meant by its name here; one of the token's own
// issuer gets the prefix that names of the issuer have here.
func (c *claims) mayAct(ns namespace) *lineage.Party {
	if !c.has("may_act") {
		return nil
	}
	inner := c.object("may_act")
	p := inner.party("may_act")
	p.Issuer = inner.text("iss")
	if p.Issuer == ns.iss && p.Issuer != "" {
		p.ID, p.Issuer = ns.prefix+p.ID, ns.issuer
	}
	for _, m := range inner.members {
		if m.Name != "sub" && m.Name != "iss" {
			inner.fail("claim may_act has a member that is not understood")
		}
	}
	if inner.has("iss") && p.Issuer == "" || canon.Name(p.ID) != nil {
		inner.fail("claim may_act names an unusable party")
	}
	c.adopt(inner.err)
	return &p
}

// object returns a claim that is a JSON object.
func (c *claims) object(name string) *claims {
	inner := &claims{}
	var err error
	if inner.members, err = canon.Object(c.members.Get(name)); err != nil {
		inner.fail("claim " + name + " is not an object")
	}
	return inner
}

// party returns the party that an actor claim names, without its issuer.
func (c *claims) party(of string) lineage.Party {
	p := lineage.Party{ID: c.text("sub")}
	if p.ID == "" {
		c.fail("claim " + of + " has no sub")
	}
	return p
}

// adopt remembers the error of a part.
func (c *claims) adopt(err error) {
	if c.err == nil {
		c.err = err
	}
}
