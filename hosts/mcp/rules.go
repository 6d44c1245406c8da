package mcp

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary/verify"
)

const callTool = "tools/call"

// sessionMethods are what it takes to use a session at all; they give access to nothing.
var sessionMethods = map[string]bool{
	"initialize": true, "server/discover": true, "ping": true, "tools/list": true, "logging/setLevel": true, listen: true,
}

// listen keeps a stream open, for as long as the server has something to tell.
const listen = "subscriptions/listen"

// Config is what a Guard is made of. Verifier and Session are required.
type Config struct {
	// Verifier verifies the tokens. Its resource is the URL of the MCP endpoint, as clients know it; its Scopes are
	// published as scopes_supported. It has to Run.
	Verifier *verify.Verifier
	// Session is what those requests require that give access to nothing: initialize, server/discover, ping, tools/list,
	// logging/setLevel, subscriptions/listen, notifications and answers of the client, and GET and DELETE.
	Session verify.Route
	// Tools are what calls require, by the name of the tool, in place of Session. A tool that is not here is refused, and not
	// listed. All others are listed, also to those who may not call them: a token is for one call, and not for a list.
	Tools map[string]verify.Route
	// Methods are what other methods require, such as "prompts/get" or "resources/read", in place of Session. One that
	// is neither here nor of Session is refused.
	Methods map[string]verify.Route
	// Clock is by what open streams end. Nil: the machine's.
	Clock clock.Clock
}

func (cfg *Config) check() error {
	if cfg.Verifier == nil {
		return errors.New("mcp: Config.Verifier is required")
	}
	if shut(cfg.Session) {
		return errors.New("mcp: Config.Session is required: it has neither Scopes nor AnyScope")
	}
	for name, r := range cfg.Tools {
		if name == "" || shut(r) {
			return fmt.Errorf("mcp: Config.Tools[%q] has no name, or neither Scopes nor AnyScope", name)
		}
	}
	for name, r := range cfg.Methods {
		if name == "" || name == callTool || shut(r) {
			return fmt.Errorf("mcp: Config.Methods[%q] is no method with a rule of its own, or has neither Scopes nor AnyScope", name)
		}
	}
	cfg.Tools, cfg.Methods = maps.Clone(cfg.Tools), maps.Clone(cfg.Methods)
	if cfg.Clock == nil {
		cfg.Clock = clock.New()
	}
	return nil
}

// shut reports whether a route lets nothing through, which nobody writes down on purpose.
func shut(r verify.Route) bool { return len(r.Scopes) == 0 && !r.AnyScope }

// route returns what a message requires. The zero route lets nothing through.
func (cfg *Config) route(a action) verify.Route {
	if a.method == callTool {
		return cfg.Tools[a.tool]
	}
	if r, ok := cfg.Methods[a.method]; ok {
		return r
	}
	if a.method == "" || sessionMethods[a.method] || strings.HasPrefix(a.method, "notifications/") {
		return cfg.Session
	}
	return verify.Route{}
}
