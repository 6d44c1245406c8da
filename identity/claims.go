package identity

import (
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/internal/front"
)

// claims reads the claims of one token by name and type. The first claim of a wrong type, or with a value that cannot
// be used, is remembered in err; what is returned then does not count. An absent claim is the zero value.
type claims struct {
	members canon.Members
	err     error
}

// readClaims returns the claims of a token that passed package front. To parse them again would double what a token costs
// that nobody believes yet.
func readClaims(tok front.Token) *claims {
	c := &claims{members: tok.Claims}
	if tok.Claims == nil {
		c.fail("payload is not a JSON object")
	}
	return c
}

func (c *claims) has(name string) bool { return c.members.Get(name) != nil }

func (c *claims) fail(why string) {
	if c.err == nil {
		c.err = errors.New("identity: " + why)
	}
}

// text returns a string claim.
func (c *claims) text(name string) string {
	raw := c.members.Get(name)
	s, ok := canon.Text(raw)
	switch {
	case raw != nil && !ok:
		c.fail("claim " + name + " is not a string")
	case s != "" && canon.Name(s) != nil:
		c.fail("claim " + name + " is not usable")
	}
	return s
}

// texts returns a claim that is a list of strings.
func (c *claims) texts(name string) []string {
	list, ok := canon.Elements(c.members.Get(name))
	if c.has(name) && !ok {
		c.fail("claim " + name + " is not a list of strings")
	}
	var out []string
	for _, raw := range list {
		s, ok := canon.Text(raw)
		if !ok || canon.Name(s) != nil {
			c.fail("claim " + name + " is not a list of usable strings")
		}
		out = append(out, s)
	}
	return out
}

// audience returns the aud claim: one string or a list of strings (RFC 7519, section 4.1.3).
func (c *claims) audience() []string {
	if s, ok := canon.Text(c.members.Get("aud")); ok {
		return []string{s}
	}
	return c.texts("aud")
}

// time returns a NumericDate (RFC 7519, section 2).
func (c *claims) time(name string) time.Time {
	raw := string(c.members.Get(name))
	if raw == "" {
		return time.Time{}
	}
	seconds, err := strconv.ParseFloat(raw, 64)
	if raw[0] < '0' || raw[0] > '9' || err != nil || seconds >= 1e12 {
		c.fail("claim " + name + " is not a time")
		return time.Time{}
	}
	whole := int64(seconds)
	return time.Unix(whole, int64((seconds-float64(whole))*1e9)).UTC()
}

// window is what bounds the time in which a token is good.
type window struct {
	now         time.Time
	leeway      time.Duration
	maxLifetime time.Duration // from iat to exp; zero: not bounded
	needIssued  bool          // iat is required
}

// times returns iat, which is zero if absent, and exp, and checks them with nbf against w.
func (c *claims) times(w window) (issued, expires time.Time) {
	issued, expires = c.time("iat"), c.time("exp")
	latest := w.now.Add(w.leeway)
	switch {
	case c.err != nil:
	case !c.has("exp"):
		c.fail("claim exp is missing")
	case w.needIssued && !c.has("iat"):
		c.fail("claim iat is missing")
	case !w.now.Before(expires.Add(w.leeway)):
		c.fail("token is expired")
	case c.has("iat") && issued.After(latest):
		c.fail("token is from the future")
	case c.has("iat") && !expires.After(issued):
		c.fail("token ends before it was issued")
	case c.has("nbf") && c.time("nbf").After(latest):
		c.fail("token is not valid yet")
	case w.maxLifetime > 0 && expires.Sub(issued) > w.maxLifetime:
		c.fail("token lives too long")
	}
	return issued, expires
}

// addressed checks that the token is for audience, among others or alone.
func (c *claims) addressed(audience string, alone bool) {
	got := c.audience()
	switch {
	case c.err != nil:
	case len(got) == 0:
		c.fail("claim aud is missing")
	case audience == "" || !slices.Contains(got, audience):
		c.fail("token is for another audience")
	case alone && len(got) != 1:
		c.fail("token is for another audience as well")
	}
}

// plain refuses claims that make a token something else than a bearer token about its subject.
func (c *claims) plain() {
	switch {
	case c.has("cnf"):
		c.fail("token is bound to a key that was not proved")
	case c.has("events"):
		c.fail("token is a security event")
	}
}
