package identity

import (
	"errors"
	"net/url"
	"strings"

	"github.com/tokenboundary/tokenboundary/internal/canon"
)

var errTarget = errors.New("identity: not an absolute http URL")

// targetURI returns the form in which the URL of a request is compared: without query and fragment, after syntax-based
// and scheme-based normalisation (RFC 3986, sections 6.2.2 and 6.2.3). Two URLs have one form only if every server
// must take them for the same. User information, and characters that no URI contains, are refused.
func targetURI(raw string) (string, error) {
	if len(raw) > canon.MaxResource {
		return "", errTarget
	}
	raw, _, _ = strings.Cut(raw, "#")
	raw, _, _ = strings.Cut(raw, "?")
	for i := range len(raw) {
		if c := raw[i]; c <= 0x20 || c >= 0x7f || strings.IndexByte("\\\"<>^`{|}", c) >= 0 {
			return "", errTarget
		}
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil:
		return "", errTarget
	case strings.ContainsFunc(u.Host, func(r rune) bool { return r > '~' || r == '%' }): // it was percent-encoded
		return "", errTarget
	}
	return u.Scheme + "://" + authority(u) + withoutDots(unreserved(u.EscapedPath())), nil
}

// authority returns the host in lower case, and the port unless it is the default one.
func authority(u *url.URL) string {
	host, port := strings.ToLower(u.Host), u.Port()
	if port == "" || u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		return strings.TrimSuffix(host, ":"+port)
	}
	return host
}

// unreserved decodes the percent-encodings of characters that need none, and writes the others in upper case. The path
// is well formed.
func unreserved(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' {
			b.WriteByte(path[i])
			continue
		}
		c := unhex(path[i+1])<<4 | unhex(path[i+2])
		if c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.WriteString(strings.ToUpper(path[i : i+3]))
		}
		i += 2
	}
	return b.String()
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// withoutDots returns path without its dot segments (RFC 3986, section 5.2.4); an empty one is "/".
func withoutDots(path string) string {
	var kept []string
	segments := strings.Split(path, "/")[1:]
	for i, s := range segments {
		if s != "." && s != ".." {
			kept = append(kept, s)
			continue
		}
		if s == ".." && len(kept) > 0 {
			kept = kept[:len(kept)-1]
		}
		if i == len(segments)-1 {
			kept = append(kept, "")
		}
	}
	return "/" + strings.Join(kept, "/")
}
