package gate

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
)

// Config configures a Gate. Governor, Token and Clients are required.
type Config struct {
	Governor *tokenboundary.Governor
	// Token is the URL of the token endpoint behind the gate: https, or http to a loopback address. Clients must not be
	// able to reach it, or at least not to authenticate there. It must mint a new token for every request.
	Token string
	// Revocation is the URL of its revocation endpoint (RFC 7009), to which a token goes that was minted and cannot be
	// released. Empty: such a token is discarded, and lives where it was minted until it expires.
	Revocation string
	// Clients says how the gate authenticates there in the name of each client, by client id. A client that is not here
	// gets nothing. At the gate, clients authenticate as at the boundary, by its Identities.
	Clients map[string]exchange.Authenticator
	// Keys seal the refresh tokens of the endpoint, which a client gets in no other form, together with the family that
	// they belong to: the first seals, all open. Each is a random secret of at least 32 characters, the same at all gates.
	// Without any there are no refresh tokens.
	Keys []Secret
	// ResourceParameter is the parameter by which the endpoint knows resources. Empty: resource (RFC 8707).
	ResourceParameter string
	// ConnectionParameter is the parameter by which the endpoint knows the connection, as connector_id is for Dex. Empty:
	// it does not know it.
	ConnectionParameter string
	// HTTPClient sends the requests. Nil: one of its own. Its CheckRedirect and Jar are not used: no redirect is followed, and no
	// cookie is kept.
	HTTPClient *http.Client
	// Timeout bounds how long the endpoint may take. Zero: ten seconds.
	Timeout time.Duration
	// Clock is where time comes from. Nil: the machine's.
	Clock clock.Clock
	// Logger receives a line per request, without any value that came with it. Nil: nothing is logged.
	Logger *slog.Logger
}

// Gate governs a token endpoint that it stands in front of. It is an http.Handler for that endpoint alone, at whatever path
// it is mounted; it is safe for concurrent use. Make it with New.
type Gate struct {
	cfg   Config
	seals seals
}

// New returns a Gate. The error names the field of cfg that it cannot work with.
func New(cfg Config) (*Gate, error) {
	switch {
	case cfg.Governor == nil:
		return nil, errors.New("gate: Config.Governor is required")
	case !secure(cfg.Token):
		return nil, errors.New("gate: Config.Token must be an https URL, or an http URL of a loopback address")
	case cfg.Revocation != "" && !secure(cfg.Revocation):
		return nil, errors.New("gate: Config.Revocation must be an https URL, or an http URL of a loopback address")
	case cfg.Timeout < 0:
		return nil, errors.New("gate: Config.Timeout is negative")
	case len(cfg.Clients) == 0:
		return nil, errors.New("gate: Config.Clients is required")
	}
	for id, auth := range cfg.Clients {
		if id == "" || auth == nil {
			return nil, errors.New("gate: Config.Clients has a client without a name, or that cannot authenticate")
		}
	}
	s, err := sealsOf(cfg.Keys)
	if err != nil {
		return nil, err
	}
	cfg.Clients, cfg.Keys = maps.Clone(cfg.Clients), nil
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = &http.Client{}
	}
	own := *cfg.HTTPClient
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	own.Jar = nil // a session of one client must not be another's
	cfg.HTTPClient = &own
	if cfg.ResourceParameter == "" {
		cfg.ResourceParameter = "resource"
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.New()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Gate{cfg: cfg, seals: s}, nil
}

// secure reports whether credentials may be sent to a URL.
func secure(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || u.User != nil || strings.Contains(raw, "#") {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

// ServeHTTP implements http.Handler. Of the request it reads the body and the client's credential; neither its query string
// nor any header reaches the endpoint.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := context.WithoutCancel(r.Context()) // what was minted is recorded or revoked, whether or not the client still waits
	p, err := g.serve(ctx, r)
	attrs := []slog.Attr{slog.String("client", p.decision.Client), slog.String("decision", p.decision.ID.String())}
	if err == nil {
		g.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "gate", append(attrs, slog.Int("status", http.StatusOK))...)
		Answer{http.StatusOK, p.answer}.write(w)
		return
	}
	e := exchange.AsError(err)
	level := slog.LevelInfo
	if attrs = append(attrs, slog.String("error", e.Code)); e.Status >= http.StatusInternalServerError {
		level, attrs = slog.LevelError, append(attrs, slog.String("cause", err.Error()))
	}
	g.cfg.Logger.LogAttrs(ctx, level, "gate", append(attrs, slog.Int("status", e.Status))...)
	if e.Status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", http.MethodPost)
	}
	e.Write(w)
}
