package config

import (
	"log/slog"
	"slices"
	"strings"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// Client is a registered client and how it authenticates.
type Client struct {
	tokenboundary.Client
	Auth Auth
	Place
}

// Auth is how a client authenticates: by the one of its fields that is set.
type Auth struct {
	Assertion *Keys  // private_key_jwt: the client's public keys
	Secret    Secret // client_secret_basic
}

// Secret is a client's secret, or what holds one. It hides itself in logs and in fmt.
type Secret string

const hidden = "[hidden]"

// String hides the secret.
func (Secret) String() string { return hidden }

// GoString hides the secret.
func (Secret) GoString() string { return hidden }

// LogValue hides the secret.
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText hides the secret.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// The bounds of a secret in bytes.
const (
	minSecret = 16
	maxSecret = 1024
)

var grants = map[string]tokenboundary.Grant{
	"client_credentials": tokenboundary.ClientCredentials,
	"token-exchange":     tokenboundary.Exchange,
	"refresh_token":      tokenboundary.Refresh,
}

func (r *reader) client(v value, c *Config) {
	cl := Client{Place: r.place(v)}
	found := r.object(v, fields{
		"id":          into(&cl.ID, r.name),
		"kind":        into(&cl.Kind, r.kind),
		"grants":      func(v value) { r.grants(v, &cl) },
		"connections": r.names(&cl.Connections),
		"actors":      func(v value) { r.names(&cl.Actors)(v); r.actors(v, cl.Actors) },
		"resource":    into(&cl.Resource, r.resource),
		"groups":      r.names(&cl.Groups),
		"person":      into(&cl.Person, r.name),
		"auth":        func(v value) { r.auth(v, &cl.Auth) },
		"dpop":        into(&cl.Binding, r.dpop),
	}, "id", "kind", "auth")
	if slices.ContainsFunc(c.Clients, func(o Client) bool { return o.ID == cl.ID }) {
		r.fail(found["id"], "another client has this id")
	}
	r.fits(found, v, cl)
	c.Clients = append(c.Clients, cl)
}

func (r *reader) kind(v value) tokenboundary.ClientKind {
	return tokenboundary.ClientKind(r.choice(v, string(tokenboundary.KindAgent), string(tokenboundary.KindWorkload),
		string(tokenboundary.KindHumanApp), string(tokenboundary.KindResource), string(tokenboundary.KindOperator)))
}

// fits refuses keys that mean nothing for a client of this kind.
func (r *reader) fits(found map[string]value, v value, cl Client) {
	only := func(kinds string, keys ...string) {
		for _, k := range keys {
			if at, ok := found[k]; ok {
				r.fail(at, "only a client of kind %s has it", kinds)
			}
		}
	}
	switch cl.Kind {
	case tokenboundary.KindResource, tokenboundary.KindOperator:
		only("agent, workload or human-app", "grants", "actors")
		if cl.Binding != tokenboundary.BindingOff {
			only("agent, workload or human-app", "dpop")
		}
	}
	if cl.Kind == tokenboundary.KindOperator {
		only("agent, workload, human-app or resource", "connections") // a resource leases credentials of them
	} else {
		only("operator", "person")
	}
	if _, ok := found["resource"]; cl.Kind != tokenboundary.KindResource {
		only("resource", "resource")
	} else if !ok {
		r.fail(v.at("resource", v.node), "is required for a client of kind resource")
	}
}

func (r *reader) grants(v value, cl *Client) {
	var names []string
	r.names(&names)(v)
	for i, name := range names {
		g, known := grants[name]
		if !known {
			r.fail(v.element(i), "a grant must be one of client_credentials, token-exchange, refresh_token")
		}
		cl.Grants = append(cl.Grants, g)
	}
}

// actors checks that "*" stands for whole path segments at the end, and nowhere else.
func (r *reader) actors(v value, patterns []string) {
	for i, p := range patterns {
		if rest, _ := strings.CutSuffix(p, "/*"); r.err == nil && (rest == "" || strings.Contains(rest, "*")) {
			r.fail(v.element(i), `"*" may only stand at the end, after "/"`)
		}
	}
}

// resource reads a resource indicator into the form in which it is compared.
func (r *reader) resource(v value) string {
	s := r.text(v)
	if s == "" {
		return ""
	}
	c, err := canon.Resource(s)
	if err != nil {
		r.fail(v, "%w", err)
	}
	return c
}

// dpop reads whether tokens are bound to a key that the client proves.
func (r *reader) dpop(v value) tokenboundary.Binding {
	if s := r.choice(v, "off", "optional", "required"); s != "off" {
		return tokenboundary.Binding(s)
	}
	return tokenboundary.BindingOff
}

func (r *reader) auth(v value, a *Auth) {
	r.one(v, "method", fields{
		"private_key_jwt": func(v value) {
			a.Assertion = &Keys{}
			r.oneKeys(v, r.object(v, fields{
				"jwks_file": into(&a.Assertion.File, r.existing),
				"jwks_uri":  into(&a.Assertion.URI, r.uri),
			}))
		},
		"client_secret_basic": func(v value) {
			r.object(v, fields{"secret_file": into(&a.Secret, r.secret)}, "secret_file")
		},
	})
}

// content reads a file of one line of at most limit bytes, without one trailing newline.
func (r *reader) content(v value, limit int64) string {
	path := r.existing(v)
	if r.err != nil {
		return ""
	}
	raw, err := readFile(path, limit+2)
	if err != nil {
		r.fail(v, "%s: %w", path, err)
		return ""
	}
	s := string(raw)
	if rest, found := strings.CutSuffix(s, "\n"); found {
		s = strings.TrimSuffix(rest, "\r")
	}
	return s
}

// secret reads the secret in a file.
func (r *reader) secret(v value) Secret {
	s := r.content(v, maxSecret)
	switch {
	case r.err != nil:
		return ""
	case len(s) < minSecret:
		r.fail(v, "the secret is shorter than %d bytes", minSecret)
	case len(s) > maxSecret:
		r.fail(v, "the secret is longer than %d bytes", maxSecret)
	}
	return Secret(s)
}

// uri reads where keys are served.
func (r *reader) uri(v value) string {
	s := r.text(v)
	if s == "" {
		return ""
	}
	if _, err := canon.SecureURL(s); err != nil {
		r.fail(v, "%w", err)
	}
	return s
}
