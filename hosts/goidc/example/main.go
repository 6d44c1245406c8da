// Command example runs an auth server on go-oidc whose tokens a boundary decides, and plays a scene with it.
package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/luikyv/go-oidc/pkg/goidc"
	"github.com/luikyv/go-oidc/pkg/provider"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
	governed "github.com/tokenboundary/tokenboundary/hosts/goidc"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

const crm = "https://crm.example.com/"

var operator = tb.Client{ID: "ops", Kind: tb.KindOperator}

func main() {
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
	op, err := newProvider(issuer, governed.Options(boundary, governed.Config{Operator: operator})...)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: op.Handler(governed.Middleware), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }()
	defer func() { _ = server.Close() }()
	return scene(ctx, out, boundary, issuer+"/token")
}

// newBoundary permits agents to read, and to write only for themselves; the planner's tokens may be used by the worker.
func newBoundary(issuer string) (*tb.Governor, error) {
	agent := func(id string) tb.Client {
		return tb.Client{ID: id, Kind: tb.KindAgent, Connections: []string{"crm"}, Grants: []tb.Grant{tb.ClientCredentials, tb.Exchange}}
	}
	return tb.New(tb.Config{
		Issuer: issuer, Store: memory.New(),
		Clients: tb.ClientMap{"planner": agent("planner"), "worker": agent("worker"), "ops": operator},
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

// newProvider makes the auth server; all that concerns the boundary is in opts.
func newProvider(issuer string, opts ...provider.Option) (*provider.Provider, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	client := func(id string) *goidc.Client {
		return &goidc.Client{ID: id, Secret: id + "-secret", ClientMeta: goidc.ClientMeta{
			GrantTypes:       []goidc.GrantType{goidc.GrantClientCredentials, goidc.GrantTokenExchange},
			TokenAuthnMethod: goidc.AuthnMethodSecretBasic, ScopeIDs: "cases:read cases:write",
		}}
	}
	jwks := func(context.Context) (goidc.JSONWebKeySet, error) {
		return goidc.JSONWebKeySet{Keys: []goidc.JSONWebKey{{Key: key, KeyID: "1", Algorithm: "RS256", Use: "sig"}}}, nil
	}
	return provider.New(issuer, nil, jwks, append([]provider.Option{
		provider.WithSecretBasicAuthn(), provider.WithStaticClients(client("planner"), client("worker")),
		provider.WithScopes(goidc.NewScope("cases:read"), goidc.NewScope("cases:write")),
		provider.WithJTIConsumer(func(context.Context, string) error { return errors.New("no client has an assertion") }),
	}, opts...)...)
}

func scene(ctx context.Context, out io.Writer, boundary *tb.Governor, endpoint string) error {
	planner := exchange.Client{Endpoint: endpoint, Auth: exchange.Basic("planner", "planner-secret")}
	worker := exchange.Client{Endpoint: endpoint, Auth: exchange.Basic("worker", "worker-secret")}
	both := exchange.Params{Resource: []string{crm}, Scopes: []string{"cases:read", "cases:write"}}

	own, err := planner.ClientCredentials(ctx, both)
	if err != nil {
		return err
	}
	say(out, "planner, for itself:", own.Scopes)
	both.Subject = tb.Credential{Type: tb.TypeAccessToken, Value: own.Value()}
	lent, err := worker.Exchange(ctx, both)
	if err != nil {
		return err
	}
	say(out, "worker, for the planner:", lent.Scopes)

	cut := lineage.Revocation{Selector: lineage.Selector{Kind: lineage.SelectSubject, Value: "planner"}, Reason: "the scene"}
	if _, err := boundary.Revoke(ctx, operator, cut); err != nil {
		return err
	}
	_, err = worker.Exchange(ctx, both)
	var refused *exchange.Error
	if !errors.As(err, &refused) {
		return fmt.Errorf("a revoked token was exchanged: %w", err)
	}
	say(out, "worker, after the planner's tokens were revoked:", refused.Code)
	return nil
}

func say(out io.Writer, words ...any) { _, _ = fmt.Fprintln(out, words...) } // nobody reads it if this fails
