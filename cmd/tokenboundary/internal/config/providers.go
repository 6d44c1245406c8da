package config

import (
	"strings"

	"github.com/tokenboundary/tokenboundary/broker"
)

// Provider says how the credentials of a connection are had: by the one of its fields that is set.
type Provider struct {
	Files   map[string]string // file of each value
	Environ map[string]string // environment variable of each value
	OAuth   *OAuth
	Vault   *Vault
	Place
}

// seals reports whether something is kept at rest that has to be sealed.
func (p Provider) seals() bool {
	return p.OAuth != nil || p.Vault != nil && p.Vault.Config.Kind == broker.VaultDynamic
}

// OAuth says how access tokens of another authorisation server are had.
type OAuth struct {
	Secret  Secret // of the client there; empty for none
	Refresh Secret // the refresh token that is deposited at the start
	CA      string // as of a Proxy
	// Config has what stands in the configuration: TokenURL, RevocationURL, ClientID, Scopes, Broad.
	Config broker.OAuthConfig `json:"-"`
}

// Vault says which secrets of an OpenBao or a Vault are had, and how the broker logs in there.
type Vault struct {
	CA string // as of a Proxy
	// Method is how the broker logs in: jwt, approle or token. File has what it takes.
	Method, File string
	// Client and Resource are, in place of File, of a token that the boundary issues to that client for that resource.
	Client, Resource string
	// Config has what stands in the configuration: all but TLS and the functions of Login.
	Config broker.VaultConfig `json:"-"`
}

func (r *reader) provider(v value) Provider {
	p := Provider{Place: r.place(v)}
	values := func(into *map[string]string, read func(value) string) func(value) {
		return func(v value) {
			*into = map[string]string{}
			r.mapping(v, func(name string, v value) { (*into)[name] = read(v) })
			if len(*into) == 0 {
				r.fail(v, "is empty")
			}
		}
	}
	r.one(v, "provider", fields{
		"files": values(&p.Files, r.existing), "environ": values(&p.Environ, r.name), "oauth": into(&p.OAuth, r.oauth),
		"vault": into(&p.Vault, r.vault),
	})
	return p
}

func (r *reader) oauth(v value) *OAuth {
	o := &OAuth{}
	r.object(v, fields{
		"token_endpoint":      into(&o.Config.TokenURL, r.uri),
		"revocation_endpoint": into(&o.Config.RevocationURL, r.uri),
		"client_id":           into(&o.Config.ClientID, r.text),
		"client_secret_file":  into(&o.Secret, r.foreign),
		"refresh_token_file":  into(&o.Refresh, r.foreign),
		"ca_file":             into(&o.CA, r.existing),
		"broad":               into(&o.Config.Broad, r.boolean),
		"scopes": func(v value) {
			o.Config.Scopes = map[string][]string{}
			r.mapping(v, func(name string, v value) {
				var theirs []string
				r.names(&theirs)(v)
				o.Config.Scopes[name] = theirs
			})
		},
	}, "token_endpoint", "client_id", "refresh_token_file")
	return o
}

// maxForeign is the longest secret that somebody else has made, in bytes.
const maxForeign = 8 << 10

// foreign reads the secret in a file, which somebody else has made.
func (r *reader) foreign(v value) Secret {
	s := r.content(v, maxForeign)
	if s == "" || len(s) > maxForeign {
		r.fail(v, "the secret has to have between 1 and %d bytes", maxForeign)
	}
	return Secret(s)
}

func (r *reader) vault(v value) *Vault {
	t := &Vault{}
	c := &t.Config
	found := r.object(v, fields{
		"address":   into(&c.Address, r.uri),
		"namespace": into(&c.Namespace, r.text),
		"ca_file":   into(&t.CA, r.existing),
		"kind": func(v value) {
			c.Kind = broker.VaultKind(r.choice(v, string(broker.VaultDynamic), string(broker.VaultKV)))
		},
		"path":       into(&c.Path, r.text),
		"paths":      into(&c.Paths, r.texts),
		"fields":     into(&c.Fields, r.texts),
		"token_role": into(&c.TokenRole, r.text),
		"journal":    into(&c.Journal, r.text),
		"login":      func(v value) { r.login(v, t) },
	}, "address", "kind", "login")
	if _, one := found["path"]; one == (len(c.Paths) > 0) {
		r.fail(v, "exactly one of path and paths is required")
	}
	return t
}

// texts reads a mapping of names to strings.
func (r *reader) texts(v value) map[string]string {
	out := map[string]string{}
	r.mapping(v, func(name string, v value) { out[name] = r.text(v) })
	return out
}

// login reads how a broker logs in to its vault.
func (r *reader) login(v value, t *Vault) {
	l := &t.Config.Login
	mount, role, file := into(&l.Mount, r.text), into(&l.Role, r.text), into(&t.File, r.existing)
	method := func(known fields, required ...string) func(value) {
		return func(v value) { t.Method = v.key[strings.LastIndexByte(v.key, '.')+1:]; r.object(v, known, required...) }
	}
	r.one(v, "method", fields{
		"approle": method(fields{"mount": mount, "role": role, "file": file}, "role", "file"),
		"token":   method(fields{"file": file}, "file"),
		"jwt": func(v value) {
			t.Method = "jwt"
			found := r.object(v, fields{
				"mount": mount, "role": role, "file": file,
				"client": into(&t.Client, r.name), "resource": into(&t.Resource, r.resource),
			}, "role")
			_, ours := found["client"]
			_, to := found["resource"]
			if _, theirs := found["file"]; theirs == ours || ours != to {
				r.fail(v, "either file or both client and resource are required")
			}
		},
	})
}
