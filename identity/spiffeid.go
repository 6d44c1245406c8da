package identity

import (
	"errors"
	"strings"
)

// ID is a SPIFFE ID.
type ID struct {
	// TrustDomain is the name of the trust domain, and Path what follows it: empty, or beginning with a slash.
	TrustDomain, Path string
}

// String returns the URI.
func (id ID) String() string { return spiffeScheme + id.TrustDomain + id.Path }

const spiffeScheme = "spiffe://"

var errSPIFFE = errors.New("identity: not a SPIFFE ID")

// ParseID reads a SPIFFE ID (SPIFFE ID, section 2). There is one spelling of each: it has neither port, query,
// fragment nor escapes, no empty or dot segment, no trailing slash, and a trust domain in lower case.
func ParseID(s string) (ID, error) {
	rest, found := strings.CutPrefix(s, spiffeScheme)
	if !found || len(s) > 2048 {
		return ID{}, errSPIFFE
	}
	domain, path := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		domain, path = rest[:i], rest[i:]
	}
	if err := checkTrustDomain(domain); err != nil {
		return ID{}, err
	}
	if path == "" {
		return ID{domain, ""}, nil
	}
	for seg := range strings.SplitSeq(path[1:], "/") {
		if seg == "" || seg == "." || seg == ".." || strings.ContainsFunc(seg, func(r rune) bool { return !pathRune(r) }) {
			return ID{}, errSPIFFE
		}
	}
	return ID{domain, path}, nil
}

func checkTrustDomain(s string) error {
	if s == "" || len(s) > 255 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789.-_") != "" {
		return errSPIFFE
	}
	return nil
}

func pathRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_'
}
