package agent

import (
	"context"
	"encoding/binary"
	"slices"
	"strings"
)

// Call is one thing that a task is about to do, and what it takes. The zero Call takes nothing, and there is no token for
// it.
type Call struct {
	// Tool is the tool that makes the call. The boundary is not told; each tool has tokens of its own.
	Tool string
	// Resource is where the token will be good, Scopes what for. Both are required, except in a Call that Session.Transport
	// completes by its rules.
	Resource string
	Scopes   []string
	// Connection names the connection; empty: that of the session.
	Connection string
}

// Bounds of a Call, as of a token request.
const (
	maxScopes = 128
	maxText   = 2048
)

type callKey struct{}

// WithCall returns a context that carries c, for Session.Transport and for whoever makes requests on behalf of a tool.
func WithCall(ctx context.Context, c Call) context.Context {
	c.Scopes = slices.Clone(c.Scopes)
	return context.WithValue(ctx, callKey{}, c)
}

// CallFrom returns the Call that ctx carries. Its Scopes must not be changed.
func CallFrom(ctx context.Context) (Call, bool) {
	c, ok := ctx.Value(callKey{}).(Call)
	return c, ok
}

// appendKey appends a text that no other call has. The same scopes in another order are another call.
func (c Call) appendKey(out []byte) []byte {
	for _, s := range [...]string{c.Tool, c.Resource, c.Connection} {
		out = append(binary.AppendUvarint(out, uint64(len(s))), s...)
	}
	for _, s := range c.Scopes {
		out = append(binary.AppendUvarint(out, uint64(len(s))), s...)
	}
	return out
}

// normal returns c with its scopes sorted, each once. An error wraps tokenboundary.ErrInvalid.
func (c Call) normal() (Call, error) {
	switch {
	case c.Resource == "":
		return c, invalid("Call.Resource is required")
	case len(c.Scopes) == 0:
		return c, invalid("Call.Scopes is required")
	case len(c.Scopes) > maxScopes || len(c.Resource) > maxText || len(c.Tool) > maxText || len(c.Connection) > maxText:
		return c, invalid("Call is too long")
	}
	for _, s := range c.Scopes {
		if !scopeToken(s) {
			return c, invalid("Call.Scopes has what is no scope")
		}
	}
	c.Scopes = slices.Compact(slices.Sorted(slices.Values(c.Scopes)))
	return c, nil
}

// scopeToken reports whether s is a scope-token (RFC 6749, section 3.3).
func scopeToken(s string) bool {
	return s != "" && len(s) <= 256 && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= 0x20 || r > 0x7e || r == '"' || r == '\\'
	})
}
