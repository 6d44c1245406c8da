package broker

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Route is a kind of request that a Proxy lets through, and what it takes. The zero value lets nothing through.
//
// Of the routes that fit a request the most specific one counts, as with http.ServeMux: the one whose requests all fit the
// others too. Where two fit the same request and neither is more specific, NewProxy refuses them. A system behind the proxy
// that takes two spellings for one (upper and lower case, a slash at the end) sees no difference where a route does: what one
// spelling must not reach, no wider route should name.
type Route struct {
	// Methods are the methods, in capitals. None implies another: GET is not HEAD.
	Methods []string
	// Path is a path in the spelling of the wire, from "/" on. In place of a segment, "*" stands for any one that is not
	// empty, and "/**" at the end for whatever is below: "/v1/**" fits "/v1/" and "/v1/a/b", and not "/v1".
	Path string
	// Scopes are what the token must have, all of them, and what the credential is leased for. At least one.
	Scopes []string
}

// route is a Route as it is compared.
type route struct {
	Route
	pattern
	name string // the methods and the path, for logs
}

// pattern is a path with places.
type pattern struct {
	segments []string // "*": any
	below    bool     // and at least one further segment
}

const anySegment = "*"

// readRoutes checks routes as a whole.
func readRoutes(in []Route) ([]*route, error) {
	out := make([]*route, 0, len(in))
	for i, r := range in {
		p, err := readPattern(r.Path)
		switch {
		case err != nil:
			return nil, fmt.Errorf("broker: ProxyConfig.Routes[%d].Path: %w", i, err)
		case len(r.Methods) == 0 || !slices.ContainsFunc(r.Methods, goodMethod) || slices.ContainsFunc(r.Methods, badMethod):
			return nil, fmt.Errorf("broker: ProxyConfig.Routes[%d].Methods must be methods in capitals, and not CONNECT or TRACE", i)
		case len(r.Scopes) == 0 || slices.Contains(r.Scopes, ""):
			return nil, fmt.Errorf("broker: ProxyConfig.Routes[%d].Scopes are required", i)
		}
		r.Methods, r.Scopes = slices.Clone(r.Methods), slices.Clone(r.Scopes)
		added := &route{r, p, strings.Join(r.Methods, ",") + " " + r.Path}
		for j, other := range out {
			if added.clashes(other) {
				return nil, fmt.Errorf("broker: ProxyConfig.Routes[%d] and Routes[%d] fit the same requests, and neither is more specific", j, i)
			}
		}
		out = append(out, added)
	}
	return out, nil
}

// find returns the most specific route that fits; nil where none does.
func find(routes []*route, method, path string) (found *route) {
	for _, r := range routes {
		if r.fits(path) && slices.Contains(r.Methods, method) && (found == nil || found.covers(r.pattern)) {
			found = r
		}
	}
	return found
}

// clashes reports whether it cannot be said which of two routes counts.
func (r *route) clashes(other *route) bool {
	shared := slices.ContainsFunc(r.Methods, func(m string) bool { return slices.Contains(other.Methods, m) })
	return shared && r.overlaps(other.pattern) && r.covers(other.pattern) == other.covers(r.pattern)
}

func goodMethod(m string) bool { return !badMethod(m) }

func badMethod(m string) bool {
	letter := func(r rune) bool { return r < 'A' || r > 'Z' }
	return m == "" || len(m) > 32 || m == http.MethodConnect || m == http.MethodTrace || strings.ContainsFunc(m, letter)
}

// readPattern reads a path with places.
func readPattern(path string) (pattern, error) {
	fixed, below := strings.CutSuffix(path, "/**")
	if below && fixed == "" {
		return pattern{below: true}, nil
	}
	if err := checkPath(fixed); err != nil {
		return pattern{}, err
	}
	p := pattern{strings.Split(fixed[1:], "/"), below}
	for i, s := range p.segments {
		if s != anySegment && strings.Contains(s, anySegment) || s == "" && (below || i < len(p.segments)-1) {
			return pattern{}, errors.New(`"*" must stand for a whole segment, and "**" for all that are left`)
		}
	}
	return p, nil
}

// fits reports whether a path, which is in its one spelling, has the pattern.
func (p pattern) fits(path string) bool {
	rest, more := strings.TrimPrefix(path, "/"), true
	for _, want := range p.segments {
		if !more {
			return false
		}
		var s string
		s, rest, more = strings.Cut(rest, "/")
		if !coversSegment(want, s) {
			return false
		}
	}
	return more == p.below
}

// covers reports whether every path that has the pattern q has p too.
func (p pattern) covers(q pattern) bool {
	n := len(p.segments)
	switch {
	case p.below && (len(q.segments) < n || len(q.segments) == n && !q.below):
		return false
	case !p.below && (q.below || len(q.segments) != n):
		return false
	}
	for i, s := range p.segments {
		if !coversSegment(s, q.segments[i]) {
			return false
		}
	}
	return true
}

func coversSegment(p, q string) bool { return p == q || p == anySegment && q != "" }

// overlaps reports whether there is a path that has both patterns.
func (p pattern) overlaps(q pattern) bool {
	if len(p.segments) > len(q.segments) {
		p, q = q, p
	}
	switch {
	case len(p.segments) < len(q.segments) && !p.below:
		return false
	case len(p.segments) == len(q.segments) && p.below != q.below:
		return false
	}
	for i, s := range p.segments {
		if !coversSegment(s, q.segments[i]) && !coversSegment(q.segments[i], s) {
			return false
		}
	}
	return true
}
