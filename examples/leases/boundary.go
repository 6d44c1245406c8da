package main

import (
	"context"
	"crypto/rand"
	"embed"
	"io/fs"
	"os"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/identity"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/policy"
	"github.com/tokenboundary/tokenboundary/store"
)

//go:embed policies
var policies embed.FS

// newBoundary returns a boundary with one client, the agent, and how that authenticates.
func newBoundary(ctx context.Context, state store.Store) (*tokenboundary.Governor, func(context.Context) (tokenboundary.Credential, error), error) {
	const issuer = "https://boundary.example"
	secret := rand.Text()
	rules, err := fs.Sub(policies, "policies")
	if err != nil {
		return nil, nil, err
	}
	set, err := policy.Load(rules)
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "leases")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // the keys are read by then
	keys, err := mint.Open(ctx, mint.Config{Issuer: issuer, Store: state, Dir: dir})
	if err != nil {
		return nil, nil, err
	}
	clients, err := identity.Clients(identity.ClientsConfig{Issuer: issuer, Clients: []identity.ClientAuth{{ID: "report-bot", Secret: secret}}})
	if err != nil {
		return nil, nil, err
	}
	g, err := tokenboundary.New(tokenboundary.Config{
		Issuer: issuer, Store: state, Policy: set, Minter: keys, Identities: []tokenboundary.IdentitySource{clients},
		Clients: tokenboundary.ClientMap{"report-bot": {ID: "report-bot", Kind: tokenboundary.KindAgent, Connections: []string{"sales"},
			Grants: []tokenboundary.Grant{tokenboundary.ClientCredentials, tokenboundary.Exchange}}},
	})
	self := func(context.Context) (tokenboundary.Credential, error) {
		return tokenboundary.Credential{Type: tokenboundary.TypeClientSecret, ID: "report-bot", Value: secret}, nil
	}
	return g, self, err
}
