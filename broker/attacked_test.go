package broker_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/broker"
	"github.com/tokenboundary/tokenboundary/identity"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// TestAGatewayIsToldWhatTheProxyDecides: also of a token of another connection.
func TestAGatewayIsToldWhatTheProxyDecides(t *testing.T) {
	f := proxied(t)
	envoy := f.asks(broker.ForwardConfig{Style: broker.ForwardEnvoy, Prefix: "/check"})
	require.Equal(t, 200, f.raw(envoy, request("GET /check/v1/invoices/7")).StatusCode, "control")
	most := uint64(10)
	var err error
	f.tok, err = f.gov.Issue(f.ctx, tb.Request{
		Grant: tb.ClientCredentials, Client: verified("bot"), Connection: "side", Resource: []string{resource},
		Scopes: []string{"read"}, Task: &tb.TaskSpec{Purpose: "work", MaxDerivations: &most},
	})
	require.NoError(t, err)
	f.refuses(f.addr, request("GET /v1/invoices/7"), 403, "")
	f.refuses(envoy, request("GET /check/v1/invoices/7"), 403, "")
	require.Contains(t, f.log.String(), `"msg":"a request was not let through","status":403`)
	require.Contains(t, f.log.String(), `"decision":"`, "whose record says why")
}

// TestAProofIsGoodOnceAtAllProxiesOfABroker.
func TestAProofIsGoodOnceAtAllProxiesOfABroker(t *testing.T) {
	var cfg broker.ProxyConfig
	f := proxied(t, func(w *world, c *broker.ProxyConfig) {
		var err error
		c.Proofs, err = identity.DPoP(identity.DPoPConfig{Resource: true, Clock: w.clock})
		require.NoError(w, err)
		cfg = *c
	})
	cfg.Broker = f.Broker
	other, err := broker.NewProxy(cfg)
	require.NoError(t, err)
	addr := f.serve(other, broker.Strict)
	me := f.holder()
	f.tok = me.bound()
	ask := func() string {
		return "GET /v1/invoices/7 HTTP/1.1\r\nHost: x\r\nAuthorization: DPoP TOKEN\r\nDPoP: " + me.proof(f.tok, nil) + "\r\n\r\n"
	}
	once := ask()
	require.Equal(t, 200, f.raw(f.addr, once).StatusCode)
	require.Equal(t, 401, f.raw(addr, once).StatusCode)
	require.Equal(t, 200, f.raw(addr, ask()).StatusCode, "control")
}

func TestACredentialIsNotSentInTheClear(t *testing.T) {
	f := proxied(t)
	for upstream, good := range map[string]bool{
		"http://erp.example.com": false, "http://10.0.0.7:8080": false, "https://erp.example.com": true, "http://127.0.0.1:1": true,
	} {
		u, err := url.Parse(upstream)
		require.NoError(t, err)
		_, err = broker.NewProxy(broker.ProxyConfig{Broker: f.Broker, Upstream: u, Routes: proxyRoutes, Inject: map[string]string{"X-Api-Key": "{token}"}})
		if good {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, "plain http is for loopback hosts only")
		}
	}
}

// fixed is a provider of one secret.
type fixed map[string]string

func (s fixed) Fetch(context.Context, tb.Lease) (broker.Issued, error) {
	return broker.Issued{Secret: broker.NewSecret(s)}, nil
}

func (fixed) Revoke(context.Context, tb.Lease) error { return nil }

// TestNoHeaderHoldsTheCredential: not in any encoding of URLs either.
func TestNoHeaderHoldsTheCredential(t *testing.T) {
	const secret = "sk+abc/def=="
	f := proxied(t, func(w *world, cfg *broker.ProxyConfig) {
		w.cfg.Providers = map[string]broker.Provider{"erp": fixed{"key": secret}}
		w.restart()
		cfg.Inject = map[string]string{"X-Api-Key": "{key}"}
	})
	for _, value := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), strings.ToLower(url.QueryEscape(secret))} {
		f.up.on(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Disposition", "attachment; filename*=UTF-8''"+value)
			w.Header().Set("Content-Language", "en")
			_, _ = io.WriteString(w, "x")
		})
		out := f.raw(f.addr, request("GET /v1/invoices/7"))
		require.Equal(t, 200, out.StatusCode)
		require.Empty(t, out.Header.Get("Content-Disposition"), value)
		require.Equal(t, "en", out.Header.Get("Content-Language"), "control")
	}
}

// TestTheLengthOfNoBodyIsNoMatter.
func TestTheLengthOfNoBodyIsNoMatter(t *testing.T) {
	f := proxied(t)
	f.up.on(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", fmt.Sprint(17<<20)) })
	require.Equal(t, 200, f.raw(f.addr, request("HEAD /v1/invoices/7")).StatusCode)
	require.Equal(t, 502, f.raw(f.addr, request("GET /v1/invoices/7")).StatusCode, "control")
}

// TestNamesThatAreTakenForOthers: by systems that trim, cut or map the names of parameters, or normalise paths.
func TestNamesThatAreTakenForOthers(t *testing.T) {
	f := proxied(t)
	for _, q := range []string{
		"_method=PUT", ".method=PUT", "%20_method=PUT", "+_method=PUT", "_method%00x=PUT", "_method[]=PUT", "a=1&.method=PUT", "access.token=x",
		"x-http-method-override=1", "X_HTTP_METHOD_OVERRIDE=PUT", "+access_token=x", "_method%5B%5D=PUT",
	} {
		f.refuses(f.addr, request("GET /v1/invoices/7?"+q), 400, "query is malformed")
	}
	for _, segment := range []string{"%E2%84%80", "%E2%84%86", "%EF%B8%B0", "%EF%B8%99", "%EF%B8%94"} {
		f.refuses(f.addr, request("GET /files/"+segment+"/a"), 400, "one plain spelling")
	}
	require.Equal(t, 200, f.raw(f.addr, request("GET /files/%C3%A9/a?method=1&x[]=2")).StatusCode, "control")
}

// hanging is a store that may not answer.
type hanging struct {
	store.Store
	on atomic.Bool
}

func (h *hanging) Get(ctx context.Context, issuer string, ids []lineage.ID) ([]store.Entry, error) {
	if h.on.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return h.Store.Get(ctx, issuer, ids)
}

// TestAStreamIsCutWhereTheStoreDoesNotAnswer: as where it fails.
func TestAStreamIsCutWhereTheStoreDoesNotAnswer(t *testing.T) {
	var h *hanging
	f := proxied(t, func(w *world, _ *broker.ProxyConfig) {
		h = &hanging{Store: w.store}
		w.store = h
		w.restart()
	})
	s := streaming(f)
	f.clock.Add(time.Second)
	s.says("data: 2\n")
	h.on.Store(true)
	require.Eventually(t, func() bool {
		f.clock.Add(time.Second)
		select {
		case <-s.gone:
			return true
		default:
			return false
		}
	}, time.Minute, time.Millisecond)
}

// renewer is a provider of tokens that can be prolonged by others.
type renewer struct {
	mu    sync.Mutex
	live  map[string]bool
	w     *world
	after func()
}

func (r *renewer) Fetch(context.Context, tb.Lease) (broker.Issued, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := fmt.Sprint("token-", len(r.live))
	r.live[name] = true
	return broker.Issued{
		Secret: broker.NewSecret(map[string]string{"token": name}), Handle: []byte(name), Expires: r.w.clock.Now().Add(90 * time.Second),
	}, nil
}

func (r *renewer) Renew(ctx context.Context, l tb.Lease) (broker.Issued, error) {
	out, err := r.Fetch(ctx, l)
	r.after()
	return out, err
}

func (r *renewer) Revoke(_ context.Context, l tb.Lease) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(l.Handle) > 0 {
		r.live[string(l.Handle)] = false
	}
	return nil
}

// TestWhatARenewalMakesTooLateIsTakenBack: the lease was cut while the provider made it.
func TestWhatARenewalMakesTooLateIsTakenBack(t *testing.T) {
	for name, then := range map[string]func(*world){
		"cut": func(*world) {}, "cut, and being taken back": (*world).sweep,
	} {
		t.Run(name, func(t *testing.T) {
			r := &renewer{live: map[string]bool{}}
			w := newWorld(t, func(w *world) { w.cfg.Providers = map[string]broker.Provider{"erp": r} })
			r.w = w
			tok := w.task("bot")
			w.secretOf(w.lease(tok))
			other := w.node()
			r.after = func() {
				w.cut("token:" + tok.ID.String())
				if name != "cut" {
					require.NoError(t, other.Sweep(w.ctx))
				}
			}
			w.clock.Add(70 * time.Second)
			w.sweep()
			w.clock.Add(time.Second)
			w.sweep()
			then(w)
			require.Len(t, r.live, 2)
			require.False(t, r.live["token-1"], "what the renewal made")
			require.Empty(t, w.open())
		})
	}
}

func TestWhatCannotBeNarrowedIsNotDelivered(t *testing.T) {
	u := newForeign(t)
	w, _ := vaulting(t, u, func(c *broker.OAuthConfig) { c.Broad = true })
	req := asking(w.task("bot"), "export")
	_, err := w.Lease(w.ctx, req)
	require.NoError(t, err, "control")
	req.Deliver = true
	_, err = w.Lease(w.ctx, req)
	require.ErrorIs(t, err, tb.ErrDenied)
	require.ErrorContains(t, err, "what cannot be narrowed is not delivered")
}
