// Gate governs a token endpoint of somebody else, in two ways: as a gate in front of it, for clients that ask through it,
// and as the token hook of an Ory Hydra. It keeps its state in a file and takes its secrets from files:
//
//	go run ./examples/gate -policies examples/gate/policies -data /tmp -upstream https://as.example/token -secrets DIR
//
// DIR holds bot.secret (what the client bot is known by here), bot.upstream.secret (what it is known by there), seal.secret
// (what refresh tokens are sealed with) and hook.secret (what Hydra sends in the header Authorization).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/gate"
	"github.com/tokenboundary/tokenboundary/identity"
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
	flags := flag.NewFlagSet("gate", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:8912", "`address` to listen on")
	issuer := flags.String("issuer", "https://gate.example", "`name` of the boundary")
	upstream := flags.String("upstream", "", "`URL` of the token endpoint behind the gate")
	revocation := flags.String("revocation", "", "`URL` of its revocation endpoint, if it has one")
	data := flags.String("data", ".", "`directory` for the database")
	policies := flags.String("policies", "policies", "policy `directory`")
	dir := flags.String("secrets", ".", "`directory` with the secrets")
	if err := flags.Parse(args); err != nil {
		return err
	}
	secrets := map[string]string{}
	for _, name := range []string{"bot", "bot.upstream", "seal", "hook"} {
		raw, err := os.ReadFile(filepath.Join(*dir, name+".secret"))
		if err != nil {
			return err
		}
		secrets[name] = strings.TrimSuffix(string(raw), "\n")
	}

	// The boundary decides and records; it has no keys, since others mint.
	rules, err := policy.Watch(ctx, *policies, policy.WatchOptions{})
	if err != nil {
		return err
	}
	state, err := bolt.Open(filepath.Join(*data, "gate.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, state.Close()) }()
	clients, err := identity.Clients(identity.ClientsConfig{Issuer: *issuer, Clients: []identity.ClientAuth{{ID: "bot", Secret: secrets["bot"]}}})
	if err != nil {
		return err
	}
	boundary, err := tokenboundary.New(tokenboundary.Config{
		Issuer: *issuer, Store: state, Policy: rules, Identities: []tokenboundary.IdentitySource{clients},
		Clients: tokenboundary.ClientMap{"bot": {
			ID: "bot", Kind: tokenboundary.KindAgent, Connections: []string{"crm"},
			Grants: []tokenboundary.Grant{tokenboundary.ClientCredentials, tokenboundary.Refresh},
		}},
	})
	if err != nil {
		return err
	}

	// Its two doors.
	logger := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	door, err := gate.New(gate.Config{
		Governor: boundary, Token: *upstream, Revocation: *revocation, Keys: []gate.Secret{gate.Secret(secrets["seal"])}, Logger: logger,
		Clients: map[string]exchange.Authenticator{"bot": exchange.Basic("bot", secrets["bot.upstream"])},
	})
	if err != nil {
		return err
	}
	hook, err := gate.NewHook(gate.HookConfig{
		Governor: boundary, Secrets: []gate.Secret{gate.Secret(secrets["hook"])}, Logger: logger,
		Codec: gate.Hydra{Host: gate.Host{Lifetime: 5 * time.Minute, SubjectPrefix: "hydra:"}}, // ttl.access_token: 5m
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/token", door)
	mux.Handle("/hooks/hydra", hook)

	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	_, _ = fmt.Fprintln(out, "http://"+listener.Addr().String())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
