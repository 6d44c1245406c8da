package mcp_test

import (
	"context"
	"fmt"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tokenboundary/tokenboundary/agent"
	governed "github.com/tokenboundary/tokenboundary/hosts/mcp"
)

// A client gives each call of each task a token of its own, on one session. The server says no to one call, and goes on.
func ExampleHTTPClient() {
	call := func(ctx context.Context, endpoint string, connection, task *agent.Session) error {
		client, err := governed.HTTPClient(governed.ClientConfig{
			Endpoint: endpoint, Connection: connection, Scopes: []string{"mcp"},
			Tools: map[string][]string{"search": {"cases:read"}},
		})
		if err != nil {
			return err
		}
		session, err := mcp.NewClient(&mcp.Implementation{Name: "bot", Version: "1"}, nil).
			Connect(ctx, &mcp.StreamableClientTransport{Endpoint: endpoint, HTTPClient: client}, nil)
		if err != nil {
			return err
		}
		defer session.Close() //nolint:errcheck // an example
		_, err = session.CallTool(governed.WithTask(ctx, task), &mcp.CallToolParams{Name: "search"})
		return err
	}
	fmt.Println(call(context.Background(), "http://mcp.example.com/mcp", nil, nil))
	// Output: mcp: ClientConfig.Connection is required: tokenboundary: invalid argument
}
