package endpoint_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/endpoint"
	"github.com/tokenboundary/tokenboundary/internal/canary"
	"github.com/tokenboundary/tokenboundary/mint"
)

// watched makes every test of a server a canary test: whatever secret is presented or handed out must not be in anything
// that somebody else may read when the test ends.
func (s *server) watched(cfg tokenboundary.Config) tokenboundary.Config {
	s.canary = canary.Watch(s.T)
	for id := range clients {
		if !slices.Contains(signers, id) {
			s.canary.Plant("client secret", secret(id))
		}
	}
	cfg.Store = canary.Store{Store: cfg.Store, Keeper: s.canary}
	cfg.Logger = slog.New(slog.NewJSONHandler(s.canary.Writer("log"), &slog.HandlerOptions{Level: slog.LevelDebug}))
	cfg.Minter = watchedMinter{cfg.Minter, s.canary}
	return cfg
}

// watchedMinter plants the tokens that are minted.
type watchedMinter struct {
	tokenboundary.Minter
	k *canary.Keeper
}

func (m watchedMinter) Mint(ctx context.Context, c tokenboundary.Claims) (string, error) {
	raw, err := m.Minter.Mint(ctx, c)
	m.k.Plant("minted token", raw)
	return raw, err
}

// credentials are the parameters that hold a secret.
var credentials = []string{
	"client_secret", "client_assertion", "subject_token", "actor_token", "refresh_token", "deferral_code", "token",
}

// observed plants what requests present, and sees all of every answer except the members that are for whoever is answered.
func (s *server) observed(h http.Handler) http.Handler {
	log := s.log
	s.Cleanup(func() { s.canary.See("log", log.String()) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(raw), failed{err}))
		s.presented(r, string(raw))
		if _, err := time.ParseDuration(r.URL.Query().Get("wait")); err == nil || strings.HasSuffix(r.URL.Path, "/tree") {
			h.ServeHTTP(w, r) // an answer that comes in parts; what it says, other answers say too
			return
		}
		rec := httptest.NewRecorder()
		defer func() { // also where the connection is cut
			maps.Copy(w.Header(), rec.Header())
			s.answered(r.URL.Path, rec)
			if v := recover(); v != nil {
				panic(v)
			}
			w.WriteHeader(rec.Code)
			_, _ = w.Write(rec.Body.Bytes())
		}()
		h.ServeHTTP(rec, r)
	})
}

// failed is the end of a body: the error that it broke off with, if it did.
type failed struct{ err error }

func (f failed) Read([]byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return 0, io.EOF
}

// presented plants what is secret in a request.
func (s *server) presented(r *http.Request, body string) {
	for _, h := range r.Header["Authorization"] {
		scheme, value, _ := strings.Cut(h, " ")
		s.canary.Plant(scheme+" credential", value)
	}
	s.canary.Plant("proof", r.Header["Dpop"]...)
	form, _ := url.ParseQuery(body)
	for _, name := range credentials {
		s.canary.Plant(name, form[name]...)
	}
}

// handedOut are the members by which an answer hands out a secret, by the last segment of the path.
var handedOut = map[string][]string{"token": {"access_token", "refresh_token", "deferral_code"}}

// answered sees an answer without what belongs into it.
func (s *server) answered(path string, rec *httptest.ResponseRecorder) {
	for name, values := range rec.Header() {
		s.canary.See("answer", append(values, name)...)
	}
	text := rec.Body.String()
	var members map[string]any
	if json.Unmarshal(rec.Body.Bytes(), &members) == nil {
		for _, name := range handedOut[path[strings.LastIndex(path, "/")+1:]] {
			if value, ok := members[name].(string); ok {
				s.canary.Plant(name, value)
				text = strings.Replace(text, `"`+value+`"`, `""`, 1)
			}
		}
	}
	s.canary.See("answer", text)
}

// sources makes the server one whose only identity source is f, watched by k.
func (s *server) sources(k *canary.Keeper, f tokenboundary.IdentityFunc) {
	m, err := mint.Open(s.Context(), mint.Config{Issuer: issuer, Store: s.store, Signer: s.key, Clock: s.clock})
	require.NoError(s, err)
	g, err := tokenboundary.New(tokenboundary.Config{
		Issuer: issuer, Minter: m, Clients: clients, Clock: s.clock, Policy: tokenboundary.PolicyFunc(nil),
		Store:      canary.Store{Store: s.store, Keeper: k},
		Logger:     slog.New(slog.NewJSONHandler(k.Writer("log"), &slog.HandlerOptions{Level: slog.LevelDebug})),
		Identities: append(s.identities()[:1:1], f),
	})
	require.NoError(s, err)
	h, err := endpoint.New(g, endpoint.Config{Clock: s.clock, Logger: slog.New(slog.NewJSONHandler(k.Writer("log"), nil))})
	require.NoError(s, err)
	srv := httptest.NewServer(s.observed(h))
	s.Cleanup(srv.Close)
	s.url = srv.URL + "/tenant"
}
