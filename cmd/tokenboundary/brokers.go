package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/broker"
	"github.com/tokenboundary/tokenboundary/cmd/tokenboundary/internal/config"
	"github.com/tokenboundary/tokenboundary/identity"
)

// details are the types of authorization_details that the configuration gives a meaning to.
func details(cfg *config.Config) map[string]tokenboundary.DetailType {
	for _, b := range cfg.Brokers {
		if len(b.Proxies) > 0 {
			return map[string]tokenboundary.DetailType{broker.HTTPRequestType: broker.HTTPRequests{}}
		}
	}
	return nil
}

// brokered is a broker that runs beside the boundary, with the proxies before its systems.
type brokered struct {
	*broker.Broker
	proxies []proxied
	log     *slog.Logger
}

// proxied is what answers at an address: a proxy, or for a gateway that forwards by itself.
type proxied struct {
	http.Handler
	name, listen string
	flush        func(context.Context) error // of the uses that wait to be reported
}

// brokers makes the brokers that are configured.
func brokers(ctx context.Context, cfg *config.Config, g *tokenboundary.Governor, clk clock.Clock, log *slog.Logger) (out []*brokered, err error) {
	for _, c := range cfg.Brokers {
		b, err := brokerOf(ctx, c, cfg, g, clk, log)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

func brokerOf(ctx context.Context, c config.Broker, cfg *config.Config, g *tokenboundary.Governor, clk clock.Clock, log *slog.Logger) (*brokered, error) {
	all := broker.Config{Governor: g, Providers: map[string]broker.Provider{}, Clock: clk, Logger: log}
	for _, cl := range cfg.Clients {
		if cl.ID == c.Client {
			all.Client = cl.Client
		}
	}
	if c.Keys != "" {
		var err error
		if all.Sealer, err = broker.ReadSealer(c.Keys); err != nil {
			return nil, c.Errorf("sealing: %w", err)
		}
	}
	for connection, p := range c.Connections {
		made, err := provider(ctx, p, connection, all)
		if err != nil {
			return nil, p.Errorf("%w", err)
		}
		all.Providers[connection] = made
	}
	b, err := broker.New(all)
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	out := &brokered{Broker: b, log: log}
	for _, p := range c.Proxies {
		made, err := proxy(p, b, cfg, clk)
		if err != nil {
			return nil, p.Errorf("%w", err)
		}
		out.proxies = append(out.proxies, proxied{made, "proxy", p.Listen, made.Flush})
		if p.Forward == nil {
			continue
		}
		asked, err := forwardAuth(p.Forward, made)
		if err != nil {
			return nil, p.Errorf("forward_auth: %w", err)
		}
		out.proxies = append(out.proxies, proxied{asked, "forward_auth", p.Forward.Listen, made.Flush})
	}
	return out, nil
}

func proxy(p config.Proxy, b *broker.Broker, cfg *config.Config, clk clock.Clock) (*broker.Proxy, error) {
	all := p.Config
	all.Broker = b
	var err error
	if all.TLS, err = trusting(p.CA); err != nil {
		return nil, err
	}
	if binds(cfg) {
		proofs, err := identity.DPoP(identity.DPoPConfig{Resource: true, Leeway: cfg.Lifetimes.ClockLeeway, Clock: clk})
		if err != nil {
			return nil, err
		}
		all.Proofs, all.ProofAlgs = proofs, identity.DPoPAlgorithms()
	}
	return broker.NewProxy(all)
}

// forwardAuth returns what a gateway asks.
func forwardAuth(f *config.ForwardAuth, p *broker.Proxy) (http.Handler, error) {
	cfg := f.Config
	if f.Header != "" {
		cfg.Gateway = broker.GatewaySecret(f.Header, string(f.Secret))
	}
	return p.ForwardAuth(cfg)
}

// start runs a broker and its proxies until ctx ends or the returned function is called, which waits for the end.
func (b *brokered) start(ctx context.Context) (stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	stop = func() { cancel(); all.Wait() }
	for _, p := range b.proxies {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", p.listen)
		if err != nil {
			stop()
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		b.log.Info(p.name, p.name, listener.Addr().String())
		all.Go(func() { b.serve(ctx, p, listener) })
	}
	all.Go(func() { _ = b.Run(ctx) }) // it ends with ctx
	return stop, nil
}

// flushTime is how long uses that wait to be reported have at the end.
const flushTime = 2 * time.Second

// serve lets requests through until ctx ends. A connection is cut then: what uses it asks again.
func (b *brokered) serve(ctx context.Context, p proxied, listener net.Listener) {
	server := &http.Server{
		Handler: p, DisableGeneralOptionsHandler: true, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(b.log.Handler(), slog.LevelWarn),
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(broker.Strict(listener)); !errors.Is(err, http.ErrServerClosed) {
		b.log.Error("what listens has ended", "what", p.name, "cause", err)
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer cancel()
	if err := p.flush(limited); err != nil {
		b.log.Warn("uses were not reported", "cause", err)
	}
}
