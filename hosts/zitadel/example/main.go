// Command example runs an auth server on zitadel/oidc whose tokens a boundary decides, and plays a scene with it. The
// storage and the clients are those of the project's own example server.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/op"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
	governed "github.com/tokenboundary/tokenboundary/hosts/zitadel"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

const crm = "https://crm.example.com/"

var operator = tb.Client{ID: "ops", Kind: tb.KindOperator}

func main() {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // where the server logs
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	issuer := "http://" + listener.Addr().String()
	boundary, err := newBoundary(issuer)
	if err != nil {
		return err
	}
	provider, err := newProvider(issuer)
	if err != nil {
		return err
	}
	server, err := governed.New(op.NewLegacyServer(provider, *op.DefaultEndpoints), boundary, governed.Config{Operator: operator})
	if err != nil {
		return err
	}
	handler := op.RegisterLegacyServer(server, op.AuthorizeCallbackHandler(provider))
	web := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = web.Serve(listener) }()
	defer func() { _ = web.Close() }()
	return scene(ctx, out, boundary, issuer+"/oauth/token")
}

// newBoundary permits agents to read, and to write only for themselves; the tokens of sid1 may be used by the worker.
func newBoundary(issuer string) (*tb.Governor, error) {
	agent := func(id string) tb.Client {
		return tb.Client{ID: id, Kind: tb.KindAgent, Connections: []string{"crm"}, Grants: []tb.Grant{tb.ClientCredentials, tb.Exchange}}
	}
	return tb.New(tb.Config{
		Issuer: issuer, Store: memory.New(),
		Clients: tb.ClientMap{"sid1": agent("sid1"), "worker": agent("worker"), "ops": operator},
		Policy: tb.PolicyFunc(func(_ context.Context, f tb.Facts) (tb.Verdict, error) {
			v := tb.Verdict{Effect: tb.Allow, Path: "/agents/" + f.Client.ID, Resources: []string{crm}, Lifetime: time.Minute, Depth: 2}
			for _, s := range []string{"cases:read", "cases:write"} {
				if slices.Contains(f.Scopes, s) && (s == "cases:read" || f.Grant == tb.ClientCredentials) {
					v.Access = []lineage.Access{{Resource: crm, Scopes: append(lineage.Authority{Access: v.Access}.Scopes(crm), s)}}
					v.Reasons = append(v.Reasons, lineage.Reason{Resource: crm, Scope: s, Granted: true, Delegates: []string{"worker"}})
				}
			}
			return v, nil
		}),
	})
}

// newProvider makes the auth server; nothing in it concerns the boundary.
func newProvider(issuer string) (*op.Provider, error) {
	var key [32]byte
	if _, err := rand.Read(key[:]); err != nil {
		return nil, err
	}
	storage.RegisterClients(storage.WebClient("worker", "worker-secret"))
	return op.NewProvider(&op.Config{CryptoKey: key}, storage.NewStorage(storage.NewUserStore(issuer)), op.StaticIssuer(issuer), op.WithAllowInsecure())
}

func scene(ctx context.Context, out io.Writer, boundary *tb.Governor, endpoint string) error {
	planner := exchange.Client{Endpoint: endpoint, Auth: exchange.Basic("sid1", "verysecret")}
	worker := exchange.Client{Endpoint: endpoint, Auth: exchange.Basic("worker", "worker-secret")}
	both := exchange.Params{Resource: []string{crm}, Scopes: []string{"cases:read", "cases:write"}}

	own, err := planner.ClientCredentials(ctx, both)
	if err != nil {
		return err
	}
	say(out, "sid1, for itself:", own.Scopes)
	both.Subject = tb.Credential{Type: tb.TypeAccessToken, Value: own.Value()}
	lent, err := worker.Exchange(ctx, both)
	if err != nil {
		return err
	}
	say(out, "worker, for sid1:", lent.Scopes)

	cut := lineage.Revocation{Selector: lineage.Selector{Kind: lineage.SelectSubject, Value: "sid1"}, Reason: "the scene"}
	if _, err := boundary.Revoke(ctx, operator, cut); err != nil {
		return err
	}
	_, err = worker.Exchange(ctx, both)
	var refused *exchange.Error
	if !errors.As(err, &refused) {
		return fmt.Errorf("a revoked token was exchanged: %w", err)
	}
	say(out, "worker, after the tokens of sid1 were revoked:", refused.Code)
	return nil
}

func say(out io.Writer, words ...any) { _, _ = fmt.Fprintln(out, words...) } // nobody reads it if this fails
