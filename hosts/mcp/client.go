package mcp

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/agent"
)

// ClientConfig is what an HTTPClient is made of. Endpoint, Connection and Scopes are required.
type ClientConfig struct {
	// Endpoint is the URL of the MCP server: https, or http to a loopback address. Tokens go there and nowhere else.
	Endpoint string
	// Resource is the resource that tokens are asked for; empty: Endpoint.
	Resource string
	// Connection is the task whose tokens go with what belongs to no other one, for Scopes: it opens the MCP session, lists
	// what there is, listens and closes.
	Connection *agent.Session
	Scopes     []string
	// Tools are the scopes that a call of each tool takes. A call of one that is not here is refused, and not sent.
	Tools map[string][]string
	// Methods are the scopes of other methods that a task calls, such as "prompts/get". What is not here goes with a token of
	// Connection.
	Methods map[string][]string
	// Base makes the requests; nil: http.DefaultTransport.
	Base http.RoundTripper
}

// HTTPClient returns the client for mcp.StreamableClientTransport.HTTPClient. A call has a token of the task in its
// context (see WithTask), for the scopes of its tool and no others, whatever a server asks for. Its OAuthHandler stays nil.
//
// The errors of a call are those of agent.Session.Token and agent.Transport, with errors.Is and errors.As; where the
// server refused the token, and another one after a 401 as well, tokenboundary.ErrDenied. They end that call only. The error of
// HTTPClient names the field of cfg that it cannot work with.
func HTTPClient(cfg ClientConfig) (*http.Client, error) {
	switch {
	case cfg.Connection == nil:
		return nil, invalid("ClientConfig.Connection is required")
	case len(cfg.Scopes) == 0:
		return nil, invalid("ClientConfig.Scopes is required")
	}
	for _, m := range []map[string][]string{cfg.Tools, cfg.Methods} {
		for name, scopes := range m {
			if name == "" || name == callTool || len(scopes) == 0 {
				return nil, invalid(fmt.Sprintf("ClientConfig: %q has no scopes, or is no name of a tool or method", name))
			}
		}
	}
	cfg.Scopes, cfg.Tools, cfg.Methods = slices.Clone(cfg.Scopes), maps.Clone(cfg.Tools), maps.Clone(cfg.Methods)
	t := &transport{cfg: cfg, rules: agent.Rules{Allow: []agent.Rule{{URL: cfg.Endpoint, Resource: cfg.Resource}}}}
	if _, err := cfg.Connection.Transport(cfg.Base, t.rules); err != nil {
		return nil, fmt.Errorf("mcp: ClientConfig.Endpoint: %w", err)
	}
	return &http.Client{Transport: t}, nil
}

type taskKey struct{}

// WithTask returns a context whose calls belong to a task. Without one they belong to ClientConfig.Connection.
func WithTask(ctx context.Context, s *agent.Session) context.Context {
	return context.WithValue(ctx, taskKey{}, s)
}

type transport struct {
	cfg   ClientConfig
	rules agent.Rules
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	session, call, err := t.call(r)
	if err != nil {
		closeBody(r)
		return nil, err
	}
	via, err := session.Transport(t.cfg.Base, t.rules)
	if err != nil {
		closeBody(r)
		return nil, err
	}
	resp, err := via.RoundTrip(r.WithContext(agent.WithCall(r.Context(), call)))
	if err != nil || r.Method != http.MethodPost || resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusForbidden {
		return resp, err
	}
	// As an answer it would end the MCP session, with the calls of every task. What the server says of it is not repeated: it
	// could be the token.
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	_ = resp.Body.Close()
	return nil, fmt.Errorf("mcp: the server answered with status %d: %w", resp.StatusCode, tokenboundary.ErrDenied)
}

// call returns what a request takes, by what it says on the wire: a notification in the context of a call is not that call.
func (t *transport) call(r *http.Request) (*agent.Session, agent.Call, error) {
	a, err := sent(r)
	if err != nil {
		return nil, agent.Call{}, fmt.Errorf("mcp: the message cannot be read: %w", err)
	}
	scopes, ofTask := t.cfg.Methods[a.method]
	c := agent.Call{Tool: a.method, Scopes: scopes}
	if a.method == callTool {
		c = agent.Call{Tool: a.tool, Scopes: t.cfg.Tools[a.tool]}
		if ofTask = len(c.Scopes) > 0; !ofTask {
			return nil, c, fmt.Errorf("mcp: the tool %q is not in ClientConfig.Tools: %w", a.tool, tokenboundary.ErrDenied)
		}
	}
	if !ofTask {
		return t.cfg.Connection, agent.Call{Scopes: t.cfg.Scopes}, nil
	}
	if s, ok := r.Context().Value(taskKey{}).(*agent.Session); ok {
		if s == nil {
			return nil, c, invalid("the task in the context is nil")
		}
		return s, c, nil
	}
	return t.cfg.Connection, c, nil
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close() // nothing was read from it
	}
}

func invalid(why string) error { return fmt.Errorf("mcp: %s: %w", why, tokenboundary.ErrInvalid) }
