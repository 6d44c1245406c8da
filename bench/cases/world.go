package cases

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"testing/fstest"
	"time"

	"github.com/go-jose/go-jose/v4"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/identity"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/policy"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

const (
	issuer = "https://boundary.example"
	idp    = "https://idp.example"
	crm    = "https://crm.example.com/"

	agent       = "agent" // has a secret
	agentSecret = "a secret of thirty-two letters.."
	signer      = "signer" // has a key
)

// documents let agents exchange what a person has delegated to them, unless the tenant is frozen.
var documents = fstest.MapFS{
	"boundary.yaml": {Data: []byte(`
deny:
  - {rule: frozen-tenant, when: has(env.tenant_frozen) && env.tenant_frozen == true}
`)},
	"agents/crm.yaml": {Data: []byte(`
bind: {client: [` + agent + `, ` + signer + `], connection: prod, resource: ` + crm + `}
allow:
  - rule: itself
    when: grant == "client_credentials" && client.kind == "agent"
    scopes: [cases:read]
    lifetime: 5m
  - rule: triage
    when: >-
      grant == "token_exchange" && session.kind == "human" && (!task.present || task.purpose == "triage") &&
      risk.level in ["unknown", "low", "medium"]
    scopes: [cases:read, contacts:read]
    lifetime: 1h
limits: {lifetime: 8h, depth: 3, derivations: 2000000000}
`)},
}

// node is one node of a boundary as it runs in production: policy engine, ES256, client secrets, client keys, and the ID
// tokens of a provider.
type node struct {
	*tb.Governor
	mint *mint.Mint
}

// world is a boundary of two nodes over one store, and the keys of those who ask.
type world struct {
	node
	other node // where tokens are made that the first has neither made nor seen
	store store.Store
	key   *ecdsa.PrivateKey // of the provider, and of the client with a key
}

func newWorld(dir string, s store.Store) (*world, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	w := &world{store: s, key: key}
	if w.other, err = w.newNode(dir); err != nil {
		return nil, err
	}
	w.node, err = w.newNode(dir)
	return w, err
}

func inMemory(dir string) (*world, error) { return newWorld(dir, memory.New()) }

func (w *world) newNode(dir string) (n node, err error) {
	set, err := policy.Load(documents)
	if err != nil {
		return n, err
	}
	sources, err := w.sources(dir)
	if err != nil {
		return n, err
	}
	n.mint, err = mint.Open(context.Background(), mint.Config{
		Issuer: issuer, Store: w.store, Dir: filepath.Join(dir, "keys"), Overlap: 24 * time.Hour,
	})
	if err != nil {
		return n, err
	}
	client := tb.Client{Kind: tb.KindAgent, Grants: []tb.Grant{tb.ClientCredentials, tb.Exchange}, Connections: []string{"prod"}}
	clients := tb.ClientMap{}
	for _, id := range []string{agent, signer} {
		client.ID = id
		clients[id] = client
	}
	n.Governor, err = tb.New(tb.Config{
		Issuer: issuer, Store: w.store, Clients: clients, Policy: set, Minter: n.mint, Identities: sources,
		Lifetimes: tb.Lifetimes{AccessToken: time.Hour, Task: 8 * time.Hour},
	})
	return n, err
}

func (w *world) sources(dir string) ([]tb.IdentitySource, error) {
	file := filepath.Join(dir, "keys.json")
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: w.key.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, set, 0o600); err != nil {
		return nil, err
	}
	clients, err := identity.Clients(identity.ClientsConfig{Issuer: issuer, Clients: []identity.ClientAuth{
		{ID: agent, Secret: agentSecret}, {ID: signer, JWKSFile: file},
	}})
	if err != nil {
		return nil, err
	}
	people, err := identity.OIDC(identity.OIDCConfig{Issuer: idp, Audience: issuer, Session: "human", JWKSFile: file})
	if err != nil {
		return nil, err
	}
	return identity.Sources(clients, people)
}
