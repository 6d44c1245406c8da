package agent

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary"
)

// maxToken bounds a token, in bytes.
const maxToken = 16 << 10

// maxLife bounds the life that a token says it has, in seconds.
const maxLife = 1 << 32

// sound refuses what is no token of the kind that the session asks for.
func (s *Session) sound(g Granted) error {
	switch bound := s.cfg.Prover != nil; {
	case g.Access.Value == "" || len(g.Access.Value) > maxToken:
		return unacceptable("no usable token")
	case g.ExpiresIn <= 0:
		return unacceptable("a token without an end")
	case g.Bound && !bound:
		return unacceptable("a token that is bound to a key")
	case bound && !g.Bound:
		return unacceptable("a token that is not bound to the key")
	}
	return nil
}

// accept compares what was granted with what the call needs: neither less nor more, for its resource, in this task. Where the
// token says that it ends sooner than the answer does, that counts.
func (s *Session) accept(c Call, g *Granted) (names, error) {
	if g.TaskID != s.id {
		return names{}, unacceptable("a token of another task")
	}
	if err := s.compare(c, g.Scopes); err != nil {
		return names{}, err
	}
	claims, readable, err := glance(g.Access.Value)
	switch {
	case err != nil:
		return names{}, err
	case !readable:
		return names{}, nil
	case len(claims.Audience) != 1 || fold(claims.Audience[0]) != fold(c.Resource):
		return names{}, unacceptable("a token for another audience")
	case claims.Task != nil && claims.Task.ID != s.id.String():
		return names{}, unacceptable("a token of another task")
	}
	if err := s.compare(c, strings.Fields(claims.Scope)); err != nil {
		return names{}, err
	}
	bound := claims.Confirm != nil
	if claims.ExpiresAt > 0 && claims.IssuedAt > 0 {
		g.ExpiresIn = min(g.ExpiresIn, time.Duration(min(claims.ExpiresAt-claims.IssuedAt, maxLife))*time.Second)
	}
	if err := s.sound(Granted{Access: g.Access, ExpiresIn: g.ExpiresIn, Bound: bound}); err != nil {
		return names{}, err
	}
	ids := append(claims.Lineage, claims.ID, claims.Grant, s.id.String())
	return names{known: true, ids: ids, session: claims.SessionID}, nil
}

func (s *Session) compare(c Call, granted []string) error {
	var missing []string
	for _, sc := range c.Scopes {
		if !slices.Contains(granted, sc) {
			missing = append(missing, sc)
		}
	}
	if len(missing) > 0 {
		return &InsufficientScopeError{Resource: c.Resource, Missing: missing}
	}
	for _, sc := range granted {
		if !slices.Contains(c.Scopes, sc) && !slices.Contains(s.cfg.Implied, sc) {
			return unacceptable("more scopes than were asked for")
		}
	}
	return nil
}

// glance reads the claims of an access token of RFC 9068 without verifying it: good for refusing it, and for nothing else.
// Readable is false for any other token.
func glance(token string) (claims tokenboundary.Claims, readable bool, err error) {
	head, rest, _ := strings.Cut(token, ".")
	body, _, found := strings.Cut(rest, ".")
	var header struct {
		Type string `json:"typ"`
	}
	raw, err := base64.RawURLEncoding.DecodeString(head)
	if !found || err != nil || json.Unmarshal(raw, &header) != nil {
		return claims, false, nil
	}
	if kind := strings.ToLower(header.Type); kind != "at+jwt" && kind != "application/at+jwt" {
		return claims, false, nil
	}
	raw, err = base64.RawURLEncoding.DecodeString(body)
	if err != nil || json.Unmarshal(raw, &claims) != nil {
		return tokenboundary.Claims{}, false, unacceptable("an access token that cannot be read")
	}
	return claims, true, nil
}

// fold returns a resource with scheme and host in lower case and without the default port: what two spellings of one
// resource have in common.
func fold(resource string) string {
	scheme, rest, found := strings.Cut(resource, "://")
	if !found {
		return resource
	}
	scheme = strings.ToLower(scheme)
	host, tail := rest, ""
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		host, tail = rest[:i], rest[i:]
	}
	return scheme + "://" + hostPort(scheme, host) + tail
}

// hostPort returns a host in lower case, without the default port of the scheme.
func hostPort(scheme, host string) string {
	host = strings.ToLower(host)
	switch scheme {
	case "https":
		return strings.TrimSuffix(host, ":443")
	case "http":
		return strings.TrimSuffix(host, ":80")
	}
	return host
}
