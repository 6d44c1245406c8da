package broker_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing/fstest"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/broker"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/policy"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

// An agent reads invoices of a system that knows nothing of tokens. It has the boundary's token, and the proxy the account.
func ExampleProxy() {
	erp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, _, _ := r.BasicAuth()
		w.Header().Set("Set-Cookie", "session=1")
		fmt.Fprintf(w, "%s for %s", r.URL.Path, name)
	}))
	defer erp.Close()
	upstream, err := url.Parse(erp.URL)
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	p, g, token := proxyOf(ctx, upstream)
	front := httptest.NewUnstartedServer(p)
	front.Listener = broker.Strict(front.Listener)
	front.Start()
	defer front.Close()
	ask := func(method, path string) {
		req, _ := http.NewRequestWithContext(ctx, method, front.URL+path, nil)
		req.Header.Set("Authorization", "Bearer "+token.Value())
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			panic(err)
		}
		defer resp.Body.Close() //nolint:errcheck // it is only read
		body := make([]byte, 100)
		n, _ := resp.Body.Read(body)
		fmt.Println(resp.StatusCode, resp.Header["Set-Cookie"], string(body[:n]))
	}
	ask("GET", "/v1/invoices/7")
	ask("DELETE", "/v1/invoices/7")
	if _, err := g.SetTask(ctx, tokenboundary.Client{ID: "bot", Kind: tokenboundary.KindAgent}, token.TaskID, tokenboundary.TaskCompleted); err != nil {
		panic(err)
	}
	ask("GET", "/v1/invoices/7")
	fmt.Println(p.Flush(ctx))
	// Output:
	// 200 [] /v1/invoices/7 for reader
	// 403 [] {"error":"access_denied","error_description":"The request is not among those that are allowed"}
	// 401 [] {"error":"invalid_token","error_description":"The access token is not acceptable"}
	// <nil>
}

// A gateway that forwards by itself asks first, here as nginx does with auth_request.
func ExampleProxy_ForwardAuth() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	p, _, token := proxyOf(ctx, &url.URL{Scheme: "https", Host: "erp.internal"})
	verify, err := p.ForwardAuth(broker.ForwardConfig{Style: broker.ForwardNginx})
	if err != nil {
		panic(err)
	}
	for _, path := range []string{"/v1/invoices/7", "/v1/invoices/../users"} {
		r := httptest.NewRequest("GET", "/verify", nil)
		r.Header.Set("Authorization", "Bearer "+token.Value())
		r.Header.Set("X-Original-Method", "GET")
		r.Header.Set("X-Original-URI", path)
		answer := httptest.NewRecorder()
		verify.ServeHTTP(answer, r)
		fmt.Println(path, answer.Code)
	}
	// Output:
	// /v1/invoices/7 200
	// /v1/invoices/../users 403
}

// proxyOf is a proxy in front of a system, with the boundary that it belongs to, and a token for reading.
func proxyOf(ctx context.Context, upstream *url.URL) (*broker.Proxy, *tokenboundary.Governor, tokenboundary.Token) {
	g, token := boundaryOf("https://erp.example/", "erp")
	b, err := broker.New(broker.Config{
		Governor: g,
		Client: tokenboundary.Client{
			ID: "erp-broker", Kind: tokenboundary.KindResource, Resource: "https://erp.example/", Connections: []string{"erp"},
		},
		Providers: map[string]broker.Provider{"erp": accounts{}},
	})
	if err != nil {
		panic(err)
	}
	go b.Run(ctx) //nolint:errcheck // it ends with the context
	p, err := broker.NewProxy(broker.ProxyConfig{
		Broker: b, Upstream: upstream,
		Routes: []broker.Route{{Methods: []string{"GET"}, Path: "/v1/invoices/*", Scopes: []string{"read"}}},
		Inject: map[string]string{"Authorization": "Basic {username}:{password}"},
	})
	if err != nil {
		panic(err)
	}
	return p, g, token
}

// boundaryOf is a boundary, and a token of a task for reading at the resource.
func boundaryOf(resource, connection string) (*tokenboundary.Governor, tokenboundary.Token) {
	ctx := context.Background()
	set, err := policy.Load(fstest.MapFS{"erp.yaml": {Data: []byte(`
bind: {client: bot, connection: ` + connection + `, resource: "` + resource + `"}
allow: [{rule: reading, when: "true", scopes: [read]}]
`)}})
	if err != nil {
		panic(err)
	}
	keys := memory.New()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	m, err := mint.Open(ctx, mint.Config{Issuer: "https://boundary.example", Store: keys, Signer: key})
	if err != nil {
		panic(err)
	}
	g, err := tokenboundary.New(tokenboundary.Config{
		Issuer: "https://boundary.example", Store: keys, Policy: set, Minter: m,
		Clients: tokenboundary.ClientMap{"bot": {
			ID: "bot", Kind: tokenboundary.KindAgent, Grants: []tokenboundary.Grant{tokenboundary.ClientCredentials}, Connections: []string{connection},
		}},
	})
	if err != nil {
		panic(err)
	}
	token, err := g.Issue(ctx, tokenboundary.Request{
		Grant:  tokenboundary.ClientCredentials,
		Client: tokenboundary.Credential{Type: "host", ID: "bot", Verified: &tokenboundary.Principal{Party: lineage.Party{ID: "bot"}, Identity: true}},
		Scopes: []string{"read"}, Task: &tokenboundary.TaskSpec{Purpose: "close the month"},
	})
	if err != nil {
		panic(err)
	}
	return g, token
}
