// Legacy is an agent that works with a system of which all there is to have is one API key. The key stays with a proxy that
// takes tokens in its place, for as long as a task lasts and for what the task may do. It needs nothing and ends by itself:
//
//	go run ./examples/legacy
package main

import (
	"context"
	"crypto/rand"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/agent"
	"github.com/tokenboundary/tokenboundary/broker"
	"github.com/tokenboundary/tokenboundary/endpoint"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/identity"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/policy"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

//go:embed policies
var policies embed.FS

// erp is the name of the system. Clients ask for tokens for it; where its proxy listens is another matter.
const erp = "https://erp.example.com/"

func main() { run(context.Background(), os.Stdout) }

func run(ctx context.Context, out io.Writer) {
	dir := must(os.MkdirTemp("", "legacy"))
	defer os.RemoveAll(dir) //nolint:errcheck // of this run alone
	key, bot := rand.Text(), rand.Text()
	check(os.WriteFile(filepath.Join(dir, "erp.key"), []byte(key), 0o600))
	legacy := httptest.NewServer(api(key))
	defer legacy.Close()
	boundary := httptest.NewUnstartedServer(nil) // takes a free port of this machine
	issuer := "http://" + boundary.Listener.Addr().String()
	g, handler := newBoundary(ctx, issuer, dir, bot)
	boundary.Config.Handler = handler
	boundary.Start()
	defer boundary.Close()

	// The broker has the key, the proxy uses it: for these requests, and for tokens with these scopes.
	b := must(broker.New(broker.Config{
		Governor:  g,
		Client:    tokenboundary.Client{ID: "erp-proxy", Kind: tokenboundary.KindResource, Resource: erp, Connections: []string{"erp"}},
		Providers: map[string]broker.Provider{"erp": broker.Files{"key": filepath.Join(dir, "erp.key")}},
	}))
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go b.Run(ctx) //nolint:errcheck // it ends with the context
	front := httptest.NewServer(must(broker.NewProxy(broker.ProxyConfig{
		Broker: b, Upstream: must(url.Parse(legacy.URL)), Inject: map[string]string{"X-Api-Key": "{key}"},
		Routes: []broker.Route{
			{Methods: []string{"GET"}, Path: "/invoices/*", Scopes: []string{"invoices:read"}},
			{Methods: []string{"DELETE"}, Path: "/invoices/*", Scopes: []string{"invoices:delete"}},
		},
	})))
	defer front.Close()

	// The agent has a task, and tokens for it. It goes to the proxy as to any API.
	session := must(agent.Start(ctx, agent.Config{
		Boundary: agent.Remote{Issuer: issuer, Auth: exchange.Basic("report-bot", bot)},
		Task: tokenboundary.TaskSpec{Purpose: "close the month", Authority: []lineage.Access{
			{Resource: erp, Scopes: []string{"invoices:read"}},
		}},
	}))
	token := must(session.Token(ctx, agent.Call{Resource: erp, Scopes: []string{"invoices:read"}})).AccessToken
	call := func(what, method, address, header, value string) {
		r := must(http.NewRequestWithContext(ctx, method, address, nil))
		r.Header.Set(header, value)
		resp := must(http.DefaultClient.Do(r))
		defer resp.Body.Close() //nolint:errcheck // read only
		_, _ = fmt.Fprintf(out, "%s\n\t%d %s\n", what, resp.StatusCode, must(io.ReadAll(resp.Body)))
	}
	call("the token at the system itself:", "GET", legacy.URL+"/invoices/7", "Authorization", "Bearer "+token)
	call("the token at the proxy:", "GET", front.URL+"/invoices/7", "Authorization", "Bearer "+token)
	call("what the task may not do:", "DELETE", front.URL+"/invoices/7", "Authorization", "Bearer "+token)
	call("what has no route:", "GET", front.URL+"/salaries/7", "Authorization", "Bearer "+token)
	call("a guessed key at the proxy:", "GET", front.URL+"/invoices/7", "X-Api-Key", "guessed")
	check(session.Complete(ctx))
	call("after the task is complete:", "GET", front.URL+"/invoices/7", "Authorization", "Bearer "+token)
}

// api is the system: whoever has the key may do everything.
func api(key string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Api-Key") != key {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, "no key")
			return
		}
		_, _ = fmt.Fprintf(w, "served %s %s, Authorization %q", r.Method, r.URL.Path, r.Header.Get("Authorization"))
	}
}

// newBoundary returns a boundary with two clients, the agent and the proxy. The proxy runs in its process, and needs no
// secret.
func newBoundary(ctx context.Context, issuer, dir, bot string) (*tokenboundary.Governor, http.Handler) {
	state := memory.New()
	keys := must(mint.Open(ctx, mint.Config{Issuer: issuer, Store: state, Dir: filepath.Join(dir, "keys")}))
	g := must(tokenboundary.New(tokenboundary.Config{
		Issuer: issuer, Store: state, Policy: must(policy.Load(must(fs.Sub(policies, "policies")))), Minter: keys,
		Identities: []tokenboundary.IdentitySource{must(identity.Clients(identity.ClientsConfig{
			Issuer: issuer, Clients: []identity.ClientAuth{{ID: "report-bot", Secret: bot}},
		}))},
		Clients: tokenboundary.ClientMap{"report-bot": {ID: "report-bot", Kind: tokenboundary.KindAgent, Connections: []string{"erp"},
			Grants: []tokenboundary.Grant{tokenboundary.ClientCredentials, tokenboundary.Exchange}}},
	}))
	return g, must(endpoint.New(g, endpoint.Config{JWKS: keys.JWKS}))
}

func must[T any](v T, err error) T {
	check(err)
	return v
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
