package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/broker"
	"github.com/tokenboundary/tokenboundary/cmd/tokenboundary/internal/config"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// provider returns what makes the credentials of a connection of the broker.
func provider(ctx context.Context, p config.Provider, connection string, b broker.Config) (broker.Provider, error) {
	switch {
	case p.Files != nil:
		for _, file := range p.Files { // one that cannot be used is reported where it is named
			if _, err := broker.ReadValue(file)(ctx); err != nil {
				return nil, fmt.Errorf("files: %s: %w", file, err)
			}
		}
		return broker.Files(p.Files), nil
	case p.Environ != nil:
		for _, name := range p.Environ {
			if os.Getenv(name) == "" {
				return nil, fmt.Errorf("environ: %s is not set", name)
			}
		}
		return broker.Environ(p.Environ), nil
	case p.OAuth != nil:
		return oauth(ctx, p.OAuth, connection, b)
	}
	return vault(p.Vault, b)
}

func oauth(ctx context.Context, c *config.OAuth, connection string, b broker.Config) (broker.Provider, error) {
	cfg := c.Config
	cfg.Governor, cfg.Client, cfg.Connection, cfg.Sealer, cfg.Clock = b.Governor, b.Client, connection, b.Sealer, b.Clock
	cfg.ClientSecret = string(c.Secret)
	var err error
	if cfg.TLS, err = trusting(c.CA); err != nil {
		return nil, err
	}
	o, err := broker.NewOAuth(cfg)
	if err != nil {
		return nil, err
	}
	if err := o.Deposit(ctx, string(c.Refresh)); err != nil { // the boundary serves all the same: it may be that the broker is blocked
		b.Logger.WarnContext(ctx, "a refresh token was not deposited", "connection", connection, "cause", err)
	}
	return o, nil
}

func vault(c *config.Vault, b broker.Config) (broker.Provider, error) {
	cfg := c.Config
	cfg.Clock = b.Clock
	var err error
	if cfg.TLS, err = trusting(c.CA); err != nil {
		return nil, err
	}
	switch {
	case c.Method == "approle":
		cfg.Login.SecretID = broker.ReadValue(c.File)
	case c.Method == "token":
		cfg.Login.Token = broker.ReadValue(c.File)
	case c.File != "":
		cfg.Login.JWT = broker.ReadValue(c.File)
	default:
		cfg.Login.JWT = issuing(b.Governor, c.Client, c.Resource)
	}
	return broker.NewVault(cfg)
}

// issuing returns tokens of the boundary for a client, as if it had asked for them itself.
func issuing(g *tokenboundary.Governor, client, resource string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		token, err := g.Issue(ctx, tokenboundary.Request{
			Grant: tokenboundary.ClientCredentials, Resource: []string{resource},
			Client: tokenboundary.Credential{Type: "host", ID: client, Verified: &tokenboundary.Principal{
				Party: lineage.Party{ID: client, Issuer: g.Issuer()}, Identity: true,
			}},
		})
		if err != nil {
			return "", errors.Join(err, broker.PublicError("the boundary issues no token to log in with"))
		}
		return token.Value(), nil
	}
}

// trusting returns how a server is authenticated by the certificates in a file; nil, which is by those of the machine, for none.
func trusting(file string) (*tls.Config, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("ca_file: no certificate is in it")
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}
