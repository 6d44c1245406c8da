package config

import (
	"encoding/json"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/internal/yamldoc"
)

// config reads the whole document.
func (r *reader) config(top value) *Config {
	c := &Config{Lifetimes: tokenboundary.Lifetimes{ClockLeeway: defaultLeeway}}
	found := r.object(top, fields{
		"issuer":    into(&c.Issuer, r.issuer),
		"listen":    into(&c.Listen, r.listen),
		"store":     func(v value) { r.store(v, &c.Store) },
		"policies":  into(&c.Policies, r.directory),
		"shadow":    into(&c.Shadow, r.directory),
		"metrics":   func(v value) { r.object(v, fields{"listen": into(&c.Metrics, r.listen)}, "listen") },
		"signing":   func(v value) { r.signing(v, &c.Signing) },
		"lifetimes": func(v value) { r.lifetimes(v, c) },
		"retention": func(v value) { r.retention(v, &c.Retention) },
		"env":       func(v value) { r.env(v, c) },
		"trust":     func(v value) { r.list(v, func(e value) { r.trust(e, c) }) },
		"clients":   func(v value) { r.list(v, func(e value) { r.client(e, c) }) },
		"brokers":   func(v value) { r.list(v, func(e value) { r.broker(e, c) }) },
	}, "issuer", "listen", "store", "policies", "signing", "clients")
	for _, set := range []struct{ key, dir string }{{"policies", c.Policies}, {"shadow", c.Shadow}} {
		r.separate(found["signing"], "signing.dir", c.Signing.Dir, set.key, set.dir)
		r.separate(found["store"], "store.bolt.path", c.Store.Bolt, set.key, set.dir)
	}
	r.brokered(c)
	r.separate(found["shadow"], "shadow", c.Shadow, "policies", c.Policies)
	r.separate(found["policies"], "policies", c.Policies, "shadow", c.Shadow)
	return c
}

// separate refuses what is not a policy among the policies of a set: it would be taken for one, and many may read them.
func (r *reader) separate(at value, key, path, set, dir string) {
	if r.err != nil || path == "" || dir == "" {
		return
	}
	up := ".." + string(filepath.Separator)
	if rel, err := filepath.Rel(dir, path); err == nil && rel != ".." && !strings.HasPrefix(rel, up) {
		r.fail(value{at.node, key}, "must not be inside %s", set)
	}
}

// issuer reads an https URL, or an http one on a loopback host, under which endpoints can hang.
func (r *reader) issuer(v value) string {
	s := r.name(v)
	if s == "" {
		return ""
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		r.fail(v, "must be an absolute http or https URL")
	case u.User != nil || strings.ContainsAny(s, "?#"):
		r.fail(v, "must have neither user information nor query nor fragment")
	case u.Scheme == "http" && !canon.Loopback(u.Hostname()):
		r.fail(v, "must be https: plain http is for loopback hosts only")
	case strings.HasSuffix(s, "/"):
		r.fail(v, "must not end in a slash")
	default:
		if c, err := canon.Resource(s); err != nil || c != s {
			r.fail(v, "must be in its one spelling: lower-case scheme and host, no default port, no dot segment")
		}
	}
	return s
}

// listen reads host:port. Port 0 lets the system choose.
func (r *reader) listen(v value) string {
	s := r.text(v)
	if s == "" {
		return ""
	}
	host, port, err := net.SplitHostPort(s)
	if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || host == "" || strconv.FormatUint(n, 10) != port {
		r.fail(v, "must be host:port, with 0.0.0.0 or [::] for every address")
	}
	return s
}

func (r *reader) store(v value, s *Store) {
	s.Place = r.place(v)
	r.one(v, "store", fields{
		"memory":   func(v value) { r.object(v, fields{}) },
		"bolt":     func(v value) { r.object(v, fields{"path": into(&s.Bolt, r.path)}, "path") },
		"postgres": into(&s.Postgres, r.postgres),
		"nats":     func(v value) { r.fail(v, "this store is not supported yet") },
	})
}

func (r *reader) signing(v value, s *Signing) {
	*s = Signing{Alg: "ES256", Place: r.place(v)}
	r.object(v, fields{
		"alg": into(&s.Alg, func(v value) string { return r.choice(v, "ES256", "EdDSA", "RS256", "PS256") }),
		"dir": into(&s.Dir, func(v value) string {
			path := r.path(v)
			if info, err := os.Stat(path); r.err == nil && err == nil && !info.IsDir() {
				r.fail(v, "%s is not a directory", path)
			}
			return path
		}),
	}, "dir")
}

// How far clocks are believed to differ, where nothing is said and at most. Identity sources have no default of their
// own, and must not differ from the Governor.
const (
	defaultLeeway = 5 * time.Second
	maxLeeway     = 5 * time.Minute
)

func (r *reader) lifetimes(v value, c *Config) {
	positive := func(v value) time.Duration { return r.duration(v, time.Second) }
	l := &c.Lifetimes
	found := r.object(v, fields{
		"access_token":  into(&l.AccessToken, positive),
		"task":          into(&l.Task, positive),
		"refresh_token": into(&l.RefreshToken, positive),
		"refresh_idle":  into(&l.RefreshIdle, positive),
		"refresh_grace": into(&l.RefreshGrace, func(v value) time.Duration { return r.duration(v, 0) }),
		"approval":      into(&l.Approval, positive),
		"clock_leeway": into(&l.ClockLeeway, func(v value) time.Duration {
			d := r.duration(v, 0)
			if d > maxLeeway {
				r.fail(v, "must be at most %s", maxLeeway)
			}
			return max(d, time.Millisecond) // the precision of records; zero would mean the default
		}),
	})
	within := func(key string, d time.Duration) {
		if l.RefreshToken > 0 && d > l.RefreshToken {
			r.fail(found[key], "is longer than refresh_token")
		}
	}
	within("refresh_idle", l.RefreshIdle)
	within("refresh_grace", l.RefreshGrace)
}

// leastKept is for how long what is over is kept at least, where it is not kept for good.
const leastKept = time.Minute

func (r *reader) retention(v value, to *tokenboundary.Retention) {
	kept := func(v value) time.Duration { return r.duration(v, leastKept) }
	r.object(v, fields{"keep": into(&to.Keep, kept), "evidence": into(&to.Evidence, kept)}, "keep")
}

// maxEnv is the largest env in bytes of JSON.
const maxEnv = 32 << 10

func (r *reader) env(v value, c *Config) {
	if v.node.Kind != yaml.MappingNode {
		r.fail(v, "must be a mapping")
		return
	}
	c.Env, _ = r.data(v).(map[string]any)
	if raw, err := json.Marshal(c.Env); r.err == nil && (err != nil || len(raw) > maxEnv) {
		r.fail(v, "is longer than %d bytes", maxEnv)
	}
}

// data reads plain data: what JSON can say, without null.
func (r *reader) data(v value) any {
	switch {
	case r.err != nil:
		return nil
	case v.node.Kind == yaml.MappingNode:
		m := map[string]any{}
		for k, node := range yamldoc.Pairs(v.node) {
			m[k.Value] = r.data(v.at(k.Value, node))
		}
		return m
	case v.node.Kind == yaml.SequenceNode:
		list := []any{}
		r.list(v, func(e value) { list = append(list, r.data(e)) })
		return list
	}
	return r.scalar(v)
}

// scalar reads a string, a boolean or a number that JSON keeps exactly.
func (r *reader) scalar(v value) any {
	var err error
	switch v.node.ShortTag() {
	case "!!str":
		return v.node.Value
	case "!!bool":
		var b bool
		err = v.node.Decode(&b)
		if err == nil {
			return b
		}
	case "!!int":
		var n int64
		if err = v.node.Decode(&n); err == nil && n >= -1<<53 && n <= 1<<53 {
			return n
		}
	case "!!float":
		var f float64
		if err = v.node.Decode(&f); err == nil && f-f == 0 {
			return f
		}
	}
	r.fail(v, "must be a string, a boolean or a finite number; a date or the like goes in quotes")
	return nil
}
