package broker

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// ProxyConfig is what a Proxy is made of. Broker, Upstream, Routes and Inject are required.
type ProxyConfig struct {
	// Broker leases the credentials. Its Run must be running.
	Broker *Broker
	// Connection is the connection of which credentials are leased: tokens of any other are refused. It may be empty where
	// the broker's client has one only.
	Connection string
	// Upstream is the system behind the proxy: https, or http on a loopback host, and no more. It has no path: what is asked for there is the path that
	// was decided on.
	Upstream *url.URL
	// Routes are the requests that are let through. None: nothing is.
	Routes []Route
	// Inject are the headers that are made of the credential, by their names: a text in which {name} stands for that value of
	// the secret, as "Bearer {token}" does. "Basic {username}:{password}" is encoded as RFC 7617, section 2, says. None can be
	// the URL.
	Inject map[string]string
	// RequestHeaders and ResponseHeaders pass besides those that always do, which are what describes a body, what is
	// accepted, and conditions. No other header passes.
	RequestHeaders, ResponseHeaders []string
	// MaxRequest and MaxResponse are the longest bodies, in bytes. Zero: 1 MiB and 16 MiB. A stream counts as one body.
	MaxRequest, MaxResponse int64
	// Timeout is how long the system may take until the head of its answer. Zero: 30 s; at most 10 min.
	Timeout time.Duration
	// TLS is how an https system is authenticated. Nil: by the certificates of the machine.
	TLS *tls.Config
	// Proofs verifies proofs of possession (tokenboundary.TypeDPoP, RFC 9449, section 4.3) with all that they say but ath,
	// which is compared here: identity.DPoP, for a resource. Nil: key-bound tokens are refused. A proof is
	// good once for all proxies of the Broker; another process, and this one after a restart, does not know of it.
	Proofs tokenboundary.IdentitySource
	// ProofAlgs are the algorithms that Proofs accepts, for challenges.
	ProofAlgs []string
	// Origin is the scheme and authority under which agents reach the proxy, where they are not those of the broker's
	// resource: what the htu of a proof begins with.
	Origin string
}

// The defaults and bounds of ProxyConfig.
const (
	defaultRequest  = 1 << 20
	defaultResponse = 16 << 20
	defaultAnswer   = 30 * time.Second
	maxAnswer       = 10 * time.Minute
	dialTimeout     = 10 * time.Second
)

// NewProxy returns a Proxy. The error names the field of cfg that it cannot work with.
func NewProxy(cfg ProxyConfig) (*Proxy, error) {
	if cfg.Broker == nil {
		return nil, errors.New("broker: ProxyConfig.Broker is required")
	}
	p := &Proxy{b: cfg.Broker, cfg: cfg, client: cfg.Broker.cfg.Client}
	p.uses.b = p.b
	if err := p.configure(); err != nil {
		return nil, err
	}
	p.transport = &http.Transport{
		DialContext:     (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSClientConfig: p.cfg.TLS, TLSHandshakeTimeout: dialTimeout, ResponseHeaderTimeout: p.cfg.Timeout,
		DisableCompression: true, MaxIdleConnsPerHost: 256, IdleConnTimeout: 90 * time.Second, MaxResponseHeaderBytes: 64 << 10,
	}
	return p, nil
}

// configure checks the configuration, and reads what of it has to be read.
func (p *Proxy) configure() (err error) {
	cfg, client := &p.cfg, &p.client
	if cfg.Connection == "" && len(client.Connections) == 1 {
		cfg.Connection = client.Connections[0]
	}
	client.Connections = []string{cfg.Connection}
	up := cfg.Upstream
	switch {
	case p.b.cfg.Providers[cfg.Connection] == nil:
		return errors.New("broker: ProxyConfig.Connection must be one of the broker's")
	case up == nil || up.Scheme != "http" && up.Scheme != "https" || up.Hostname() == "" || up.Path != "" && up.Path != "/" ||
		up.RawQuery != "" || up.Fragment != "" || up.User != nil || up.Opaque != "":
		return errors.New("broker: ProxyConfig.Upstream must be the URL of an http or https host, without a path")
	case up.Scheme == "http" && !canon.Loopback(up.Hostname()):
		return errors.New("broker: ProxyConfig.Upstream must be https: plain http is for loopback hosts only")
	case len(cfg.Inject) == 0:
		return errors.New("broker: ProxyConfig.Inject is required")
	case cfg.MaxRequest < 0 || cfg.MaxResponse < 0:
		return errors.New("broker: ProxyConfig.MaxRequest or MaxResponse is negative")
	case cfg.Timeout < 0 || cfg.Timeout > maxAnswer:
		return fmt.Errorf("broker: ProxyConfig.Timeout must be between 0 and %s", maxAnswer)
	}
	cfg.Upstream = &url.URL{Scheme: up.Scheme, Host: up.Host}
	cfg.MaxRequest, cfg.MaxResponse = cmp.Or(cfg.MaxRequest, defaultRequest), cmp.Or(cfg.MaxResponse, defaultResponse)
	cfg.Timeout, cfg.ProofAlgs = cmp.Or(cfg.Timeout, defaultAnswer), slices.Clone(cfg.ProofAlgs)
	if cfg.TLS != nil {
		cfg.TLS = cfg.TLS.Clone()
	}
	if u, err := url.Parse(client.Resource); cfg.Origin == "" && err == nil && u.Host != "" {
		cfg.Origin = u.Scheme + "://" + u.Host
	}
	if p.routes, err = readRoutes(cfg.Routes); err != nil {
		return err
	}
	if p.inject, err = readInjections(cfg.Inject); err != nil {
		return err
	}
	if p.inward, err = passing("RequestHeaders", inward, cfg.RequestHeaders); err != nil {
		return err
	}
	p.outward, err = passing("ResponseHeaders", outward, cfg.ResponseHeaders)
	return err
}
