package agent

import (
	"net"
	"net/http"
	"net/url"
	"strings"
)

// Rules say where a Transport sends tokens. The zero value sends none anywhere, and refuses every request.
type Rules struct {
	// Allow are the places that tokens are sent to. Where several fit a request, the longest path decides.
	Allow []Rule
	// PassOthers lets requests to any other place through, without a token. Otherwise they are refused.
	PassOthers bool
}

// Rule is one place and the resource that it is.
type Rule struct {
	// URL is where the resource is: https, or http to a loopback address; exactly this scheme, host and port, and the
	// paths below its path, by whole segments.
	URL string
	// Resource is the resource that tokens are asked for; empty: URL.
	Resource string
	// Scopes are those of a request whose context carries no Call, or one without scopes.
	Scopes []string
	// Connection is that of a request whose Call names none.
	Connection string
}

// place is a rule, read.
type place struct {
	origin string // scheme://host:port
	path   string // without the last slash; empty: every path
	rule   Rule
}

// read returns the place of a rule. The error says which rule it is not.
func (r Rule) read() (place, error) {
	u, err := url.Parse(r.URL)
	switch {
	case err != nil, u.Hostname() == "", u.User != nil, u.RawQuery != "", u.ForceQuery, strings.Contains(r.URL, "#"):
		return place{}, invalid("Rule.URL is not the URL of a place")
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return place{}, invalid("Rule.URL must be https, or http to a loopback address")
	case !plain(u):
		return place{}, invalid("Rule.URL has a path that can be read in two ways")
	}
	if r.Resource == "" {
		r.Resource = r.URL
	}
	return place{origin: origin(u), path: strings.TrimSuffix(u.EscapedPath(), "/"), rule: r}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// origin returns scheme, host and port.
func origin(u *url.URL) string {
	scheme := strings.ToLower(u.Scheme)
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[scheme]
	}
	return scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

// plain reports whether every server reads the path as it stands: no dot segments, also with parameters, no empty segments,
// and no backslashes or escaped ones of these.
func plain(u *url.URL) bool {
	segments := strings.Split(strings.ToLower(u.EscapedPath()), "/")
	for i, s := range segments {
		name, _, _ := strings.Cut(s, ";")
		if s == "" && i > 0 && i < len(segments)-1 || name == "." || name == ".." {
			return false
		}
		for _, odd := range []string{"\\", "%2e", "%2f", "%5c"} {
			if strings.Contains(s, odd) {
				return false
			}
		}
	}
	return true
}

// find returns the place that a request goes to. There is none for a request that names another host than it is sent to,
// or that a redirect from another place has led here.
func find(places []place, r *http.Request) (place, bool) {
	var best place
	found := false
	at := origin(r.URL)
	if r.Host != "" && origin(&url.URL{Scheme: r.URL.Scheme, Host: r.Host}) != at || r.URL.User != nil {
		return best, false
	}
	for resp := r.Response; resp != nil && resp.Request != nil; resp = resp.Request.Response {
		if origin(resp.Request.URL) != at {
			return best, false
		}
	}
	for _, p := range places {
		if p.origin == at && p.holds(r.URL) && (!found || len(p.path) > len(best.path)) {
			best, found = p, true
		}
	}
	return best, found
}

// holds reports whether a URL of the same origin is in the place.
func (p place) holds(u *url.URL) bool {
	if p.path == "" {
		return true
	}
	path := u.EscapedPath()
	return plain(u) && (path == p.path || strings.HasPrefix(path, p.path+"/"))
}
