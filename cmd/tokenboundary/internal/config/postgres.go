package config

import (
	"time"

	"github.com/tokenboundary/tokenboundary/internal/yamldoc"
	"github.com/tokenboundary/tokenboundary/store/postgres"
)

// Postgres says which PostgreSQL database keeps the state, and how it is used.
type Postgres struct {
	DSN     Secret // the connection string
	Migrate bool   // bring the schema up to date at the start, and keep partitions ahead
	Options postgres.Options
}

// The bounds of what can be said of a database.
const (
	maxDSN   = 8 << 10
	maxConns = 10_000
)

// postgres reads which database it is. That the connection string can be used is for the store to say.
func (r *reader) postgres(v value) *Postgres {
	p := &Postgres{Migrate: true}
	found := r.object(v, fields{
		"dsn":             into(&p.DSN, func(v value) Secret { return Secret(r.text(v)) }),
		"dsn_file":        into(&p.DSN, r.dsnFile),
		"schema":          into(&p.Options.Schema, r.text),
		"pooled":          into(&p.Options.Pooled, r.boolean),
		"listen":          into(&p.Options.Listen, func(v value) postgres.ConnString { return postgres.ConnString(r.text(v)) }),
		"listen_file":     into(&p.Options.Listen, func(v value) postgres.ConnString { return postgres.ConnString(r.dsnFile(v)) }),
		"silent":          into(&p.Options.Silent, r.boolean),
		"migrate":         into(&p.Migrate, r.boolean),
		"max_connections": into(&p.Options.MaxConns, func(v value) int32 { return r.count(v, maxConns) }),
		"timeout":         into(&p.Options.Timeout, func(v value) time.Duration { return r.duration(v, 100*time.Millisecond) }),
	})
	either := func(key string) (inline, file bool) {
		_, inline = found[key]
		_, file = found[key+"_file"]
		return inline, file
	}
	if inline, file := either("dsn"); inline == file {
		r.fail(v, "exactly one of dsn and dsn_file is required")
	}
	switch inline, file := either("listen"); {
	case inline && file:
		r.fail(v, "only one of listen and listen_file can be given")
	case p.Options.Silent && (inline || file):
		r.fail(v, "silent leaves nothing to listen to: give listen, or silent, or neither")
	}
	return p
}

func (r *reader) dsnFile(v value) Secret {
	s := r.content(v, maxDSN)
	if s == "" {
		r.fail(v, "the file is empty")
	}
	if len(s) > maxDSN {
		r.fail(v, "the file is longer than %d bytes", maxDSN)
	}
	return Secret(s)
}

// boolean reads true or false.
func (r *reader) boolean(v value) bool {
	s := v.node.Value
	if !yamldoc.Is(v.node, "!!bool") || s != "true" && s != "false" {
		r.fail(v, "must be true or false")
	}
	return s == "true"
}

// count reads a whole number from one to most.
func (r *reader) count(v value, most int32) (n int32) {
	if !yamldoc.Is(v.node, "!!int") || v.node.Decode(&n) != nil || n < 1 || n > most {
		r.fail(v, "must be a whole number from 1 to %d", most)
	}
	return n
}
