package config

import (
	"cmp"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/broker"
	"github.com/tokenboundary/tokenboundary/internal/yamldoc"
)

// Broker is a broker that runs beside the boundary: it holds the credentials of systems that know nothing of tokens.
type Broker struct {
	Client      string              // id of its registration, of kind resource
	Keys        string              // file of the keys that seal what is kept; empty for none
	Connections map[string]Provider // by each connection of the registration
	Proxies     []Proxy
	Place
}

// Proxy is a proxy that uses the credentials of one connection.
type Proxy struct {
	Listen string // host:port
	CA     string // file of the certificates that the upstream's is issued by; empty: those of the system
	// Config has what stands in the configuration: Connection, Upstream, Routes, Inject, the headers that pass, and bounds.
	Config  broker.ProxyConfig `json:"-"`
	Forward *ForwardAuth       // nil: no gateway asks
	Place
}

// ForwardAuth is how a gateway that forwards by itself asks what the proxy would let through.
type ForwardAuth struct {
	Listen string // host:port
	Header string // in which the gateway sends Secret; empty: anybody may ask
	Secret Secret
	Config broker.ForwardConfig `json:"-"` // all but Gateway
}

// maxContent is the most that a proxy can be told to let through in one direction, in bytes.
const maxContent = 1 << 30

func (r *reader) broker(v value, c *Config) {
	b := Broker{Place: r.place(v), Connections: map[string]Provider{}}
	r.object(v, fields{
		"client":      into(&b.Client, r.name),
		"sealing":     func(v value) { r.object(v, fields{"key_file": into(&b.Keys, r.existing)}, "key_file") },
		"connections": func(v value) { r.mapping(v, func(name string, v value) { b.Connections[name] = r.provider(v) }) },
		"proxies":     func(v value) { r.list(v, func(e value) { b.Proxies = append(b.Proxies, r.proxy(e)) }) },
	}, "client", "connections")
	c.Brokers = append(c.Brokers, b)
}

// mapping reads a mapping of names.
func (r *reader) mapping(v value, read func(name string, v value)) {
	if v.node.Kind != yaml.MappingNode {
		r.fail(v, "must be a mapping")
		return
	}
	for k, node := range yamldoc.Pairs(v.node) {
		if e := v.at(k.Value, node); r.name(value{k, e.key}) != "" && r.err == nil {
			read(k.Value, e)
		}
	}
}

func (r *reader) proxy(v value) Proxy {
	p := Proxy{Place: r.place(v)}
	size := func(v value) int64 { return int64(r.count(v, maxContent)) }
	r.object(v, fields{
		"listen":           into(&p.Listen, r.listen),
		"connection":       into(&p.Config.Connection, r.name),
		"upstream":         into(&p.Config.Upstream, r.upstream),
		"ca_file":          into(&p.CA, r.existing),
		"routes":           func(v value) { r.list(v, func(e value) { p.Config.Routes = append(p.Config.Routes, r.route(e)) }) },
		"inject":           into(&p.Config.Inject, r.texts),
		"request_headers":  r.names(&p.Config.RequestHeaders),
		"response_headers": r.names(&p.Config.ResponseHeaders),
		"max_request":      into(&p.Config.MaxRequest, size),
		"max_response":     into(&p.Config.MaxResponse, size),
		"timeout":          into(&p.Config.Timeout, func(v value) time.Duration { return r.duration(v, time.Second) }),
		"origin":           into(&p.Config.Origin, r.uri),
		"forward_auth":     into(&p.Forward, r.forwardAuth),
	}, "listen", "upstream", "routes", "inject")
	return p
}

var forwardStyles = map[string]broker.ForwardStyle{
	"nginx": broker.ForwardNginx, "traefik": broker.ForwardTraefik, "envoy": broker.ForwardEnvoy,
}

func (r *reader) forwardAuth(v value) *ForwardAuth {
	f := &ForwardAuth{}
	found := r.object(v, fields{
		"listen":  into(&f.Listen, r.listen),
		"style":   func(v value) { f.Config.Style = forwardStyles[r.choice(v, "nginx", "traefik", "envoy")] },
		"prefix":  into(&f.Config.Prefix, r.text),
		"deliver": into(&f.Config.Deliver, r.boolean),
		"gateway": func(v value) {
			r.object(v, fields{"header": into(&f.Header, r.text), "secret_file": into(&f.Secret, r.secret)}, "header", "secret_file")
		},
	}, "listen", "style")
	if _, known := found["gateway"]; f.Config.Deliver && !known {
		r.fail(v, "deliver requires gateway: whoever may ask has the credentials")
	}
	return f
}

func (r *reader) route(v value) (out broker.Route) {
	r.object(v, fields{
		"methods": r.names(&out.Methods), "path": into(&out.Path, r.text), "scopes": r.names(&out.Scopes),
	}, "methods", "path", "scopes")
	return out
}

// upstream reads where a system that is behind a proxy is.
func (r *reader) upstream(v value) *url.URL {
	s := r.text(v)
	u, err := url.Parse(s)
	if s != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		r.fail(v, "must be an http or https URL")
	}
	return u
}

// brokered checks what brokers say against the clients.
func (r *reader) brokered(c *Config) {
	seen := map[string]bool{}
	for _, b := range c.Brokers {
		if r.err == nil {
			r.err = b.fits(c.Clients, seen[b.Client])
		}
		seen[b.Client] = true
	}
}

// fits checks a broker against its registration.
func (b Broker) fits(clients []Client, again bool) error {
	i := slices.IndexFunc(clients, func(c Client) bool { return c.ID == b.Client })
	at := func(key string) Place { return Place{b.File, b.Line, b.Key + "." + key} }
	switch {
	case again:
		return at("client").Errorf("another broker is this client")
	case i < 0 || clients[i].Kind != tokenboundary.KindResource:
		return at("client").Errorf("no client of kind resource has this id")
	}
	for _, name := range slices.Sorted(maps.Keys(b.Connections)) {
		p := b.Connections[name]
		if p.seals() && b.Keys == "" {
			return at("sealing").Errorf("is required by the connection %q", name)
		}
		if v := p.Vault; v != nil && v.Client != "" && !slices.ContainsFunc(clients, func(c Client) bool { return c.ID == v.Client }) {
			return p.Errorf("vault.login.jwt.client: no client has this id")
		}
	}
	known := slices.Clone(clients[i].Connections)
	slices.Sort(known)
	if had := slices.Sorted(maps.Keys(b.Connections)); !slices.Equal(had, known) {
		return at("connections").Errorf("must be the connections of the client, of which it has %s", cmp.Or(strings.Join(known, ", "), "none"))
	}
	for _, p := range b.Proxies {
		if c := p.Config.Connection; c == "" && len(known) != 1 || c != "" && !slices.Contains(known, c) {
			return p.Errorf("connection: must be one of those of the broker")
		}
	}
	return nil
}
