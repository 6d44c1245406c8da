// Command example runs a boundary, an MCP server that trusts its tokens, and an agent with two tasks on one MCP session.
// Everything is in this process, over HTTP on loopback.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/agent"
	governed "github.com/tokenboundary/tokenboundary/hosts/mcp"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/verify"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// tools are the scopes that the tools take.
var tools = map[string][]string{"search": {"cases:read"}, "note": {"cases:write"}, "refund": {"refunds:write"}}

func run(ctx context.Context, out io.Writer) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	server := httptest.NewUnstartedServer(nil) // takes a free port of this machine
	defer server.Close()
	endpoint := "http://" + server.Listener.Addr().String() + "/mcp"
	boundary, keys, err := newBoundary(ctx, endpoint)
	if err != nil {
		return err
	}
	if server.Config.Handler, err = protected(ctx, boundary, keys, endpoint); err != nil {
		return err
	}
	server.Start()

	start := func(purpose string, scopes ...string) (*agent.Session, error) {
		return agent.Start(ctx, agent.Config{
			Boundary: agent.Local{Governor: boundary, Client: func(context.Context) (tb.Credential, error) { return is("bot"), nil }},
			Task:     tb.TaskSpec{Purpose: purpose, Authority: []lineage.Access{{Resource: endpoint, Scopes: scopes}}},
		})
	}
	connection, err1 := start("connect", "mcp")
	triage, err2 := start("triage", "cases:read", "cases:write")
	report, err3 := start("report", "cases:read")
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	client, err := governed.HTTPClient(governed.ClientConfig{Endpoint: endpoint, Connection: connection, Scopes: []string{"mcp"}, Tools: tools})
	if err != nil {
		return err
	}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "bot", Version: "1"}, nil).
		Connect(ctx, &mcp.StreamableClientTransport{Endpoint: endpoint, HTTPClient: client}, nil)
	if err != nil {
		return err
	}
	defer session.Close() //nolint:errcheck // the server ends with this program

	call := func(name string, task *agent.Session, tool string) {
		said := "refused"
		switch res, err := session.CallTool(governed.WithTask(ctx, task), &mcp.CallToolParams{Name: tool}); {
		case errors.Is(err, agent.ErrEnded):
			said = "the task is over"
		case err == nil:
			said = res.Content[0].(*mcp.TextContent).Text //nolint:errcheck // our server says nothing else
		}
		_, _ = fmt.Fprintf(out, "%s, %s: %s\n", name, tool, said)
	}
	call("triage", triage, "search")
	call("triage", triage, "note")
	call("triage", triage, "refund") // no part of the task
	call("report", report, "search")
	call("report", report, "note")
	if err := triage.Complete(ctx); err != nil {
		return err
	}
	call("triage", triage, "search")
	call("report", report, "search")
	return nil
}

// protected is the MCP server, behind its guard.
func protected(ctx context.Context, boundary *tb.Governor, keys *mint.Mint, endpoint string) (http.Handler, error) {
	jwks, err := keys.JWKS(ctx)
	if err != nil {
		return nil, err
	}
	verifier, err := verify.New(verify.Config{
		Issuer: boundary.Issuer(), Resource: endpoint, JWKS: jwks, Scopes: []string{"mcp", "cases:read", "cases:write", "refunds:write"},
		Boundary: verify.Local{Governor: boundary, Client: tb.Client{ID: "crm", Kind: tb.KindResource, Resource: endpoint}},
	})
	if err != nil {
		return nil, err
	}
	go verifier.Run(ctx) //nolint:errcheck // until this program ends
	rules := map[string]verify.Route{}
	server := mcp.NewServer(&mcp.Implementation{Name: "crm", Version: "1"}, nil)
	for name, scopes := range tools {
		rules[name] = verify.Route{Scopes: scopes}
		mcp.AddTool(server, &mcp.Tool{Name: name}, func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
			c, _ := verify.ClaimsFrom(ctx)
			text := fmt.Sprintf("done, with %q in a task of %s", c.Scope, c.Task.Purpose)
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, nil
		})
	}
	guard, err := governed.New(governed.Config{Verifier: verifier, Session: verify.Route{Scopes: []string{"mcp"}}, Tools: rules})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/mcp", guard.Handler(server, nil))
	mux.Handle("/.well-known/oauth-protected-resource/mcp", verifier.Metadata())
	return mux, verifier.Await(ctx, 0)
}
