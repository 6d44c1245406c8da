package mcp_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	tb "github.com/tokenboundary/tokenboundary"
	governed "github.com/tokenboundary/tokenboundary/hosts/mcp"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/store/memory"
	"github.com/tokenboundary/tokenboundary/verify"
)

// An MCP server that trusts the tokens of a boundary, and what it tells a client that has none.
func Example_guard() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	verifier := newVerifier(ctx, "https://crm.example.com/mcp")
	go verifier.Run(ctx)

	guard, err := governed.New(governed.Config{
		Verifier: verifier,
		Session:  verify.Route{Scopes: []string{"mcp"}},
		Tools:    map[string]verify.Route{"search": {Scopes: []string{"cases:read"}}},
	})
	if err != nil {
		panic(err)
	}
	server := mcp.NewServer(&mcp.Implementation{Name: "crm", Version: "1"}, nil)
	mux := http.NewServeMux()
	mux.Handle("/mcp", guard.Handler(server, nil))
	mux.Handle("/.well-known/oauth-protected-resource/mcp", verifier.Metadata())

	for _, r := range []*http.Request{
		httptest.NewRequest(http.MethodPost, "/mcp", nil),
		httptest.NewRequest(http.MethodGet, "/.well-known/oauth-protected-resource/mcp", nil),
	} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Header().Get("WWW-Authenticate")+w.Body.String())
	}
	// Output:
	// 401 Bearer scope="mcp", resource_metadata="https://crm.example.com/.well-known/oauth-protected-resource/mcp"
	// 200 {"authorization_servers":["https://auth.example.com"],"bearer_methods_supported":["header"],"resource":"https://crm.example.com/mcp","scopes_supported":["mcp","cases:read"]}
}

// newVerifier verifies tokens of a boundary in the same process.
func newVerifier(ctx context.Context, resource string) *verify.Verifier {
	dir, err := os.MkdirTemp("", "keys")
	must(err)
	defer os.RemoveAll(dir)
	state := memory.New()
	keys, err := mint.Open(ctx, mint.Config{Issuer: "https://auth.example.com", Store: state, Dir: dir})
	must(err)
	jwks, err := keys.JWKS(ctx)
	must(err)
	boundary, err := tb.New(tb.Config{
		Issuer: "https://auth.example.com", Store: state, Minter: keys, Clients: tb.ClientMap{},
		Policy: tb.PolicyFunc(func(context.Context, tb.Facts) (tb.Verdict, error) { return tb.Verdict{}, nil }),
	})
	must(err)
	v, err := verify.New(verify.Config{
		Issuer: "https://auth.example.com", Resource: resource, JWKS: jwks, Scopes: []string{"mcp", "cases:read"},
		Boundary: verify.Local{Governor: boundary, Client: tb.Client{ID: "crm", Kind: tb.KindResource, Resource: resource}},
	})
	must(err)
	return v
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
