package broker

import (
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
)

// inward are the headers of a request that pass: what is asked for and in which form, and nothing of who asks. Whatever else a
// system may believe of its callers (X-Forwarded-For, X-User, …) is not among them.
var inward = []string{
	"Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language",
	"Content-Type", "Digest", "Content-Digest", "Idempotency-Key", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since",
	"Pragma", "Prefer", "Priority", "Range", "Traceparent", "Tracestate", "User-Agent", "X-Request-Id",
}

// outward are the headers of an answer that pass: none by which the caller would have a session of its own, or which tells
// a program where to go.
var outward = []string{
	"Accept-Ranges", "Age", "Allow", "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Range", "Content-Type",
	"Digest", "Content-Digest", "Date", "Deprecation", "Etag", "Expires", "Last-Modified", "Link", "Location", "Pragma", "Preference-Applied",
	"Ratelimit", "Ratelimit-Limit", "Ratelimit-Policy", "Ratelimit-Remaining", "Ratelimit-Reset", "Retry-After", "Sunset", "Traceresponse", "Vary",
	"X-Content-Type-Options", "X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset", "X-Request-Id",
}

// never are the headers that no configuration lets through: credentials and sessions, what belongs to one connection
// (RFC 9110, section 7.6.1), what says how long a message is, and what makes of it another.
var never = append([]string{
	"Alt-Svc", "Authentication-Info", "Authorization", "Clear-Site-Data", "Connection", "Content-Length", "Cookie", "Cookie2", "Dpop", "Expect", "Forwarded",
	"Host", "Http2-Settings", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization", "Proxy-Connection", "Refresh",
	"Set-Cookie", "Set-Cookie2", "Te", "Trailer", "Transfer-Encoding", "Via", "Www-Authenticate",
}, overrides...)

// passing returns the headers that pass, more of them than those that always do.
func passing(field string, always, more []string) ([]string, error) {
	out := slices.Clone(always)
	for _, name := range more {
		name = textproto.CanonicalMIMEHeaderKey(name)
		if !isToken(name) || slices.Contains(never, name) || strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "Proxy-") {
			return nil, fmt.Errorf("broker: ProxyConfig.%s has %q, which never passes", field, name)
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out, nil
}

// pass copies the headers that pass. Those that the message itself says belong to its connection are not its own to keep.
func pass(names []string, from, to http.Header) {
	for _, name := range names {
		if values := from[name]; len(values) > 0 && !listed(from["Connection"], name) {
			to[name] = values
		}
	}
}

// listed reports whether a Connection header names another one.
func listed(connection []string, name string) bool {
	for _, value := range connection {
		for option := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(textproto.TrimString(option), name) {
				return true
			}
		}
	}
	return false
}

// hide removes headers that hold any of the secrets, and reports whether one did.
func hide(h http.Header, secrets []string) (found bool) {
	for name, values := range h {
		if slices.ContainsFunc(values, func(v string) bool {
			plain, _ := url.PathUnescape(v)
			form, _ := url.QueryUnescape(v)
			return slices.ContainsFunc(secrets, func(s string) bool {
				return strings.Contains(v, s) || strings.Contains(plain, s) || strings.Contains(form, s)
			})
		}) {
			delete(h, name)
			found = true
		}
	}
	return found
}
