package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/verify"
)

// Guard protects MCP servers with the tokens of a boundary. It is safe for concurrent use; make it with New.
type Guard struct {
	cfg Config
}

// New returns a Guard. The error names the field of cfg that it cannot work with.
func New(cfg Config) (*Guard, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	return &Guard{cfg: cfg}, nil
}

// admission is what a request was let through for. Of its token it has nothing that could be printed.
type admission struct {
	guard  *Guard
	action action
	claims tokenboundary.Claims
	watch  func(ctx context.Context, dead context.CancelCauseFunc)
}

type admissionKey struct{}

// extra is where an admission lies in auth.TokenInfo.Extra.
const extra = "tokenboundary"

// Handler returns the streamable HTTP handler of the SDK for a server, behind the guard, and adds the receiving middleware to
// the server that makes it work: call it once for each. A server that is reached any other way then refuses every
// message. Opts may be nil; a body is never read without a limit.
//
// A token is good for the whole of one HTTP request, and the MCP session is bound to its subject. A refusal has the status
// and the challenge of verify.Verifier.Require, with the scopes that the call requires, and for a call the body of a
// JSON-RPC error, which fails that call and not the connection of the client.
//
// A token that is found revoked while its call runs, or a stream is open, ends it: the context of the tool is done, and
// what it still returns is withheld. A stream that only listens also ends with its token.
func (g *Guard) Handler(server *mcp.Server, opts *mcp.StreamableHTTPOptions) http.Handler {
	o := mcp.StreamableHTTPOptions{}
	if opts != nil {
		o = *opts
	}
	if o.MaxRequestBodyBytes <= 0 {
		o.MaxRequestBodyBytes = mcp.DefaultMaxRequestBodyBytes
	}
	server.AddReceivingMiddleware(g.receive)
	inner := identified(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &o))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.serve(inner, o.MaxRequestBodyBytes, w, r) })
}

func (g *Guard) serve(inner http.Handler, limit int64, w http.ResponseWriter, r *http.Request) {
	wanted, id, err := look(w, r, limit)
	if err != nil {
		status := http.StatusBadRequest
		if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
			status = http.StatusRequestEntityTooLarge
		}
		http.Error(w, "the body cannot be read", status)
		return
	}
	answer := &refusal{header: w.Header()}
	raw, at := r.Header.Get("Authorization"), g.cfg.Verifier.State().Position
	g.cfg.Verifier.Require(g.cfg.route(wanted))(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		answer.not = true
		claims, _ := verify.ClaimsFrom(r.Context())
		a := &admission{guard: g, action: wanted, claims: claims, watch: g.watcher(claims, raw, at)}
		ctx := context.WithValue(r.Context(), admissionKey{}, a)
		if r.Method == http.MethodGet {
			var stop context.CancelFunc
			ctx, stop = a.while(ctx, true)
			defer stop()
		}
		inner.ServeHTTP(w, r.WithContext(ctx))
	})).ServeHTTP(answer, r)
	answer.send(w, id)
}

// look reads what a request wants, and leaves its body as it was. One that presents nothing is not read.
func look(w http.ResponseWriter, r *http.Request, limit int64) (action, json.RawMessage, error) {
	if r.Method != http.MethodPost || r.Header.Get("Authorization") == "" {
		return action{}, nil, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		return action{}, nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	a, id := read(bytes.NewReader(body))
	return a, id, nil
}

// identified tells the SDK who was let through, and takes the token and the proof from the request.
func identified(next http.Handler) http.Handler {
	known := auth.RequireBearerToken(func(ctx context.Context, _ string, _ *http.Request) (*auth.TokenInfo, error) {
		a, ok := ctx.Value(admissionKey{}).(*admission)
		if !ok || a.claims.Subject == "" {
			return nil, auth.ErrInvalidToken
		}
		return &auth.TokenInfo{
			Scopes: strings.Fields(a.claims.Scope), Expiration: time.Unix(a.claims.ExpiresAt, 0),
			UserID: a.claims.Subject, Extra: map[string]any{extra: a},
		}, nil
	}, &auth.RequireBearerTokenOptions{ClockSkew: math.MaxInt64}) // the Verifier has compared the time, by its clock
	bare := known(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Authorization")
		next.ServeHTTP(w, r)
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header = r.Header.Clone() // r is ours, its header is not
		r.Header.Set("Authorization", "Bearer verified")
		r.Header.Del("DPoP")
		bare.ServeHTTP(w, r)
	})
}
