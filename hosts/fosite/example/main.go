// Example is a fosite server behind a boundary. It serves on a loopback address, plays a short scene as its own clients, and
// ends.
package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/storage"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
	governed "github.com/tokenboundary/tokenboundary/hosts/fosite"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

const crm = "https://crm.example.com/"

var operator = tb.Client{ID: "ops", Kind: tb.KindOperator}

func session() fosite.Session { return &oauth2.JWTSession{} }

// policy lets the planner read and write, and the worker do what the planner hands on, but never delete.
func policy(_ context.Context, f tb.Facts) (tb.Verdict, error) {
	v := tb.Verdict{Effect: tb.Allow, Path: "/" + f.Client.ID + "/crm", Resources: []string{crm}, Lifetime: 5 * time.Minute, Depth: 2}
	granted := lineage.Access{Resource: crm}
	for _, s := range f.Scopes {
		if s != "delete" && (f.Ceiling == nil || slices.Contains(f.Ceiling.Scopes(crm), s)) {
			granted.Scopes = append(granted.Scopes, s)
			v.Reasons = append(v.Reasons, lineage.Reason{Resource: crm, Scope: s, Granted: true, Rule: v.Path + "#work", Delegates: []string{"worker"}})
		}
	}
	v.Access = []lineage.Access{granted}
	return v, nil
}

// server returns the provider, which is fosite's own, and the boundary in front of it.
func server() (fosite.OAuth2Provider, *tb.Governor) {
	agent := func(id string) tb.Client {
		return tb.Client{ID: id, Kind: tb.KindAgent, Connections: []string{"crm"}, Grants: []tb.Grant{tb.ClientCredentials, tb.Exchange}}
	}
	g, err := tb.New(tb.Config{
		Issuer: "https://auth.example.com", Store: memory.New(), Policy: tb.PolicyFunc(policy),
		Clients: tb.ClientMap{"planner": agent("planner"), "worker": agent("worker"), "ops": operator},
	})
	check(err)
	b, err := governed.New(governed.Config{Governor: g, Operator: operator, Session: session})
	check(err)

	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	check(err)
	config := &fosite.Config{GlobalSecret: secret, AccessTokenIssuer: g.Issuer(), HashCost: 4}
	clients := storage.NewMemoryStore()
	for _, id := range []string{"planner", "worker", "crm"} {
		hash, err := (&fosite.BCrypt{Config: config}).Hash(context.Background(), []byte("secret-of-"+id))
		check(err)
		clients.Clients[id] = &fosite.DefaultClient{
			ID: id, Secret: hash, Scopes: []string{"read", "write", "delete"}, Audience: []string{crm},
			GrantTypes: []string{exchange.GrantClientCredentials, exchange.GrantTokenExchange},
		}
	}
	strategy := compose.NewOAuth2JWTStrategy(func(context.Context) (any, error) { return key, nil }, compose.NewOAuth2HMACStrategy(config), config)
	return compose.Compose(config, clients, strategy,
		compose.OAuth2ClientCredentialsGrantFactory, compose.OAuth2TokenIntrospectionFactory, b.Factory), g
}

// handler is what a fosite server has anyway.
func handler(p fosite.OAuth2Provider) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		request, err := p.NewAccessRequest(r.Context(), r, session())
		if err != nil {
			p.WriteAccessError(r.Context(), w, request, err)
			return
		}
		response, err := p.NewAccessResponse(r.Context(), request)
		if err != nil {
			p.WriteAccessError(r.Context(), w, request, err)
			return
		}
		p.WriteAccessResponse(r.Context(), w, request, response)
	})
	return mux
}

func main() {
	ctx := context.Background()
	provider, boundary := server()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	srv := &http.Server{Handler: handler(provider), ReadHeaderTimeout: time.Second}
	go func() { _ = srv.Serve(listener) }()
	defer func() { _ = srv.Close() }()
	as := func(id string) *exchange.Client {
		return &exchange.Client{Endpoint: "http://" + listener.Addr().String() + "/token", Auth: exchange.Basic(id, "secret-of-"+id)}
	}
	ask := exchange.Params{Resource: []string{crm}, Scopes: []string{"read", "delete"}}

	own, err := as("planner").ClientCredentials(ctx, ask)
	check(err)
	say("planner has", own.Scopes)
	ask.Subject = tb.Credential{Type: tb.TypeAccessToken, Value: own.Value()}
	handed, err := as("worker").Exchange(ctx, ask)
	check(err)
	_, found, err := provider.IntrospectToken(ctx, handed.Value(), fosite.AccessToken, session())
	check(err)
	claims := found.GetSession().(*oauth2.JWTSession).JWTClaims
	say("worker has", handed.Scopes, "as", claims.Extra["act"].(map[string]any)["sub"], "for", claims.Subject)

	_, err = boundary.Revoke(ctx, operator, lineage.Revocation{Selector: lineage.Selector{Kind: lineage.SelectGrant, Value: claims.Extra["txn"].(string)}})
	check(err)
	_, err = as("worker").Exchange(ctx, ask)
	say("after the revocation, an exchange:", err)
	_, _, err = provider.IntrospectToken(ctx, handed.Value(), fosite.AccessToken, session())
	say("and what the worker has:", err)
}

func say(what ...any) { _, _ = fmt.Fprintln(os.Stdout, what...) }

func check(err error) {
	if err != nil {
		panic(err)
	}
}
