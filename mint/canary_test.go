package mint

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/internal/canary"
)

// secretsOf returns everything that gives a private key away.
func secretsOf(t *testing.T, key *ecdsa.PrivateKey) []string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	d, err := key.Bytes()
	require.NoError(t, err)
	return append(strings.Split(text, "\n")[1:3], string(d), key.D.String(), key.D.Text(16)) //nolint:staticcheck // what a careless program prints
}

// TestPrivateKeysStayWhereTheyAre: they are not in the store, in the published keys, in an error, or in a configuration
// that somebody prints.
func TestPrivateKeysStayWhereTheyAre(t *testing.T) {
	w := newWorld(t)
	k := canary.Watch(t)
	w.store.Store = canary.Store{Store: w.store.Store, Keeper: k}
	m := w.open()
	w.verifies(m, w.token(m))
	files, err := filepath.Glob(filepath.Join(w.dir, "*.pem"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, name := range files {
		raw, err := os.ReadFile(name)
		require.NoError(t, err)
		block, _ := pem.Decode(raw)
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		require.NoError(t, err)
		k.Plant("private key", secretsOf(t, key.(*ecdsa.PrivateKey))...)
		require.NotEmpty(t, k.Find("its file", string(raw)), "control: the search finds a private key")
	}
	jwks, err := m.JWKS(t.Context())
	require.NoError(t, err)
	k.See("JWKS", string(jwks))
	k.Show("mint", m)
	require.Contains(t, strings.Join(k.Text(), ""), w.key(m), "control: the key's id is in what was seen")
}

// TestABrokenKeyFileIsNotRepeated in the error that it causes.
func TestABrokenKeyFileIsNotRepeated(t *testing.T) {
	w := newWorld(t)
	k := canary.Watch(t)
	const text = "not-a-key-but-somebodys-secret"
	k.Plant("content of a file", text)
	require.NoError(t, os.MkdirAll(w.dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "broken.pem"), []byte("-----BEGIN PRIVATE KEY-----\n"+text+"\n-----END PRIVATE KEY-----\n"), 0o600))
	_, err := Open(t.Context(), w.config())
	require.Error(t, err)
	k.Show("error", err)
}
