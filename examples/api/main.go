// Api is a resource server that accepts tokens of a boundary: it verifies them offline, follows the revocation feed, and
// reports their use. The boundary runs beside it and is reached over HTTP. It needs nothing and ends by itself:
//
//	go run ./examples/api
package main

import (
	"context"
	"crypto/rand"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/endpoint"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/identity"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/policy"
	"github.com/tokenboundary/tokenboundary/store/memory"
	"github.com/tokenboundary/tokenboundary/verify"
)

//go:embed policies
var policies embed.FS

// crm is the name of the API. Clients ask for tokens for it; where it listens is another matter.
const crm = "https://crm.example.com/"

func main() { run(context.Background(), os.Stdout) }

func run(ctx context.Context, out io.Writer) {
	boundary := httptest.NewUnstartedServer(nil) // takes a free port of this machine
	issuer := "http://" + boundary.Listener.Addr().String()
	bot, api := rand.Text(), rand.Text() // client secrets
	boundary.Config.Handler = newBoundary(ctx, issuer, bot, api)
	boundary.Start()
	defer boundary.Close()

	// The API: what it needs to know of the boundary, and what each route requires.
	v := must(verify.New(verify.Config{
		Issuer: issuer, Resource: crm, JWKSURI: issuer + "/jwks.json", FeedLost: verify.FailClosed,
		Boundary: must(verify.NewRemote(verify.RemoteConfig{URL: issuer, Credential: verify.Secret("crm", api)})),
		Scopes:   []string{"cases:read", "cases:write", "cases:delete"},
	}))
	following, stop := context.WithCancel(ctx)
	defer stop()
	stopped := make(chan error, 1)
	go func() { stopped <- v.Run(following) }() // in a server, for as long as it runs
	check(v.Await(ctx, 0))
	mux := http.NewServeMux()
	mux.Handle("GET /cases", v.Require(verify.Route{Scopes: []string{"cases:read"}})(http.HandlerFunc(cases)))
	mux.Handle("DELETE /cases", v.Require(verify.Route{Scopes: []string{"cases:delete"}})(http.HandlerFunc(cases)))
	mux.Handle("/.well-known/oauth-protected-resource", v.Metadata())
	server := httptest.NewServer(mux)
	defer server.Close()

	// The agent starts a task and calls the API with what it was granted.
	client := exchange.Client{Endpoint: issuer + "/token", Auth: exchange.Basic("support-bot", bot)}
	token := must(client.ClientCredentials(ctx, exchange.Params{
		Scopes: []string{"cases:read", "cases:write"}, Details: json.RawMessage(`[{"type":"task","purpose":"triage"}]`),
	}))
	call := func(method, what, authorization string) {
		r := must(http.NewRequestWithContext(ctx, method, server.URL+"/cases", nil))
		r.Header.Set("Authorization", authorization)
		status, said := send(r)
		_, _ = fmt.Fprintf(out, "%s\n\t%d %s\n", what, status, said)
	}
	call("GET", "without a token:", "")
	call("GET", "with the task's token:", "Bearer "+token.Value())
	call("DELETE", "what it was not granted:", "Bearer "+token.Value())

	// The agent completes its task. The API learns of it from the feed.
	before := v.State().Position
	r := must(http.NewRequestWithContext(ctx, http.MethodPost, issuer+"/tasks/"+token.TaskID+"/complete", nil))
	r.SetBasicAuth("support-bot", bot)
	send(r)
	check(v.Await(ctx, before+1))
	call("GET", "after the task is complete:", "Bearer "+token.Value())
	stop() // what the API let through is reported now, at the latest
	if err := <-stopped; !errors.Is(err, context.Canceled) {
		panic(err)
	}
}

// cases answers with what the token says of the caller.
func cases(w http.ResponseWriter, r *http.Request) {
	c, _ := verify.ClaimsFrom(r.Context())
	_, _ = fmt.Fprintf(w, "two cases, for %s in a task of %s", c.Subject, c.Task.Purpose)
}

// send returns the status of the answer and its challenge or, where it has none, its body.
func send(r *http.Request) (status int, said string) {
	resp := must(http.DefaultClient.Do(r))
	defer resp.Body.Close() //nolint:errcheck // read only
	if challenge := resp.Header.Get("WWW-Authenticate"); challenge != "" {
		return resp.StatusCode, challenge
	}
	return resp.StatusCode, string(must(io.ReadAll(resp.Body)))
}

// newBoundary returns a boundary with two clients, an agent and the API, and their secrets.
func newBoundary(ctx context.Context, issuer, bot, api string) http.Handler {
	dir := must(os.MkdirTemp("", "keys"))
	defer os.RemoveAll(dir) //nolint:errcheck // they are read by now
	state := memory.New()
	keys := must(mint.Open(ctx, mint.Config{Issuer: issuer, Store: state, Dir: dir}))
	g := must(tokenboundary.New(tokenboundary.Config{
		Issuer: issuer, Store: state, Policy: must(policy.Load(must(fs.Sub(policies, "policies")))), Minter: keys,
		Identities: []tokenboundary.IdentitySource{must(identity.Clients(identity.ClientsConfig{
			Issuer: issuer, Clients: []identity.ClientAuth{{ID: "support-bot", Secret: bot}, {ID: "crm", Secret: api}},
		}))},
		Clients: tokenboundary.ClientMap{
			"support-bot": {ID: "support-bot", Kind: tokenboundary.KindAgent, Connections: []string{"crm-prod"},
				Grants: []tokenboundary.Grant{tokenboundary.ClientCredentials}},
			"crm": {ID: "crm", Kind: tokenboundary.KindResource, Resource: crm}, // introspects, reads the feed, reports use
		},
	}))
	return must(endpoint.New(g, endpoint.Config{JWKS: keys.JWKS}))
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
