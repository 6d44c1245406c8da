package tokenboundary_test

import (
	"context"
	"log/slog"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// leakWatch makes every test of a world a canary test: whatever secret is presented or handed out must not be in anything
// that somebody else may read when the test ends.
type leakWatch struct{ canaries *canary.Keeper }

// watch returns cfg with a keeper at everything that goes in and out.
func (w *world) watch(cfg tb.Config) tb.Config {
	if w.canaries == nil {
		w.canaries = canary.Watch(w.T)
	}
	return watchConfig(w.canaries, cfg)
}

func watchConfig(k *canary.Keeper, cfg tb.Config) tb.Config {
	cfg.Store = canary.Store{Store: cfg.Store, Keeper: k}
	log := slog.NewJSONHandler(k.Writer("log"), &slog.HandlerOptions{Level: slog.LevelDebug})
	if cfg.Logger == nil {
		cfg.Logger = slog.New(log)
	} else {
		cfg.Logger = slog.New(slog.NewMultiHandler(cfg.Logger.Handler(), log))
	}
	if cfg.Minter != nil {
		cfg.Minter = watchedMinter{cfg.Minter, k}
	}
	sources := cfg.Identities
	cfg.Identities = nil
	for _, s := range sources {
		cfg.Identities = append(cfg.Identities, tb.IdentityFunc(func(ctx context.Context, c tb.Credential) (tb.Principal, error) {
			k.Plant("credential of type "+c.Type, c.Value)
			return s.Identify(ctx, c)
		}))
	}
	return cfg
}

// watchedMinter plants the tokens that are minted and verified.
type watchedMinter struct {
	tb.Minter
	k *canary.Keeper
}

func (m watchedMinter) Mint(ctx context.Context, c tb.Claims) (string, error) {
	raw, err := m.Minter.Mint(ctx, c)
	m.k.Plant("minted token", raw)
	return raw, err
}

func (m watchedMinter) Verify(ctx context.Context, raw string) (tb.Claims, error) {
	m.k.Plant("presented token", raw)
	return m.Minter.Verify(ctx, raw)
}

// presents plants what a request presents, and sees how the request shows itself.
func presents(k *canary.Keeper, req tb.Request) {
	for what, c := range map[string]tb.Credential{
		"client credential": req.Client, "subject token": req.Subject, "actor token": req.Actor, "proof": req.Proof,
	} {
		if _, err := lineage.ParseID(c.Value); err != nil { // an id is a name, also where somebody tries it as a secret
			k.Plant(what, c.Value)
		}
		k.Show("request", c)
	}
	k.Show("request", req)
}

// answers plants what a decision hands out, and sees how it and the error show themselves.
func answers(k *canary.Keeper, d tb.Decision, err error) {
	if d.Deferral != nil {
		k.Plant("deferral code", d.Deferral.Value())
	}
	k.Show("decision", d)
	if err != nil {
		k.Show("error", err)
	}
}

// Issue is that of the Governor.
func (w *world) Issue(ctx context.Context, req tb.Request) (tb.Token, error) {
	presents(w.canaries, req)
	tok, err := w.Governor.Issue(ctx, req)
	w.canaries.Plant("access token", tok.Value())
	w.canaries.Plant("refresh token", tok.RefreshValue())
	w.canaries.Show("token", tok)
	w.canaries.Show("token", &tok)
	var d tb.Decision
	if denied, ok := err.(*tb.DeniedError); ok { //nolint:errorlint // as it is returned
		d = denied.Decision
	}
	answers(w.canaries, d, err)
	return tok, err
}

// Decide is that of the Governor.
func (w *world) Decide(ctx context.Context, req tb.Request) (tb.Decision, error) {
	presents(w.canaries, req)
	d, err := w.Governor.Decide(ctx, req)
	answers(w.canaries, d, err)
	return d, err
}

// Authenticate is that of the Governor.
func (w *world) Authenticate(ctx context.Context, c tb.Credential) (tb.Client, error) {
	w.canaries.Plant("client credential", c.Value)
	by, err := w.Governor.Authenticate(ctx, c)
	w.canaries.Show("client", by)
	answers(w.canaries, tb.Decision{}, err)
	return by, err
}

// Introspect is that of the Governor.
func (w *world) Introspect(ctx context.Context, by tb.Client, raw string) (tb.State, error) {
	w.canaries.Plant("introspected token", raw)
	state, err := w.Governor.Introspect(ctx, by, raw)
	w.canaries.Show("introspection", state)
	answers(w.canaries, tb.Decision{}, err)
	return state, err
}

// Retire is that of the Governor.
func (w *world) Retire(ctx context.Context, by tb.Client, raw string) error {
	w.canaries.Plant("retired token", raw)
	err := w.Governor.Retire(ctx, by, raw)
	answers(w.canaries, tb.Decision{}, err)
	return err
}

// Lineage is that of the Governor.
func (w *world) Lineage(ctx context.Context, by tb.Client, id lineage.ID) ([]lineage.Node, error) {
	nodes, err := w.Governor.Lineage(ctx, by, id)
	for _, n := range nodes {
		w.canaries.Show("lineage answer", n)
	}
	return nodes, err
}
