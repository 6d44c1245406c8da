package broker

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// askAgain is how often the lineage is asked while a request lasts.
const askAgain = time.Second

// past is a deadline that is over.
var past = time.Unix(1, 0)

// exchange sends a request with the credential, and its answer back. The context ends with the lease. An error means that nothing
// was answered yet.
func (p *Proxy) exchange(ctx context.Context, w http.ResponseWriter, r *http.Request, t target, a access, l *Lease, s Secret) error {
	ctx, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	out, secrets, err := p.outgoing(ctx, r, t, s)
	if err != nil {
		p.b.cfg.Logger.ErrorContext(ctx, "a request was not forwarded", "path", t.path, "cause", err)
		return errNoAnswer
	}
	if err := p.uses.add(a.id, a.route); err != nil {
		return err
	}
	conn := http.NewResponseController(w)
	defer p.watch(ctx, cut, l).stop()
	defer context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(past) })() // of the caller's body
	defer out.Body.Close()                                                    //nolint:errcheck // it is only read
	resp, err := p.transport.RoundTrip(out)
	if err != nil {
		return p.failed(ctx, a, err)
	}
	defer resp.Body.Close() //nolint:errcheck // it is only read
	head, err := p.answer(resp, secrets)
	if err != nil {
		p.b.cfg.Logger.WarnContext(ctx, "an answer was not let through", "route", a.route.name, "status", resp.StatusCode, "cause", err)
		return errNoAnswer
	}
	h := w.Header()
	maps.Copy(h, head)
	if ctx.Err() != nil {
		clear(h)
		return context.Cause(ctx)
	}
	w.WriteHeader(resp.StatusCode)
	defer context.AfterFunc(ctx, func() { _ = conn.SetWriteDeadline(past) })()
	if err := p.copy(ctx, w, conn, resp); err != nil {
		p.b.cfg.Logger.InfoContext(ctx, "an answer was cut", "route", a.route.name, "cause", err)
		panic(http.ErrAbortHandler) // so that the caller does not take a part for the whole
	}
	return nil
}

// outgoing returns the request that is sent, and what of it must not come back.
func (p *Proxy) outgoing(ctx context.Context, r *http.Request, t target, s Secret) (*http.Request, []string, error) {
	to, err := t.url(p.cfg.Upstream.Scheme, p.cfg.Upstream.Host)
	if err != nil {
		return nil, nil, err
	}
	h := make(http.Header, 16)
	h["User-Agent"] = []string{""} // none of the transport's
	pass(p.inward, r.Header, h)
	secrets, err := inject(p.inject, s, h)
	if err != nil {
		return nil, nil, err
	}
	out := &http.Request{
		Method: t.method, URL: to, Host: to.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Body: http.NoBody, ContentLength: r.ContentLength,
	}
	if r.ContentLength > 0 {
		out.Body = r.Body
	}
	return out.WithContext(ctx), secrets, nil
}

// failed returns the answer where there was none of the system. What the transport says may hold what the system has sent.
func (p *Proxy) failed(ctx context.Context, a access, err error) error {
	var op *net.OpError
	var slow net.Error
	no, why := errNoAnswer, "what came is no answer"
	switch {
	case errors.Is(context.Cause(ctx), ErrOver), errors.Is(context.Cause(ctx), errCut):
		return context.Cause(ctx)
	case ctx.Err() != nil:
		return errCannotTell // nobody waits for it
	case errors.As(err, &slow) && slow.Timeout():
		no, why = errLate, "no answer came in time"
	case errors.As(err, &op) && op.Op == "dial":
		why = "it cannot be reached"
	case errors.Is(err, io.EOF), errors.As(err, &op):
		why = "the connection broke off"
	}
	p.b.cfg.Logger.WarnContext(ctx, "the system behind the proxy did not answer", "route", a.route.name, "cause", why)
	return no
}

var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// Why an answer is cut.
var (
	errTooLong = errors.New("it is longer than ProxyConfig.MaxResponse")
	errGone    = errors.New("the caller is gone")
	errBroken  = errors.New("the connection broke off")
)

// copy sends the body of an answer on: each part as it comes, where its length is not known beforehand.
func (p *Proxy) copy(ctx context.Context, w io.Writer, conn *http.ResponseController, resp *http.Response) error {
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	for left := p.cfg.MaxResponse; ; {
		if resp.ContentLength < 0 { // the head too
			if err := conn.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
				return errGone
			}
		}
		n, err := resp.Body.Read(buf[:])
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if left -= int64(n); left < 0 {
			return errTooLong
		}
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return errGone
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return errBroken
		}
	}
}

// length returns the Content-Length of an answer, if it is known.
func length(resp *http.Response) []string {
	if resp.ContentLength < 0 || resp.StatusCode == http.StatusNoContent {
		return nil
	}
	return []string{strconv.FormatInt(resp.ContentLength, 10)}
}
