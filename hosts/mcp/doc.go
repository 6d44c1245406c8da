// Package mcp puts a boundary on both sides of github.com/modelcontextprotocol/go-sdk: a Guard protects an MCP server over
// streamable HTTP, tool by tool, and HTTPClient gives an MCP client a token of its own for each call of each task, on one MCP
// session. The package has the name of the SDK's own; import it under another one.
//
//	import governed "github.com/tokenboundary/tokenboundary/hosts/mcp"
//
// # The server
//
//	guard, err := governed.New(governed.Config{
//		Verifier: verifier, // a verify.Verifier, for the MCP endpoint as its resource
//		Session:  verify.Route{Scopes: []string{"mcp"}},
//		Tools:    map[string]verify.Route{"search": {Scopes: []string{"cases:read"}}},
//	})
//	mux.Handle("/mcp", guard.Handler(server, nil))
//	mux.Handle("/.well-known/oauth-protected-resource/mcp", verifier.Metadata())
//
// Every request is verified by itself, whatever MCP session it belongs to, and answered with the challenges of package
// verify; with them, and with the metadata of the resource, a client finds the boundary. A tool or a method without a rule
// is refused, and such a tool is not listed. What the SDK then makes of a message must be what it was admitted as.
//
// Tools find the claims of their call with verify.ClaimsFrom. They never see the token: it has left the request before
// the SDK reads it, so that no tool can pass it on.
//
// # The client
//
//	client, err := governed.HTTPClient(governed.ClientConfig{
//		Endpoint: endpoint, Connection: connection, Scopes: []string{"mcp"}, // a task of the agent itself
//		Tools: map[string][]string{"search": {"cases:read"}},
//	})
//	session, err := mcp.NewClient(…).Connect(ctx, &mcp.StreamableClientTransport{Endpoint: endpoint, HTTPClient: client}, nil)
//	result, err := session.CallTool(governed.WithTask(ctx, task), &mcp.CallToolParams{Name: "search"})
//
// What is on the wire says which token goes with it: a tool call has one of its task, for the scopes of that tool; what
// belongs to no task has one of the connection. A call that is refused, by the boundary or by the server, fails alone: the MCP
// session and the other tasks go on. No challenge of a server widens what is asked for.
//
// # Limits
//
//   - Streamable HTTP only: a message over stdio has no token.
//   - Batches of JSON-RPC are refused; the protocol has none since 2025-06-18.
//   - An open stream of a key-bound token ends with the token, and not with its revocation: nothing proves the key again. A
//     call with it is refused like any other.
//   - While it is not known what was revoked, new requests are judged by verify.Config.FeedLost; what runs already runs on.
//   - The connection's own task carries the MCP session: when it is over, the client can no longer open, list or listen.
package mcp
