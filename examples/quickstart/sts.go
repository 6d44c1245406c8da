package main

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/endpoint"
	"github.com/tokenboundary/tokenboundary/identity"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/policy"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/bolt"
)

//go:embed policies
var policies embed.FS

// sts is the security token service: a Governor, wired in this process and reached over HTTP only.
type sts struct {
	issuer  string
	secrets map[string]string // of the clients that have one, by id
}

// startSTS wires the boundary: a store, the policy set, the sources of identity, the clients, the signing keys.
func startSTS(ctx context.Context, h *host, people *idp, workloads *spire, orchestratorKeys string) (*sts, error) {
	listener, issuer, err := h.listen() // first of all: the issuer is where it listens
	if err != nil {
		return nil, err
	}
	s := &sts{issuer: issuer, secrets: map[string]string{}}
	state, err := bolt.Open(filepath.Join(h.dir, "boundary.db"))
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	h.onClose(state.Close)
	handler, err := s.wire(ctx, h.dir, state, people, workloads, orchestratorKeys)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	h.serveOn(listener, handler)
	return s, nil
}

func (s *sts) wire(ctx context.Context, dir string, state store.Store, people *idp, workloads *spire, keys string) (*endpoint.Handler, error) {
	tree, err := fs.Sub(policies, "policies")
	if err != nil {
		return nil, err
	}
	set, err := policy.Load(tree)
	if err != nil {
		return nil, err
	}
	sources, err := s.sources(people, workloads, keys)
	if err != nil {
		return nil, err
	}
	signer, err := mint.Open(ctx, mint.Config{Issuer: s.issuer, Store: state, Dir: filepath.Join(dir, "keys")}) // ES256
	if err != nil {
		return nil, err
	}
	g, err := tokenboundary.New(tokenboundary.Config{
		Issuer: s.issuer, Store: state, Policy: set, Clients: clients, Identities: sources, Minter: signer,
		Lifetimes: tokenboundary.Lifetimes{AccessToken: 10 * time.Minute}, // at most; policies say less
		Env:       map[string]any{"tenant_frozen": false},
	})
	if err != nil {
		return nil, err
	}
	return endpoint.New(g, endpoint.Config{JWKS: signer.JWKS})
}

// sources says whose credentials are believed: people of the identity provider, workloads of the trust domain, and the
// registered clients.
func (s *sts) sources(people *idp, workloads *spire, orchestratorKeys string) ([]tokenboundary.IdentitySource, error) {
	humans, err := identity.OIDC(identity.OIDCConfig{
		Issuer: people.issuer, Audience: s.issuer, JWKSURI: people.jwksURI(), Session: "human",
	})
	if err != nil {
		return nil, err
	}
	svids, err := identity.SPIFFE(identity.SPIFFEConfig{
		TrustDomain: trustDomain, BundleFile: workloads.bundle, Audience: s.issuer,
	})
	if err != nil {
		return nil, err
	}
	auth := []identity.ClientAuth{{ID: orchestrator, JWKSFile: orchestratorKeys}} // private_key_jwt
	for id := range clients {
		if id != orchestrator {
			s.secrets[id] = rand.Text()
			auth = append(auth, identity.ClientAuth{ID: id, Secret: s.secrets[id]}) // client_secret_basic
		}
	}
	registered, err := identity.Clients(identity.ClientsConfig{Issuer: s.issuer, Clients: auth})
	if err != nil {
		return nil, err
	}
	return identity.Sources(humans, svids, registered)
}

// The protected APIs, and the clients.
const (
	crm  = "https://crm.example.com/"
	mail = "https://mail.example.com/"

	orchestrator = "orchestrator"
	researcher   = "researcher"
	crmTool      = "crm-tool"
	billing      = "billing-bot"
	crmAPI       = "crm-api"
	mailAPI      = "mail-api"
	ops          = "ops"

	orchestratorPath = "/agents/orchestrator" // of its SPIFFE ID
)

// clients says what each client is and may do at all. What it gets is for the policies to say.
var clients = tokenboundary.ClientMap{
	orchestrator: exchanger(orchestrator, tokenboundary.KindAgent, "spiffe://"+trustDomain+orchestratorPath),
	researcher:   exchanger(researcher, tokenboundary.KindAgent),
	crmTool:      exchanger(crmTool, tokenboundary.KindWorkload),
	billing:      exchanger(billing, tokenboundary.KindAgent),
	crmAPI:       {ID: crmAPI, Kind: tokenboundary.KindResource, Resource: crm},
	mailAPI:      {ID: mailAPI, Kind: tokenboundary.KindResource, Resource: mail},
	ops:          {ID: ops, Kind: tokenboundary.KindOperator},
}

// exchanger is a client that may exchange tokens over the one connection of the story.
func exchanger(id string, kind tokenboundary.ClientKind, actors ...string) tokenboundary.Client {
	return tokenboundary.Client{
		ID: id, Kind: kind, Actors: actors,
		Grants: []tokenboundary.Grant{tokenboundary.Exchange}, Connections: []string{"acme-prod"},
	}
}
