package broker

import (
	"context"
	"errors"
	"net/http"

	"github.com/tokenboundary/tokenboundary"
)

// Proxy is a reverse proxy that takes tokens of the boundary, and lets through to one system what its routes and the token permit,
// with a credential of that system in place of the token. The caller never has the credential, nor any other session there.
//
// Whatever is not known to be harmless is refused or left out. The path and the query are forwarded byte for byte as they were
// decided on; a request that could be read in two ways is answered with 400, and nothing of it is sent. A body has to have a
// Content-Length, and GET and HEAD have none. Of the headers only those pass that are named. There is no upgrade, no CONNECT, no trailer and no interim
// answer; a redirect is answered with the path alone where it is one on the same host, and with 502 where it is not. What the
// body of an answer says is the system's own: one that repeats the credential in a body gives it away.
//
// The lineage is asked with every request, and each second while one lasts: a stream is cut when the token, or anything above
// it, dies, or when that cannot be told. Every request that is forwarded has been put down as a use of its token before, and is
// in the lineage a second later; where no more can be put down, because the store is away, requests are refused (503). What was
// put down is lost if the process ends without Flush; that the token was used with the scopes is in the lineage already, as the lease.
//
// It is safe for concurrent use; make it with NewProxy. Serve it at the root of a listener, see Strict, with nothing in front
// that changes paths.
type Proxy struct {
	b         *Broker
	cfg       ProxyConfig
	client    tokenboundary.Client // of the broker, with the one connection
	routes    []*route
	inject    []injection
	inward    []string
	outward   []string
	transport *http.Transport
	tokens    tokens
	uses      uses
	flights   flights
}

var _ http.Handler = (*Proxy)(nil)

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t, a, err := p.admit(r, p.form)
	if err == nil {
		err = p.use(r.Context(), a, func(ctx context.Context, l *Lease, s Secret) error { return p.exchange(ctx, w, r, t, a, l, s) })
	}
	if err != nil {
		p.refuse(w, r, t, err)
	}
}

// form checks what can be said of a request without its token.
func (p *Proxy) form(r *http.Request) (target, error) {
	t, err := readTarget(r.Method, r.RequestURI)
	switch {
	case err != nil:
		return target{}, badForm(err)
	case !r.ProtoAtLeast(1, 1):
		return t, errVersion
	case r.ContentLength < 0 || len(r.TransferEncoding) > 0:
		return t, errNoLength
	case r.ContentLength > p.cfg.MaxRequest:
		return t, errTooLarge
	case r.ContentLength > 0 && (t.method == http.MethodGet || t.method == http.MethodHead):
		return t, badForm(errBody) // which some systems leave unread, and then take for another request
	}
	if err := checkOverrides(r.Header); err != nil {
		return t, badForm(err)
	}
	return t, nil
}

var errBody = errors.New("the method has no body")

// Flush reports the uses that were not reported yet, which Proxy otherwise does by itself. Call it when nothing is served any more,
// before the process ends. An error means that some could not be reported, and would be tried again.
func (p *Proxy) Flush(ctx context.Context) error { return p.uses.flush(ctx) }

// ProxyState is what operators should know of a Proxy.
type ProxyState struct {
	// Waiting are requests that were forwarded and are not in the lineage yet.
	Waiting uint64
	// Lost are requests that were forwarded and that the boundary refused to count.
	Lost uint64
}

// State returns what is known now.
func (p *Proxy) State() ProxyState { return p.uses.state() }
