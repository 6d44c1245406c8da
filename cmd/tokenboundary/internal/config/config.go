// Package config reads the configuration of the server. It is strict: what it does not know, cannot find or cannot
// reconcile stops the start with one error that names the file, the line and the key.
package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/internal/yamldoc"
)

// Config is a whole configuration. Every path in it is absolute or relative to the working directory, every file it
// names was there when it was read.
type Config struct {
	Issuer    string // exact issuer
	Listen    string // host:port
	Store     Store
	Policies  string // directory
	Shadow    string // directory of a policy set on trial; empty for none
	Metrics   string // host:port where metrics are served; empty for nowhere
	Signing   Signing
	Lifetimes tokenboundary.Lifetimes
	Retention tokenboundary.Retention
	Env       map[string]any // first values of the facts that policies read as env
	Trust     []Trust        // in the order in which they are tried
	Clients   []Client
	Brokers   []Broker
}

// Store says where state is kept. The zero value is memory.
type Store struct {
	Bolt     string    // file of a bolt store; empty for another
	Postgres *Postgres // nil for another
	Place
}

// Durable reports whether the store outlives the process.
func (s Store) Durable() bool { return s.Bolt != "" || s.Postgres != nil }

// Signing says how tokens are signed.
type Signing struct {
	Alg string // JWS algorithm: ES256, EdDSA, RS256 or PS256
	Dir string // directory of the private keys; need not exist yet
	Place
}

// Keys says where the public keys of somebody else are. Exactly one field is set.
type Keys struct {
	File string // a JWKS document
	URI  string // where one is served
}

// Place is where a thing stands in the configuration.
type Place struct {
	File string
	Line int
	Key  string
}

// Errorf returns an error at p.
func (p Place) Errorf(format string, args ...any) error {
	return &Error{p, fmt.Errorf(format, args...)}
}

// Error is the one thing that is wrong with a configuration. It never contains a secret.
type Error struct {
	Place
	Err error
}

// Error names file, line and key.
func (e *Error) Error() string {
	s := e.File
	if e.Line > 0 {
		s = fmt.Sprintf("%s:%d", s, e.Line)
	}
	if e.Key != "" {
		s += ": " + e.Key
	}
	return s + ": " + e.Err.Error()
}

// Unwrap returns the problem without its place.
func (e *Error) Unwrap() error { return e.Err }

// limits bound a configuration file: thousands of clients, and env as deep as any other data.
var limits = yamldoc.Limits{Bytes: 1 << 20, Depth: canon.MaxNesting, Nodes: 200_000}

// Load reads the configuration in a file. Relative paths in it are relative to the file. Any error is an *Error.
func Load(path string) (*Config, error) {
	data, err := readFile(path, int64(limits.Bytes))
	if err != nil {
		return nil, &Error{Place{File: path}, err}
	}
	return Parse(path, data)
}

// Parse reads data as the configuration file at path. It opens the files that data names, and not path itself.
func Parse(path string, data []byte) (*Config, error) {
	root, bad := yamldoc.Parse(data, limits)
	if bad != nil {
		return nil, Place{path, bad.Line, bad.Key}.Errorf("%s", bad.Message)
	}
	r := &reader{file: path, dir: filepath.Dir(path)}
	c := r.config(value{root, ""})
	if r.err != nil {
		return nil, r.err
	}
	return c, nil
}

// readFile reads a regular file of at most limit bytes. Its errors do not repeat the path.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, cause(err)
	}
	defer f.Close() //nolint:errcheck // only read
	switch info, err := f.Stat(); {
	case err != nil:
		return nil, cause(err)
	case !info.Mode().IsRegular():
		return nil, errors.New("not a regular file")
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return nil, cause(err)
	case int64(len(data)) > limit:
		return nil, fmt.Errorf("longer than %d bytes", limit)
	}
	return data, nil
}

func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
