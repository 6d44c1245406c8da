package config

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Trust is an identity source: whose tokens are believed, and what they prove.
type Trust struct {
	Kind     string // oidc, spiffe or kubernetes
	Issuer   string // exact issuer of the tokens; of oidc and kubernetes
	Domain   string // trust domain; of spiffe
	Audience string // what aud must contain
	Keys     Keys   // of oidc and kubernetes
	Bundle   string // file of the trust bundle; of spiffe
	// Session is who sits behind a subject: human, agent or workload. Empty where the source says nothing.
	Session       string
	SubjectPrefix string        // put before every subject; of oidc and kubernetes
	MaxLifetime   time.Duration // of a token, at most; of kubernetes; zero where nothing is said
	Place
}

func (r *reader) trust(v value, c *Config) {
	t := Trust{}
	kind := func(name string, known fields, keys bool, required ...string) func(value) {
		return func(v value) {
			t.Kind, t.Place = name, r.place(v)
			found := r.object(v, known, required...)
			if keys {
				r.oneKeys(v, found)
			}
		}
	}
	audience, session := into(&t.Audience, r.name), into(&t.Session, r.session)
	file, uri := into(&t.Keys.File, r.existing), into(&t.Keys.URI, r.uri)
	r.one(v, "kind of source", fields{
		"oidc": kind("oidc", fields{
			"issuer": into(&t.Issuer, r.name), "audience": audience, "jwks_file": file, "jwks_uri": uri,
			"session": session, "subject_prefix": into(&t.SubjectPrefix, r.name),
		}, true, "issuer", "audience", "session"),
		"spiffe": kind("spiffe", fields{
			"trust_domain": into(&t.Domain, r.name), "audience": audience, "bundle_file": into(&t.Bundle, r.existing),
			"session": session,
		}, false, "trust_domain", "audience", "bundle_file"),
		"kubernetes": kind("kubernetes", fields{
			"issuer": into(&t.Issuer, r.name), "audience": audience, "jwks_file": file, "jwks_uri": uri,
			"subject_prefix": into(&t.SubjectPrefix, r.name),
			"max_lifetime":   into(&t.MaxLifetime, func(v value) time.Duration { return r.duration(v, time.Second) }),
		}, true, "issuer", "audience"),
	})
	c.Trust = append(c.Trust, t)
}

func (r *reader) session(v value) string { return r.choice(v, "human", "agent", "workload") }

// oneKeys checks that a mapping names its keys in exactly one way.
func (r *reader) oneKeys(v value, found map[string]value) {
	_, file := found["jwks_file"]
	_, uri := found["jwks_uri"]
	if file == uri {
		r.fail(v, "exactly one of jwks_file and jwks_uri is required")
	}
}

// path reads a path relative to the configuration file.
func (r *reader) path(v value) string {
	s := r.text(v)
	switch {
	case s == "":
		return ""
	case strings.ContainsRune(s, 0):
		r.fail(v, "is not a path")
		return ""
	case filepath.IsAbs(s):
		return filepath.Clean(s)
	}
	return filepath.Join(r.dir, s)
}

// existing reads the path of a file that is there.
func (r *reader) existing(v value) string {
	path := r.path(v)
	r.exists(v, path, false)
	return path
}

// directory reads the path of a directory that is there.
func (r *reader) directory(v value) string {
	path := r.path(v)
	r.exists(v, path, true)
	return path
}

func (r *reader) exists(v value, path string, dir bool) {
	if r.err != nil {
		return
	}
	switch info, err := os.Stat(path); {
	case err != nil:
		r.fail(v, "%s: %w", path, cause(err))
	case dir && !info.IsDir():
		r.fail(v, "%s is not a directory", path)
	case !dir && !info.Mode().IsRegular():
		r.fail(v, "%s is not a regular file", path)
	}
}
