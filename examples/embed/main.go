// Embed is the whole wiring of a boundary inside a Go program: a store, a policy directory, an identity provider, the
// clients, the signing keys, and the HTTP endpoints. It wants an identity provider and the public keys of one client:
//
//	go run ./examples/embed -policies examples/embed/policies -client-jwks bot.jwks.json -data /tmp
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/endpoint"
	"github.com/tokenboundary/tokenboundary/identity"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/policy"
	"github.com/tokenboundary/tokenboundary/store/bolt"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("embed", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:8910", "`address` to listen on")
	data := flags.String("data", ".", "`directory` for the database and the signing keys")
	policies := flags.String("policies", "policies", "policy `directory`")
	idp := flags.String("idp", "https://idp.example", "`issuer` of the identity provider, with its key set at /jwks.json")
	botKeys := flags.String("client-jwks", "support-bot.jwks.json", "`file` with the key set of the client support-bot")
	if err := flags.Parse(args); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	defer listener.Close()                         //nolint:errcheck // closed by the server already
	issuer := "http://" + listener.Addr().String() // for loopback; elsewhere the https URL that clients see

	// What the boundary is made of.
	rules, err := policy.Watch(ctx, *policies, policy.WatchOptions{}) // a change is in force within two seconds
	if err != nil {
		return err
	}
	store, err := bolt.Open(filepath.Join(*data, "boundary.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	people, err := identity.OIDC(identity.OIDCConfig{Issuer: *idp, Audience: issuer, JWKSURI: *idp + "/jwks.json", Session: "human"})
	if err != nil {
		return err
	}
	clients, err := identity.Clients(identity.ClientsConfig{Issuer: issuer, Clients: []identity.ClientAuth{
		{ID: "support-bot", JWKSFile: *botKeys}}}) // private_key_jwt
	if err != nil {
		return err
	}
	sources, err := identity.Sources(people, clients)
	if err != nil {
		return err
	}
	keys, err := mint.Open(ctx, mint.Config{Issuer: issuer, Store: store, Alg: mint.ES256, Dir: filepath.Join(*data, "keys")})
	if err != nil {
		return err
	}
	boundary, err := tokenboundary.New(tokenboundary.Config{
		Issuer: issuer, Store: store, Policy: rules, Identities: sources, Minter: keys,
		Clients: tokenboundary.ClientMap{"support-bot": {
			ID: "support-bot", Kind: tokenboundary.KindAgent, Connections: []string{"default"},
			Grants: []tokenboundary.Grant{tokenboundary.ClientCredentials, tokenboundary.Exchange},
		}},
	})
	if err != nil {
		return err
	}
	handler, err := endpoint.New(boundary, endpoint.Config{JWKS: keys.JWKS})
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	_, _ = fmt.Fprintln(out, issuer)
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
