package broker_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/broker"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// realVault is an OpenBao or a Vault that a test may set up: it has mounts of its own there, and the documented policies.
type realVault struct {
	testing.TB
	address, token, mount string
}

func newRealVault(t *testing.T) *realVault {
	address, token, ok := strings.Cut(os.Getenv("TOKENBOUNDARY_TEST_VAULT"), " ")
	if !ok {
		t.Skip("no vault: set TOKENBOUNDARY_TEST_VAULT to the address of an OpenBao or Vault and a root token of it, with a space between")
	}
	return &realVault{t, address, token, "tb" + lineage.ID(randomID(t)).String()[:8]}
}

func randomID(t *testing.T) (id [32]byte) {
	key := sealKey(t)
	copy(id[:], key)
	id[0] = 0 // its name starts with a letter
	return id
}

// do asks the vault something as root, which must succeed.
func (v *realVault) do(method, path string, body map[string]any) (out map[string]any) {
	v.Helper()
	raw, err := json.Marshal(body)
	require.NoError(v, err)
	req, err := http.NewRequestWithContext(v.Context(), method, v.address+"/v1/"+path, bytes.NewReader(raw))
	require.NoError(v, err)
	req.Header.Set("X-Vault-Token", v.token)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(v, err)
	defer resp.Body.Close() //nolint:errcheck // it is only read
	answer, err := io.ReadAll(resp.Body)
	require.NoError(v, err)
	require.Less(v, resp.StatusCode, 300, "%s %s: %s", method, path, answer)
	_ = json.Unmarshal(answer, &out)
	return out
}

// setUp makes the mounts, the roles and the policies, and returns what a broker is told of them.
func (v *realVault) setUp(dsn string) broker.VaultConfig {
	db, err := url.Parse(dsn)
	require.NoError(v, err)
	password, _ := db.User.Password()
	user := db.User.Username()
	db.User = nil
	for path, engine := range map[string]string{v.mount + "-db": "database", v.mount + "-kv": "kv"} {
		v.do("POST", "sys/mounts/"+path, map[string]any{"type": engine, "options": map[string]string{"version": "2"}})
		v.Cleanup(func() { v.end(path) })
	}
	v.do("POST", v.mount+"-db/config/pg", map[string]any{
		"plugin_name": "postgresql-database-plugin", "allowed_roles": "*", "username": user, "password": password,
		"connection_url": strings.Replace(db.String(), "//", "//{{username}}:{{password}}@", 1),
	})
	v.do("POST", v.mount+"-db/roles/readonly", map[string]any{
		"db_name": "pg", "default_ttl": "1m", "max_ttl": "1h",
		"creation_statements": `CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'`,
	})
	for name, rules := range documentedPolicies(v) {
		var text strings.Builder
		for _, r := range rules {
			path := strings.NewReplacer("database/", v.mount+"-db/", "kv/", v.mount+"-kv/", "create/leases", "create/"+v.mount).Replace(r.path)
			text.WriteString(`path "` + path + `" { capabilities = ["` + strings.Join(r.caps, `","`) + `"] }` + "\n")
		}
		v.do("POST", "sys/policies/acl/"+v.mount+"-"+name, map[string]any{"policy": text.String()})
	}
	v.do("POST", "auth/token/roles/"+v.mount, map[string]any{
		"orphan": true, "token_type": "service", "allowed_policies": v.mount + "-lease", "token_no_default_policy": true,
	})
	auth := v.do("POST", "auth/token/create", map[string]any{"policies": []string{v.mount + "-broker"}, "ttl": "1h"})["auth"].(map[string]any)
	file := v.TempDir() + "/token"
	require.NoError(v, os.WriteFile(file, []byte(auth["client_token"].(string)), 0o600))
	return broker.VaultConfig{
		Address: v.address, Kind: broker.VaultDynamic, Path: v.mount + "-db/creds/readonly", TokenRole: v.mount,
		Journal: v.mount + "-kv/tokenboundary", Login: broker.VaultLogin{Token: broker.ReadValue(file)},
	}
}

// end takes away a mount, whatever is left in it.
func (v *realVault) end(path string) {
	req, err := http.NewRequest(http.MethodDelete, v.address+"/v1/sys/mounts/"+path, nil)
	require.NoError(v, err)
	req.Header.Set("X-Vault-Token", v.token)
	if resp, err := http.DefaultClient.Do(req); err == nil {
		_ = resp.Body.Close()
	}
}

// TestARealVault: what the small vault of the other tests is believed to do, a real one does: with the documented policies, a
// secret is made, renewed and taken back by its handle; and another one by its lease alone.
func TestARealVault(t *testing.T) {
	v := newRealVault(t)
	dsn := os.Getenv("TOKENBOUNDARY_TEST_POSTGRES")
	if dsn == "" {
		dsn = "postgres://postgres@127.0.0.1:5432/test?sslmode=disable"
	}
	p, err := broker.NewVault(v.setUp(dsn))
	require.NoError(t, err)
	lease := tb.Lease{ID: randomID(t), Scopes: []string{"read"}, Client: "bot", Connection: "erp", ExpiresAt: time.Now().Add(5 * time.Minute)}
	got, err := p.Fetch(t.Context(), lease)
	require.NoError(t, err)
	require.NotEmpty(t, got.Secret.Value("username"))
	require.NotEmpty(t, got.Secret.Value("password"))
	require.WithinDuration(t, time.Now().Add(time.Minute), got.Expires, 10*time.Second)
	lease.Handle = got.Handle
	renewed, err := p.Renew(t.Context(), lease)
	require.NoError(t, err)
	require.True(t, renewed.Expires.After(got.Expires))
	require.NoError(t, p.Revoke(t.Context(), lease))
	require.NoError(t, p.Revoke(t.Context(), lease), "again")
	_, err = p.Renew(t.Context(), lease)
	require.Error(t, err, "it is gone")

	lease.ID, lease.Handle = randomID(t), nil
	_, err = p.Fetch(t.Context(), lease)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return p.Revoke(t.Context(), lease) == nil }, time.Minute, 100*time.Millisecond)
	_, err = p.Fetch(t.Context(), lease)
	require.NoError(t, err, "control: nothing of it is left")
	lease.Handle = nil
	require.Eventually(t, func() bool { return p.Revoke(t.Context(), lease) == nil }, time.Minute, 100*time.Millisecond)

	lease.ID = randomID(t)
	require.NoError(t, p.Revoke(t.Context(), lease))
	_, err = p.Fetch(t.Context(), lease)
	require.ErrorContains(t, err, "it was given up")
}
