package mcp

import (
	"context"
	"errors"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tokenboundary/tokenboundary/verify"
)

// receive is the middleware that lets through what was admitted, and nothing else: by the method and the name that the SDK
// acts on, however it has read the message.
func (g *Guard) receive(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		a, ok := admitted(req)
		if !ok || a.guard != g || a.action != (action{method, toolOf(req)}) {
			return nil, refused("insufficient_scope: The request was not admitted as what it is")
		}
		// The context has the values of the request that opened the session: the claims of this one take their place.
		ctx, stop := a.while(verify.WithClaims(ctx, a.claims), method == listen)
		defer stop()
		result, err := next(ctx, method, req)
		if errors.Is(context.Cause(ctx), errDead) {
			return nil, refused("invalid_token: The access token is not acceptable any more")
		}
		if list, ok := result.(*mcp.ListToolsResult); ok && err == nil {
			return g.governed(list), nil
		}
		return result, err
	}
}

// admitted returns the admission of a request. There is none for what did not come through Handler.
func admitted(req mcp.Request) (*admission, bool) {
	e := req.GetExtra()
	if e == nil || e.TokenInfo == nil {
		return nil, false
	}
	a, ok := e.TokenInfo.Extra[extra].(*admission)
	return a, ok
}

func toolOf(req mcp.Request) string {
	if p, ok := req.GetParams().(*mcp.CallToolParamsRaw); ok && p != nil {
		return p.Name
	}
	return ""
}

// governed returns a list without the tools that have no rule.
func (g *Guard) governed(list *mcp.ListToolsResult) *mcp.ListToolsResult {
	out := *list
	out.Tools = make([]*mcp.Tool, 0, len(list.Tools))
	for _, t := range list.Tools {
		if _, ok := g.cfg.Tools[t.Name]; ok {
			out.Tools = append(out.Tools, t)
		}
	}
	return &out
}
