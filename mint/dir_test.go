package mint

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/store/memory"
)

func TestDirectoryIsPrivate(t *testing.T) {
	w := newWorld(t)
	m := w.open()
	info, err := os.Stat(w.dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	entries, err := os.ReadDir(w.dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing temporary is left")
	require.Equal(t, w.key(m)+".pem", entries[0].Name())
	info, err = entries[0].Info()
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestRestart(t *testing.T) {
	for _, alg := range algorithms {
		t.Run(alg, func(t *testing.T) {
			w := newWorld(t)
			with := func(c *Config) { c.Alg = alg }
			m := w.open(with)
			kid, raw := w.key(m), w.token(m)
			again := w.open(with)
			require.Equal(t, kid, w.key(again))
			require.Equal(t, []string{kid}, w.published(again), "nothing is published twice")
			w.verifies(again, raw)
			w.verifies(m, w.token(again))
		})
	}
}

func TestRestartBetweenRotationAndUse(t *testing.T) {
	w := newWorld(t)
	m := w.open()
	old := w.key(m)
	next, err := m.Rotate(t.Context())
	require.NoError(t, err)
	m = w.open()
	require.Equal(t, old, w.key(m))
	w.clock.Add(5 * time.Minute)
	require.Equal(t, next, w.key(m))
	w.clock.Add(signGrace)
	m = w.open()
	require.Equal(t, next, w.key(m))
	kids, err := keyDir(w.dir).kids()
	require.NoError(t, err)
	require.Equal(t, []string{next}, kids, "the secret of a retired key is destroyed")
}

func TestRestartWithAnotherAlgorithm(t *testing.T) {
	w := newWorld(t)
	old := w.key(w.open())
	m := w.open(func(c *Config) { c.Alg = EdDSA })
	require.Equal(t, old, w.key(m), "the new key is published ahead like any other")
	require.Len(t, w.published(m), 2)
	w.clock.Add(5 * time.Minute)
	raw := w.token(m)
	header, _ := parts(t, raw)
	require.Contains(t, header, `"alg":"EdDSA"`)
	w.verifies(m, raw)
}

func TestDirectoryWithAnEmptyStore(t *testing.T) {
	w := newWorld(t)
	kid, raw := w.key(w.open()), w.token(w.open())
	w.store.Store = memory.New()
	m := w.open()
	require.Equal(t, kid, w.key(m), "what the directory holds is published")
	w.verifies(m, raw)
}

func TestKeyPutIntoTheDirectory(t *testing.T) {
	w := newWorld(t)
	m := w.open()
	old := w.key(m)
	elsewhere := newWorld(t)
	put := elsewhere.key(elsewhere.open())
	content, err := os.ReadFile(keyDir(elsewhere.dir).file(put))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(keyDir(w.dir).file(put), content, 0o600))
	m = w.open()
	require.Equal(t, old, w.key(m))
	require.Equal(t, []string{old, put}, w.published(m))
	w.clock.Add(5 * time.Minute)
	require.Equal(t, put, w.key(m))
}

func TestDirectoryRefusals(t *testing.T) {
	rewrite := func(edit func([]byte) []byte) func(*testing.T, string) {
		return func(t *testing.T, file string) {
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(file, edit(content), 0o600))
		}
	}
	chmod := func(mode os.FileMode) func(*testing.T, string) {
		return func(t *testing.T, file string) { require.NoError(t, os.Chmod(file, mode)) }
	}
	for name, c := range map[string]struct {
		spoil func(t *testing.T, file string)
		want  string // empty: accepted
	}{
		"as it was":          {func(*testing.T, string) {}, ""},
		"read only":          {chmod(0o400), ""},
		"group can read":     {chmod(0o640), "mode 0600 is expected"},
		"others can read":    {chmod(0o604), "mode 0600 is expected"},
		"group can write":    {chmod(0o620), "mode 0600 is expected"},
		"others can run":     {chmod(0o601), "mode 0600 is expected"},
		"directory is open":  {func(t *testing.T, f string) { chmod(0o770)(t, filepath.Dir(f)) }, "mode 0700 is expected"},
		"directory readable": {func(t *testing.T, f string) { chmod(0o755)(t, filepath.Dir(f)) }, ""},
		"empty":              {rewrite(func([]byte) []byte { return nil }), "not one PEM block"},
		"cut off":            {rewrite(func(b []byte) []byte { return b[:len(b)/2] }), "not one PEM block"},
		"two keys":           {rewrite(func(b []byte) []byte { return append(b, b...) }), "not one PEM block"},
		"too long":           {rewrite(func(b []byte) []byte { return append(b, make([]byte, maxPEM)...) }), "too long"},
		"old form": {rewrite(func(b []byte) []byte {
			return []byte(strings.ReplaceAll(string(b), "PRIVATE KEY", "EC PRIVATE KEY"))
		}), "type PRIVATE KEY"},
		"not PKCS#8": {rewrite(func([]byte) []byte {
			return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: []byte("secret-canary")})
		}), "not a PKCS#8 key"},
		"cannot sign": {rewrite(func([]byte) []byte {
			k, err := x25519Key()
			require.NoError(t, err)
			return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: k})
		}), "not a PKCS#8 key that can sign"},
		"another key": {rewrite(func([]byte) []byte {
			der, err := x509.MarshalPKCS8PrivateKey(edKey(t))
			require.NoError(t, err)
			return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der})
		}), "not the key that its name says"},
		"other name": {func(t *testing.T, f string) {
			require.NoError(t, os.Rename(f, filepath.Join(filepath.Dir(f), "signing.pem")))
		}, "not named after a key id"},
		"a directory": {func(t *testing.T, f string) {
			require.NoError(t, os.Remove(f))
			require.NoError(t, os.Mkdir(f, 0o700))
		}, "not a regular file"},
		"something else": {func(t *testing.T, f string) {
			require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(f), "README"), nil, 0o644))
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			kid := w.key(w.open())
			c.spoil(t, keyDir(w.dir).file(kid))
			m, err := Open(t.Context(), w.config())
			if c.want == "" {
				require.NoError(t, err)
				require.Equal(t, kid, w.key(m))
				return
			}
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "canary")
		})
	}
}

func TestUnlistedKeyOfAnotherAlgorithmIsRefused(t *testing.T) {
	w := newWorld(t)
	w.open()
	w.store.Store = memory.New()
	_, err := Open(t.Context(), func() Config { c := w.config(); c.Alg = EdDSA; return c }())
	require.ErrorContains(t, err, ".pem")
	require.ErrorContains(t, err, "not one for EdDSA")
}

func TestConfigIsChecked(t *testing.T) {
	w := newWorld(t)
	for want, spoil := range map[string]func(*Config){
		"Config.Issuer is required":      func(c *Config) { c.Issuer = "" },
		"Config.Store is required":       func(c *Config) { c.Store = nil },
		"Config.Alg must be":             func(c *Config) { c.Alg = "none" },
		"one of Config.Dir":              func(c *Config) { c.Dir = "" },
		"one of Config.Dir and Config.S": func(c *Config) { c.Signer = edKey(t) },
		"must not be negative":           func(c *Config) { c.Overlap = -1 },
		"Config.PublishAhead and":        func(c *Config) { c.PublishAhead = -1 },
	} {
		cfg := w.config()
		spoil(&cfg)
		_, err := Open(t.Context(), cfg)
		require.ErrorContains(t, err, want)
	}
	_, err := Open(t.Context(), w.config())
	require.NoError(t, err)
}

func TestSecretsAreNotPrinted(t *testing.T) {
	w := newWorld(t)
	secret := edKey(t)
	cfg := w.config()
	cfg.Dir, cfg.Alg, cfg.Signer = "", EdDSA, secret
	m, err := Open(t.Context(), cfg)
	require.NoError(t, err)
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		for _, v := range []any{cfg, &cfg, m, m.held, cfg.LogValue()} {
			out := fmt.Sprintf(format, v)
			require.NotContains(t, out, fmt.Sprintf("%d %d %d", secret[0], secret[1], secret[2]))
			require.NotContains(t, out, fmt.Sprintf("0x%x, 0x%x, 0x%x", secret[0], secret[1], secret[2]))
			require.NotContains(t, out, string(secret[:8]))
		}
	}
}

// x25519Key returns a private key that is PKCS#8 and cannot sign.
func x25519Key() ([]byte, error) {
	k, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return x509.MarshalPKCS8PrivateKey(k)
}
