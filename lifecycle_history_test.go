package tokenboundary_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

var agents = []string{"orchestrator", "researcher", "tool"}

// history is a world with two Governors over one store, beside a model of it. Every move is made in both.
type history struct {
	*world
	*model
	rnd       *rand.Rand
	governors [2]*tb.Governor
	sessions  map[string]int // how often a person has logged in
	dead      map[*node]bool // what was seen to be revoked
	log       []string
	seen      map[string]int
}

// Evaluate is the policy of the model, as the Governor asks it.
func (h *history) Evaluate(_ context.Context, f tb.Facts) (tb.Verdict, error) {
	now := circumstances{f.Client.ID, f.Risk == "high", f.Env["frozen"] == true, h.strict}
	if f.Scopes = keep(f.Scopes, now.grants); now.denies() {
		return tb.Verdict{Path: "/agents/" + f.Client.ID, Version: h.Version()}, nil
	}
	v := grantAll(f)
	v.Version, v.Lifetime, v.Depth, v.Derivations = h.Version(), lifeToken, mostActors, mostDerived
	for i, r := range v.Reasons {
		v.Reasons[i].Refresh = renewable(r.Scope)
		v.Reasons[i].Delegates = keep(agents, func(to string) bool { return delegated(r.Scope, to) })
	}
	v.Obligations = []lineage.Obligation{{Kind: "approval", Scopes: []string{gated}, Args: map[string]string{"by": "leads"}}}
	return v, nil
}

// Version tells the policy sets apart.
func (h *history) Version() string { return fmt.Sprint("strict=", h.strict) }

// paper signs nothing: it is for a test that forges nothing.
type paper struct{ key *string }

func (p paper) Key(context.Context) (string, error) { return *p.key, nil }

func (p paper) Mint(_ context.Context, c tb.Claims) (string, error) {
	raw, err := json.Marshal(c)
	return c.Key + "." + base64.RawURLEncoding.EncodeToString(raw), err
}

func (p paper) Verify(_ context.Context, raw string) (c tb.Claims, err error) {
	key, content, ours := strings.Cut(raw, ".")
	if !ours {
		return c, tb.ErrNotMine
	}
	data, err := base64.RawURLEncoding.DecodeString(content)
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	c.Key = key
	return c, err
}

func newHistory(t *testing.T, seed uint64, seen map[string]int) *history {
	h := &history{
		rnd: rand.New(rand.NewPCG(seed, 1)), sessions: map[string]int{}, dead: map[*node]bool{}, seen: seen,
		model: &model{facts: map[name]fact{}, key: "k0"},
	}
	h.world = newWorld(t, func(w *world) {
		for _, id := range agents {
			c := w.clients[id]
			if c.Connections = []string{"prod", "test"}; refreshes(id) {
				c.Grants = append(slices.Clone(c.Grants), tb.Refresh)
			}
			w.clients[id] = c
		}
		w.cfg.Minter, w.cfg.Deferrals = paper{&h.key}, mostDeferred
		w.cfg.Lifetimes = tb.Lifetimes{
			Task: lifeTask, RefreshToken: lifeFamily, RefreshIdle: lifeIdle, RefreshGrace: lifeGrace, Approval: lifeDeferral,
		}
	})
	h.cfg.Policy, h.cfg.Store = h, h.store
	h.restartOne(0)
	h.restartOne(1)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the history of seed %d:\n%s", seed, strings.Join(h.log, "\n"))
		}
	})
	return h
}

func (h *history) restartOne(i int) {
	g, err := tb.New(h.cfg)
	require.NoError(h, err)
	h.governors[i] = g
}

// step makes a random move at one of the Governors, of those for which there is something to make them with.
func (h *history) step() {
	h.Governor, h.now = h.governors[h.rnd.IntN(2)], h.clock.Now()
	for made := len(h.log); len(h.log) == made; {
		m := some(h, moves)
		h.log = append(h.log, fmt.Sprintf("%3d %s %s", made, h.now.Format(time.TimeOnly), m.name))
		if got := m.make(h); got != "" {
			h.note("-> %s", got)
			h.seen[m.name+": "+got]++
		} else {
			h.log = h.log[:made]
		}
	}
}

// note adds to the last line of the log.
func (h *history) note(format string, args ...any) {
	h.log[len(h.log)-1] += " " + fmt.Sprintf(format, args...)
}

// call requires of a verb the error that the model gives.
func (h *history) call(want, got error) string {
	h.Helper()
	if want == nil {
		require.NoError(h, got)
		return "ok"
	}
	require.ErrorIs(h, got, want)
	return strings.TrimPrefix(want.Error(), "tokenboundary: ")
}

func some[T any](h *history, list []T) (one T) {
	if len(list) > 0 {
		one = list[h.rnd.IntN(len(list))]
	}
	return one
}

func (h *history) chance(percent int) bool { return h.rnd.IntN(100) < percent }

// node returns a random node of the kinds, mostly one that lives; nil where there is none.
func (h *history) node(kinds ...lineage.Kind) *node {
	var all, alive []*node
	for _, n := range h.nodes {
		if slices.Contains(kinds, n.kind) {
			if all = append(all, n); h.lives(n) {
				alive = append(alive, n)
			}
		}
	}
	if h.chance(90) {
		all = alive
	}
	return some(h, all)
}

// deep returns the one of three nodes that lies inside the most tasks, for such are rare.
func (h *history) deep(kind lineage.Kind) (n *node) {
	for range 3 {
		if x := h.node(kind); n == nil || x != nil && len(x.tasks()) > len(n.tasks()) {
			n = x
		}
	}
	return n
}

// scopes returns some of the first n scopes.
func (h *history) scopes(n int) []string {
	all := []string{"a", "b", "c", "d"}[:n]
	h.rnd.Shuffle(n, func(i, j int) { all[i], all[j] = all[j], all[i] })
	return slices.Sorted(slices.Values(all[:1+h.rnd.IntN(n)]))
}

// issue sends a request and requires the answer that the model gives. What was made joins the model. It returns the code,
// or ok, and the refresh token that came with a token.
func (h *history) issue(req tb.Request, want answer) (got, refresh string) {
	h.Helper()
	tok, err := h.Issue(h.ctx, req)
	var denied *tb.DeniedError
	last, value := tok.ID, tok.Value()
	switch {
	case errors.Is(err, tb.ErrUnavailable):
		got = string(busy)
	case errors.As(err, &denied):
		d := denied.Decision
		got, last = string(d.Code), d.ID
		if r := d.Reasons; len(want.made) == 0 && len(r) > 0 {
			h.seen["why: "+r[len(r)-1].Why]++
		}
		if len(want.made) > 0 && d.Deferral != nil {
			value = d.Deferral.Value()
		}
	default:
		require.NoError(h, err)
		got = "ok"
	}
	if len(want.codes) == 0 {
		require.Equal(h, "ok", got, "%+v", denied)
	} else {
		require.Contains(h, want.codes, tb.Code(got), "%+v", denied)
	}
	if len(want.made) > 0 {
		want.made[len(want.made)-1].value = value
		h.adopt(want.made, last)
	}
	return got, tok.RefreshValue()
}

// adopt gives what was made the ids of its records, of which the last is known.
func (h *history) adopt(made []*node, last lineage.ID) {
	chain, err := h.Lineage(h.ctx, ops, last)
	require.NoError(h, err)
	require.GreaterOrEqual(h, len(chain), len(made))
	for i, n := range made {
		n.id = chain[len(chain)-len(made)+i].Record.ID()
		h.nodes = append(h.nodes, n)
		h.note("+%s", h.say(n))
	}
}

// say names a node for the log.
func (h *history) say(n *node) string { return fmt.Sprintf("%s#%d", n.kind, slices.Index(h.nodes, n)) }
