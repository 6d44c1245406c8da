package canon

import (
	"errors"
	"net"
	"net/url"
	"strings"
)

var errURL = errors.New("must be an https URL, or http on a loopback host, without user information or fragment")

// SecureURL reads the URL of a server that may be trusted with what is sent to it or had from it: https, or http on a
// loopback host, with a host, and with neither user information nor a fragment, an empty one included. The error
// contains nothing of raw.
func SecureURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || u.User != nil || strings.Contains(raw, "#") ||
		u.Scheme != "https" && (u.Scheme != "http" || !Loopback(u.Hostname())) {
		return nil, errURL
	}
	return u, nil
}

// Loopback reports whether host names the machine itself: there, plain http is as good as https.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
