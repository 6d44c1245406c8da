package broker

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
)

var (
	errInterim  = errors.New("its status is none of a final answer")
	errRedirect = errors.New("it redirects to another host, or to a path that has more than one spelling")
)

// answer returns the head of an answer as it is sent on.
func (p *Proxy) answer(resp *http.Response, secrets []string) (http.Header, error) {
	switch {
	case resp.StatusCode < 200 || resp.StatusCode > 599: // 101 would be an upgrade
		return nil, errInterim
	case resp.ContentLength > p.cfg.MaxResponse && resp.Request.Method != http.MethodHead && resp.StatusCode != http.StatusNotModified:
		return nil, errTooLong
	}
	h := make(http.Header, 16)
	pass(p.outward, resp.Header, h)
	if places := h["Location"]; len(places) > 0 {
		place, ok := p.place(places, resp.Request.URL)
		switch {
		case ok:
			h["Location"] = []string{place}
		case resp.StatusCode/100 == 3:
			return nil, errRedirect
		default:
			delete(h, "Location")
		}
	}
	if hide(h, secrets) {
		p.b.cfg.Logger.WarnContext(resp.Request.Context(), "the system behind the proxy answers with the credential in a header, which was left out")
	}
	if h["Content-Type"] == nil {
		h["Content-Type"] = nil // nor is one guessed
	}
	if n := length(resp); n != nil {
		h["Content-Length"] = n
	}
	return h, nil
}

// place returns the path and the query of a Location on the same host.
func (p *Proxy) place(places []string, from *url.URL) (string, bool) {
	if len(places) != 1 || len(places[0]) > maxTarget {
		return "", false
	}
	u, err := from.Parse(places[0])
	if err != nil || u.User != nil || u.Opaque != "" || u.Scheme != from.Scheme || !strings.EqualFold(hostPort(u), hostPort(from)) {
		return "", false
	}
	to := u.RequestURI()
	if _, err := readTarget(http.MethodGet, to); err != nil {
		return "", false
	}
	return to, true
}

func hostPort(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	return u.Host + map[string]string{"http": ":80", "https": ":443"}[u.Scheme]
}
