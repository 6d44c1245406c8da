package gate

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary"
)

// skew is by how much the clocks of the endpoint and of the gate may differ.
const skew = time.Minute

// inside refuses a token that says of itself, as a JWT, that it is for more than was granted, or for longer (RFC 7519,
// section 4.1; RFC 9068, section 2.2). Nobody has verified that: it is good for refusing the token, and for nothing else. A
// token that says nothing is judged by the answer that it came in.
func (p *pass) inside(token string) (as tokenboundary.Request, more bool) {
	as = p.req
	payload, ok := payloadOf(token)
	if !ok {
		return as, false
	}
	o, err := objectOf(payload)
	if err == nil {
		err = unambiguous(payload)
	}
	audience, scopes := o.audience("aud"), append(o.words("scope"), o.words("scp")...)
	var expires float64
	o.read("exp", &expires)
	life := time.Unix(int64(min(max(expires, 0), 1<<38)), 0).Sub(p.g.cfg.Clock.Now())
	granted, resources := p.decision.Scopes(), p.decision.Granted.Resources()
	switch {
	case err != nil, o.check() != nil, slices.ContainsFunc(audience, func(s string) bool { return !slices.Contains(resources, s) }):
		return tokenboundary.Request{Malformed: tokenboundary.CodeInvalidTarget}, true
	case slices.ContainsFunc(scopes, func(s string) bool { return !slices.Contains(granted, s) }):
		as.Enforce, as.Scopes = enforced&^tokenboundary.CapScopes, scopes
	case life > p.lifetime()+skew:
		as.Enforce, as.Lifetime = enforced&^tokenboundary.CapLifetime, life
	default:
		return as, false
	}
	return as, true
}

// payloadOf returns what a JWT has between its dots; false where the token is none.
func payloadOf(token string) ([]byte, bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, false
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	return raw, err == nil && bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{"))
}

// words reads a list of strings, or what one string has between spaces.
func (o object) words(name string) []string {
	if raw := bytes.TrimSpace(o.raw(name)); len(raw) > 0 && raw[0] == '"' {
		return strings.Fields(o.text(name))
	}
	return o.texts(name)
}
