package endpoint

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary"
)

// Config is what a Handler needs beside its Governor. The zero value serves everything but the key set.
type Config struct {
	// JWKS returns the JSON of the public keys that tokens are signed with. Nil: there is no /jwks.json.
	JWKS func(ctx context.Context) ([]byte, error)
	// Metadata adds members to the metadata document, or replaces those that depend on what is configured: the
	// authentication methods and algorithms, those of proofs of possession (dpop_signing_alg_values_supported), the types
	// of authorization_details. It must not name the issuer, one of the endpoints, or what is served in any case.
	Metadata map[string]any
	// Policies returns the version of the policy set in force and, while a newer one is refused, why. Everybody who
	// reaches /healthz sees the text of that error. Nil: /healthz says nothing of policies.
	Policies func() (version string, err error)
	// Logger receives a line per request, without any value that came with it. Nil: nothing is logged.
	Logger *slog.Logger
	// Clock is where time comes from. Nil: the machine's.
	Clock clock.Clock
}

// Handler serves the endpoints of one Governor. It is safe for concurrent use; make it with New.
type Handler struct {
	g        *tokenboundary.Governor
	cfg      Config
	base     []string // the path segments of the issuer
	token    string   // the URL of the token endpoint, as it is published
	routes   []route
	metadata []byte
	tree     int // maxTree, except in tests
}

// New returns the handler of g. The error names the field of cfg that it cannot work with.
func New(g *tokenboundary.Governor, cfg Config) (*Handler, error) {
	if g == nil {
		return nil, errors.New("endpoint: a Governor is required")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.New()
	}
	issuer, err := url.Parse(g.Issuer())
	if err != nil {
		return nil, errors.New("endpoint: the issuer is not a URL")
	}
	h := &Handler{g: g, cfg: cfg, tree: maxTree, token: below(g.Issuer(), "/token")}
	if path := strings.TrimSuffix(issuer.EscapedPath(), "/"); path != "" {
		h.base = segments(path)
	}
	if h.metadata, err = metadata(g.Issuer(), cfg); err != nil {
		return nil, fmt.Errorf("endpoint: Config.Metadata: %w", err)
	}
	h.routes = h.table()
	return h, nil
}

// route is one method at one path. A segment "{id}" of the pattern stands for any one segment.
type route struct {
	method  string
	pattern string // for the log, below the issuer's path
	path    []string
	handle  func(*call) error
}

// wellKnown is the place of the metadata document (RFC 8414, section 3).
const wellKnown = "/.well-known/oauth-authorization-server"

func (h *Handler) table() []route {
	var out []route
	add := func(method, pattern string, handle func(*call) error) {
		out = append(out, route{method, pattern, append(h.base[:len(h.base):len(h.base)], segments(pattern)...), handle})
	}
	// The well-known path stands before that of the issuer, and also below it, like everything else.
	out = append(out, route{http.MethodGet, wellKnown, append(segments(wellKnown), h.base...), h.serveMetadata})
	add(http.MethodGet, wellKnown, h.serveMetadata)
	if h.cfg.JWKS != nil {
		add(http.MethodGet, "/jwks.json", h.serveKeys)
	}
	add(http.MethodGet, "/healthz", h.serveHealth)
	add(http.MethodPost, "/token", h.serveToken)
	add(http.MethodPost, "/introspect", h.serveIntrospect)
	add(http.MethodPost, "/revoke", h.serveRevoke)
	add(http.MethodGet, "/tasks/{id}", h.serveTask)
	add(http.MethodPost, "/tasks/{id}/complete", h.setTask(tokenboundary.TaskCompleted))
	add(http.MethodPost, "/tasks/{id}/suspend", h.setTask(tokenboundary.TaskSuspended))
	add(http.MethodPost, "/tasks/{id}/resume", h.setTask(tokenboundary.TaskActive))
	add(http.MethodGet, "/lineage/{id}", h.serveLineage)
	add(http.MethodGet, "/lineage/{id}/tree", h.serveTree)
	add(http.MethodPost, "/revocations", h.serveCut)
	add(http.MethodGet, "/revocations", h.serveFeed)
	add(http.MethodGet, "/revocations/{id}", h.serveClosure)
	add(http.MethodPost, "/erasures", h.serveErase)
	add(http.MethodGet, "/approvals", h.serveApprovals)
	add(http.MethodPost, "/approvals/{id}", h.serveApprove)
	add(http.MethodPost, "/signals", h.serveSignal)
	add(http.MethodPost, "/usage", h.serveUsage)
	return out
}

// below returns the URL of a path below that of the issuer.
func below(issuer, path string) string { return strings.TrimSuffix(issuer, "/") + path }

// maxPath bounds a path, in bytes. The longest that is served is an issuer's with a selector in it, which is a name.
const maxPath = 4 << 10

// segments splits an escaped path that begins with a slash.
func segments(path string) []string { return strings.Split(path[1:], "/") }

// find returns the route of a request, the segment that stands for {id}, and the methods that the path has at all.
func (h *Handler) find(r *http.Request) (found *route, id string, allow []string) {
	if len(r.URL.Path) > maxPath || !strings.HasPrefix(r.URL.Path, "/") { // before it is escaped and split
		return nil, "", nil
	}
	have := segments(r.URL.EscapedPath())
	for i := range h.routes {
		rt := &h.routes[i]
		value, ok := rt.matches(have)
		if !ok {
			continue
		}
		if r.Method == rt.method || r.Method == http.MethodHead && rt.method == http.MethodGet {
			return rt, value, nil
		}
		allow = append(allow, rt.method)
		if rt.method == http.MethodGet {
			allow = append(allow, http.MethodHead)
		}
	}
	return nil, "", allow
}

func (rt *route) matches(have []string) (id string, ok bool) {
	if len(have) != len(rt.path) {
		return "", false
	}
	for i, want := range rt.path {
		if want == "{id}" && have[i] != "" {
			id = have[i]
		} else if want != have[i] {
			return "", false
		}
	}
	return id, true
}
