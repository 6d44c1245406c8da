package broker

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/textproto"
	"strings"
)

// ForwardStyle says how a gateway tells which request it asks about. The zero value is refused: it is never guessed from what
// comes.
type ForwardStyle uint8

// The styles. What another one has in its headers is ignored.
const (
	_              ForwardStyle = iota
	ForwardNginx                // auth_request, with X-Original-Method and X-Original-URI set by the configuration of nginx
	ForwardTraefik              // forwardAuth: X-Forwarded-Method and X-Forwarded-Uri
	ForwardEnvoy                // ext_authz over HTTP: the method and the path of the question are those of the request
)

// ForwardConfig is how a gateway asks. Style is required.
type ForwardConfig struct {
	Style ForwardStyle
	// Prefix is what an Envoy puts in front of the path (path_prefix): it is cut off. It begins with "/" and does not end so.
	Prefix string
	// Gateway reports whether a question comes from the gateway, as by a client certificate or by a secret header (see
	// GatewaySecret). It is required with Deliver: whoever may ask has the credentials. Nil: anybody may ask.
	Gateway func(*http.Request) bool
	// Deliver puts the headers of ProxyConfig.Inject into the answer, for the gateway to send on. The credential then leaves
	// the broker, and is one that the policy lets leave (see Lease.Deliver). Without it the credential stays, and the lease only says that
	// the request may be made, as with the proxy.
	Deliver bool
}

// ForwardAuth returns an endpoint that decides for a gateway which forwards by itself: the same decision as that of the proxy, on the
// same routes, without the body. It answers 200 where the request may be forwarded, and 401, 403 or 503 where it may not, so
// that a gateway that forwards only after 200 fails closed. Each 200 is put down as a use.
//
// Nothing is cut here: how long what was let through lasts, and what the system answers with, is the gateway's own. It must strip
// the caller's Authorization, forward the path in the spelling in which it was asked about, and take from the caller no header
// that the style names.
func (p *Proxy) ForwardAuth(cfg ForwardConfig) (http.Handler, error) {
	switch {
	case cfg.Style < ForwardNginx || cfg.Style > ForwardEnvoy:
		return nil, errors.New("broker: ForwardConfig.Style is required")
	case cfg.Prefix != "" && (cfg.Style != ForwardEnvoy || checkPath(cfg.Prefix) != nil || strings.HasSuffix(cfg.Prefix, "/")):
		return nil, errors.New("broker: ForwardConfig.Prefix must be the path_prefix of an Envoy")
	case cfg.Deliver && cfg.Gateway == nil:
		return nil, errors.New("broker: ForwardConfig.Gateway is required with Deliver")
	}
	return &forwardAuth{p, cfg}, nil
}

type forwardAuth struct {
	p   *Proxy
	cfg ForwardConfig
}

var errNotGateway = &refusal{status: http.StatusForbidden, code: "access_denied", why: "Only the gateway may ask"}

// ServeHTTP implements http.Handler.
func (f *forwardAuth) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.cfg.Gateway != nil && !f.cfg.Gateway(r) {
		f.p.refuse(w, r, target{}, errNotGateway)
		return
	}
	t, a, err := f.p.admit(r, f.asked)
	var h http.Header
	if err == nil {
		h, err = f.permit(r.Context(), a)
	}
	if err != nil {
		f.p.refuse(w, r, t, forGateway(err))
		return
	}
	maps.Copy(w.Header(), h)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
}

// forGateway keeps to the statuses that every gateway takes for a refusal.
func forGateway(err error) error {
	no := *refused(err)
	if no.status < http.StatusUnauthorized {
		no.status = http.StatusForbidden
	}
	return errors.Join(&no, err)
}

// asked reads which request the gateway asks about.
func (f *forwardAuth) asked(r *http.Request) (target, error) {
	method, raw := r.Method, r.RequestURI
	var ok bool
	switch f.cfg.Style {
	case ForwardNginx:
		method, raw, ok = pair(r.Header, "X-Original-Method", "X-Original-Uri")
	case ForwardTraefik:
		method, raw, ok = pair(r.Header, "X-Forwarded-Method", "X-Forwarded-Uri")
	default:
		raw, ok = strings.CutPrefix(raw, f.cfg.Prefix)
	}
	t, err := readTarget(method, raw)
	if err == nil && ok {
		err = checkOverrides(r.Header)
	}
	switch {
	case err != nil:
		return target{}, badForm(err)
	case !ok || badMethod(method):
		return target{}, badForm(errAsked)
	}
	return t, nil
}

var errAsked = errors.New("the gateway does not say which request it is")

// pair returns the one value of each of two headers.
func pair(h http.Header, first, second string) (a, b string, ok bool) {
	if len(h[first]) != 1 || len(h[second]) != 1 {
		return "", "", false
	}
	return h[first][0], h[second][0], true
}

// permit puts down the use, and returns the headers that the gateway has to send on: none where the credential is to stay, and the
// lease says only that the request may be made.
func (f *forwardAuth) permit(ctx context.Context, a access) (http.Header, error) {
	h := http.Header{}
	if f.cfg.Deliver {
		a.gateway = f
	}
	return h, f.p.use(ctx, a, func(ctx context.Context, _ *Lease, s Secret) error {
		if f.cfg.Deliver {
			if _, err := inject(f.p.inject, s, h); err != nil {
				f.p.b.cfg.Logger.ErrorContext(ctx, "a credential was not delivered", "route", a.route.name, "cause", err)
				return errors.Join(errCannotTell, err)
			}
		}
		return f.p.uses.add(a.id, a.route)
	})
}

// GatewaySecret is a ForwardConfig.Gateway for a gateway that sends a secret in a header of its own, which no caller can set. An empty
// secret is nobody's.
func GatewaySecret(header, secret string) func(*http.Request) bool {
	name := textproto.CanonicalMIMEHeaderKey(header)
	return func(r *http.Request) bool {
		sent := r.Header[name]
		return secret != "" && len(sent) == 1 && same(sent[0], secret)
	}
}
