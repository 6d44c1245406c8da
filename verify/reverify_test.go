package verify_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/verify"
)

// TestAnAcceptedTokenIsVerifiedAgain, bound to a key or not, by all that can change about it, and without a new proof.
func TestAnAcceptedTokenIsVerifiedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		end func(w *world, g *guard, tok tokenboundary.Token)
		is  error
		why string
	}{
		"nothing happened": {func(*world, *guard, tokenboundary.Token) {}, nil, ""},
		"another revoked": {func(w *world, g *guard, _ tokenboundary.Token) {
			g.sees(w.revoke(lineage.SelectToken, w.issued().ID.String(), lineage.Cut))
		}, nil, ""},
		"revoked": {func(w *world, g *guard, tok tokenboundary.Token) {
			g.sees(w.revoke(lineage.SelectToken, tok.ID.String(), lineage.Cut))
		}, verify.ErrInactive, "revoked: token"},
		"what no token says": {func(w *world, g *guard, _ tokenboundary.Token) {
			g.sees(w.revoke(lineage.SelectConnection, "prod", lineage.Cut))
		}, verify.ErrInactive, "the boundary says so"},
		"what no token says, of others": {func(w *world, g *guard, _ tokenboundary.Token) {
			g.sees(w.revoke(lineage.SelectConnection, "staging", lineage.Cut))
		}, nil, ""},
		"expired": {func(w *world, _ *guard, _ tokenboundary.Token) { w.clock.Add(11 * time.Minute) }, mint.ErrExpired, ""},
		"the boundary is away": {func(w *world, g *guard, _ tokenboundary.Token) {
			w.on("/introspect", func(out http.ResponseWriter, _ *http.Request) { out.WriteHeader(http.StatusBadGateway) })
			g.sees(w.revoke(lineage.SelectConnection, "staging", lineage.Cut))
		}, tokenboundary.ErrUnavailable, "cannot be asked"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, bound := range []bool{false, true} {
				w := newWorld(t)
				g := w.guard(func(c *verify.Config) { c.Proofs = proofs(w, w.clock) })
				tok := w.accepted(g, bound)
				require.NoError(t, g.Reverify(t.Context(), tok.Value()), "control")
				c.end(w, g, tok)
				err := g.Reverify(t.Context(), tok.Value())
				require.ErrorIs(t, err, c.is)
				if err != nil {
					require.ErrorContains(t, err, c.why)
					require.NotContains(t, err.Error(), tok.Value())
				}
			}
		})
	}
}

// accepted returns a token that the verifier has accepted, with a proof where it is bound.
func (w *world) accepted(g *guard, bound bool) tokenboundary.Token {
	w.Helper()
	if !bound {
		tok := w.issued()
		g.good(tok)
		return tok
	}
	h := w.holder()
	tok := w.issued(h.bound)
	_, err := g.VerifyBound(w.Context(), tok.Value(), tokenboundary.Credential{
		Type: tokenboundary.TypeDPoP, Value: h.proof(tok.Value(), nil), Method: "GET", URL: "https://crm.example/v1/cases",
	})
	require.NoError(w, err)
	return tok
}

// TestVerifyingAgainBelievesNoOne: the signature and the audience are looked at, and the policy for a lost feed holds.
func TestVerifyingAgainBelievesNoOne(t *testing.T) {
	w := newWorld(t)
	g := w.guard()
	foreign := w.issued(func(r *tokenboundary.Request) { r.Resource = []string{mail} })
	require.ErrorIs(t, g.Reverify(t.Context(), foreign.Value()), mint.ErrToken)
	require.ErrorIs(t, g.Reverify(t.Context(), "garbage"), mint.ErrToken)
	tok := w.issued()
	require.NoError(t, g.Reverify(t.Context(), tok.Value()), "control")
	require.ErrorIs(t, w.idle().Reverify(t.Context(), tok.Value()), tokenboundary.ErrUnavailable)
	open := w.idle(func(c *verify.Config) { c.FeedLost = verify.UntilExpiry })
	require.NoError(t, open.Reverify(t.Context(), tok.Value()))
}
