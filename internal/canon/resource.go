package canon

import (
	"errors"
	"strings"
)

var errResource = errors.New("not a usable resource indicator")

// Resource returns the form in which a resource indicator (RFC 8707) is compared: scheme and host in lower case, the
// default port dropped, nothing else changed. A relative URI, a fragment, user information, a dot segment, a
// backslash, and percent-encoding of a character that needs none are refused: each is a second spelling of something
// else, or a way to leave it.
func Resource(s string) (string, error) {
	if s == "" || len(s) > MaxResource {
		return "", errResource
	}
	for i := range len(s) {
		if !inURI[s[i]] {
			return "", errResource
		}
	}
	scheme, rest, found := strings.Cut(s, ":")
	if !found || !validScheme(scheme) || rest == "" || !neededEscapes(rest) {
		return "", errResource
	}
	given := s[:len(scheme)]
	scheme = strings.ToLower(scheme)
	authority, path := "", rest
	if strings.HasPrefix(rest, "//") {
		end := strings.IndexAny(rest[2:], "/?")
		if end < 0 {
			end = len(rest) - 2
		}
		var err error
		if authority, err = canonicalAuthority(scheme, rest[2:2+end]); err != nil {
			return "", err
		}
		authority, path = "//"+authority, rest[2+end:]
	}
	if authority == "" && (scheme == "http" || scheme == "https") || dotSegment(path) {
		return "", errResource
	}
	if same := s[len(given)+1 : len(s)-len(path)]; scheme == given && authority == same {
		return s, nil
	}
	return scheme + ":" + authority + path, nil
}

// inURI says which bytes a resource indicator may have.
var inURI = func() (table [256]bool) {
	for c := range table {
		table[c] = c > ' ' && c < 0x7f && strings.IndexByte("\\#\"<>^`{|}", byte(c)) < 0
	}
	return table
}()

// Resources returns the canonical, sorted set of the resources in list.
func Resources(list []string) ([]string, error) {
	if len(list) > MaxResources {
		return nil, errors.New("too many resources")
	}
	out := make([]string, 0, len(list))
	for _, r := range list {
		c, err := Resource(r)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return sortedSet(out), nil
}

func validScheme(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		letter := c >= 'a' && c <= 'z'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789+-.", rune(s[i]))) {
			return false
		}
	}
	return s != ""
}

func canonicalAuthority(scheme, a string) (string, error) {
	if a == "" || strings.ContainsAny(a, "@%") {
		return "", errResource
	}
	host, port := a, ""
	if i := strings.LastIndexByte(a, ':'); i >= 0 && !strings.HasSuffix(a, "]") {
		host, port = a[:i], a[i+1:]
		if !validPort(port) {
			return "", errResource
		}
	}
	if !validHost(host) {
		return "", errResource
	}
	host = strings.ToLower(host)
	if port == "" || scheme == "https" && port == "443" || scheme == "http" && port == "80" {
		return host, nil
	}
	return host + ":" + port, nil
}

func validPort(p string) bool {
	if p == "" || len(p) > 5 || p[0] == '0' {
		return false
	}
	return strings.Trim(p, "0123456789") == ""
}

func validHost(h string) bool {
	if strings.HasPrefix(h, "[") {
		inner, closed := strings.CutSuffix(h[1:], "]")
		return closed && inner != "" && strings.Trim(strings.ToLower(inner), "0123456789abcdef:.") == ""
	}
	return h != "" && !strings.ContainsAny(h, "[]:,;=!$&'()*+")
}

// neededEscapes reports whether every percent-encoding in s is well formed, in upper case, and of a byte that could
// not stand for itself and is not a separator in disguise.
func neededEscapes(s string) bool {
	for i := strings.IndexByte(s, '%'); i >= 0 && i < len(s); i++ {
		if s[i] != '%' {
			continue
		}
		if i+2 >= len(s) {
			return false
		}
		hi, lo := unhex(s[i+1]), unhex(s[i+2])
		if hi < 0 || lo < 0 || !needsEscape(byte(hi<<4|lo)) {
			return false
		}
		i += 2
	}
	return true
}

func unhex(c byte) int { return strings.IndexByte("0123456789ABCDEF", c) }

func needsEscape(c byte) bool {
	switch {
	case c < 0x20 || c == 0x7f || c == '/' || c == '\\':
		return false
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return false
	}
	return strings.IndexByte("-._~", c) < 0
}

func dotSegment(path string) bool {
	path, _, _ = strings.Cut(path, "?")
	for seg := range strings.SplitSeq(path, "/") {
		seg, _, _ = strings.Cut(seg, ";") // some servers drop ";…" before they resolve ".."
		if seg == "." || seg == ".." {
			return true
		}
	}
	return false
}
