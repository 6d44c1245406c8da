package tokenboundary_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// proofs counts the proofs so far: each is another one.
var proofs atomic.Int64

// thumb is the thumbprint of the key with a name.
func thumb(name string) string {
	d := sha256.Sum256([]byte(name))
	return base64.RawURLEncoding.EncodeToString(d[:])
}

// proves is a proof, for one use, of possession of the key with a name.
func (w *world) proves(key string) tb.Credential {
	proofs.Add(1)
	return tb.Credential{Type: tb.TypeDPoP, Verified: &tb.Principal{
		Party: lineage.Party{ID: thumb(key)}, Key: thumb(key), Once: fmt.Sprint("proof-", proofs.Load()),
		Issued: w.clock.Now(), Expires: w.clock.Now().Add(time.Minute),
	}}
}

func bound(req tb.Request, proof tb.Credential) tb.Request {
	req.Proof = proof
	return req
}

// binding is a refreshing world in which the orchestrator must bind its tokens, the researcher may, and the tool need not.
func binding(w *world) {
	refreshing(w)
	for id, b := range map[string]tb.Binding{"orchestrator": tb.BindingRequired, "researcher": tb.BindingOptional} {
		c := w.clients[id]
		c.Binding = b
		w.clients[id] = c
	}
}

func (w *world) register(client string, b tb.Binding) {
	c := w.clients[client]
	c.Binding = b
	w.clients[client] = c
}

const notProved = "bound to a key that is not proved"

func TestARegistrationSaysWhetherTokensAreBound(t *testing.T) {
	w := newWorld(t, binding)
	alice := w.human("alice")
	ask := func(client string) tb.Request { return w.exchange(client, alice, crm, "read") }

	w.unissued(ask("orchestrator"), tb.CodeInvalidProof, "a proof of possession is required")
	w.unissued(asked(w.as("orchestrator")), tb.CodeInvalidProof, "a proof of possession is required")
	tok := w.issued(bound(ask("orchestrator"), w.proves("k")))
	require.Equal(t, thumb("k"), tok.Bound)
	s, err := w.Introspect(w.ctx, ops, tok.Value())
	require.NoError(t, err)
	require.Equal(t, &tb.Confirm{Thumbprint: thumb("k")}, s.Claims.Confirm)
	require.Equal(t, thumb("k"), w.family(tok.ID).Body.Bound, "and what refreshes it")

	require.Equal(t, thumb("k"), w.issued(bound(ask("researcher"), w.proves("k"))).Bound)
	require.Empty(t, w.issued(ask("researcher")).Bound)
	ignored := w.proves("k")
	for range 2 { // it is not even spent
		require.Empty(t, w.issued(bound(ask("tool"), ignored)).Bound)
	}
}

func TestAProofThatProvesNothingIsRefused(t *testing.T) {
	w := newWorld(t, binding)
	for name, c := range map[string]struct {
		damage func(*tb.Credential)
		why    string
	}{
		"no key":              {func(c *tb.Credential) { c.Verified.Key = "" }, "it proves no key"},
		"no thumbprint":       {func(c *tb.Credential) { c.Verified.Key = "k" }, "it proves no key"},
		"expired":             {func(c *tb.Credential) { c.Verified.Expires = w.clock.Now().Add(-5 * time.Second) }, "expired"},
		"another type":        {func(c *tb.Credential) { c.Type = tb.TypeJWT }, "not a proof of possession"},
		"nobody verifies it":  {func(c *tb.Credential) { c.Verified, c.Value = nil, "x" }, "not acceptable"},
		"one use without end": {func(c *tb.Credential) { c.Verified.Expires = time.Time{} }, "without an end"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, client := range []string{"orchestrator", "researcher"} {
				proof := w.proves("k")
				c.damage(&proof)
				w.unissued(bound(w.exchange(client, w.human("alice"), crm, "read"), proof), tb.CodeInvalidProof, c.why)
			}
		})
	}
	w.issued(bound(w.exchange("orchestrator", w.human("alice"), crm, "read"), w.proves("k")))
}

func TestAProofHasOneUseWhateverTheAnswer(t *testing.T) {
	w := newWorld(t, binding)
	const used = "the proof was used before"
	good := func() tb.Request { return w.exchange("orchestrator", w.human("alice"), crm, "read") }
	proof := w.proves("k")
	tok := w.issued(bound(good(), proof))
	w.clock.Add(time.Second)
	w.unissued(bound(good(), proof), tb.CodeInvalidProof, used)
	w.unissued(bound(w.node().again("orchestrator", tok.RefreshValue()), proof), tb.CodeInvalidProof, used)
	w.unissued(bound(w.exchange("researcher", w.human("bob"), crm, "read"), proof), tb.CodeInvalidProof, used)
	tok = w.issued(bound(w.again("orchestrator", tok.RefreshValue()), w.proves("k"))) // and nothing else was consumed

	proof = w.proves("k")
	w.unissued(bound(w.exchange("orchestrator", bearer(tok), mail, "read"), proof), tb.CodeInvalidTarget, "outside")
	w.unissued(bound(good(), proof), tb.CodeInvalidProof, used)
	w.issued(bound(good(), w.proves("k")))
}

// TestWhatIsBoundStaysBound: of a bound token the client that it was issued to proves the key, a delegate one of its own,
// and nobody gets a bearer token.
func TestWhatIsBoundStaysBound(t *testing.T) {
	w := newWorld(t, binding)
	for _, client := range []string{"orchestrator", "researcher"} {
		first := w.issued(bound(w.exchange(client, w.human("alice"), crm, "read"), w.proves("k")))
		for _, now := range []tb.Binding{tb.BindingOptional, tb.BindingOff} {
			w.register(client, now) // whatever the registration says later
			own := w.exchange(client, bearer(first), crm, "read")
			w.unissued(own, tb.CodeInvalidProof, notProved)
			w.unissued(bound(own, w.proves("other")), tb.CodeInvalidProof, notProved)
			require.Equal(t, thumb("k"), w.issued(bound(own, w.proves("k"))).Bound)

			again := w.again(client, first.RefreshValue())
			w.unissued(again, tb.CodeInvalidGrant, notProved)
			w.unissued(bound(again, w.proves("other")), tb.CodeInvalidGrant, notProved)
			next := w.issued(bound(again, w.proves("k")))
			require.Equal(t, thumb("k"), next.Bound, "another key had not burnt it")
			first = next

			delegate := w.exchange("tool", bearer(first), crm, "read") // whose own tokens are not bound
			w.unissued(delegate, tb.CodeInvalidProof, notProved)
			theirs := w.issued(bound(delegate, w.proves("tools")))
			require.Equal(t, thumb("tools"), theirs.Bound)
			w.unissued(w.exchange("tool", bearer(theirs), crm, "read"), tb.CodeInvalidProof, notProved)
			require.Equal(t, thumb("tools"), w.issued(bound(w.exchange("tool", bearer(theirs), crm, "read"), w.proves("tools"))).Bound)
			w.unissued(bound(w.again("tool", theirs.RefreshValue()), w.proves("k")), tb.CodeInvalidGrant, notProved)
			require.Equal(t, thumb("tools"), w.issued(bound(w.again("tool", theirs.RefreshValue()), w.proves("tools"))).Bound)
		}
		require.Empty(t, w.feed(ops), "nothing of this was reuse")
	}
}

func TestAnActorTokenThatIsBoundIsProvedToo(t *testing.T) {
	w := newWorld(t, binding)
	task := w.exchange("orchestrator", w.human("alice"), crm, "read")
	task.Task = &tb.TaskSpec{Purpose: "work"}
	root := w.issued(bound(task, w.proves("k")))
	actor := w.issued(bound(w.exchange("researcher", bearer(root), crm, "read"), w.proves("mine")))
	req := w.exchange("researcher", bearer(root), crm, "read")
	req.Actor = bearer(actor)
	w.unissued(bound(req, w.proves("other")), tb.CodeInvalidProof, notProved)
	require.Equal(t, thumb("mine"), w.issued(bound(req, w.proves("mine"))).Bound)
}

func TestWhatRepeatsARefreshProvesTheKeyToo(t *testing.T) {
	w := newWorld(t, binding, graceful)
	first := w.issued(bound(w.exchange("orchestrator", w.human("alice"), crm, "read"), w.proves("k")))
	again := func(proof tb.Credential) tb.Request {
		return bound(w.again("orchestrator", first.RefreshValue()), proof)
	}
	second := w.issued(again(w.proves("k")))
	w.unissued(again(w.proves("other")), tb.CodeInvalidGrant, notProved)
	w.unissued(again(tb.Credential{}), tb.CodeInvalidProof, "a proof of possession is required")
	w.clock.Add(time.Minute) // now a use would be reuse; not one by a stranger
	w.unissued(again(w.proves("other")), tb.CodeInvalidGrant, notProved)
	require.True(t, w.active(second))
	w.unissued(again(w.proves("k")), tb.CodeInvalidGrant, "used before")
	require.False(t, w.active(second))
}

func TestAPollProvesTheKeyOfTheRequest(t *testing.T) {
	w := newWorld(t, binding, func(w *world) { w.policy = obliged(w.policy, approvalBy("leads", "write")) })
	d := w.waits(bound(w.exchange("researcher", w.human("alice"), crm, "write"), w.proves("k")))
	ask := func(proof tb.Credential) tb.Request {
		return bound(polling(w.as("researcher"), d.Deferral.Value()), proof)
	}
	w.approved(d)
	w.register("researcher", tb.BindingOff)
	w.unissued(ask(tb.Credential{}), tb.CodeInvalidGrant, notProved)
	w.unissued(ask(w.proves("other")), tb.CodeInvalidGrant, notProved)
	require.Equal(t, thumb("k"), w.issued(ask(w.proves("k"))).Bound)
	w.unissued(ask(w.proves("k")), tb.CodeInvalidGrant, "answered with a token already")
}

// TestRandomChainsNeverLoseTheirKey walks random chains of exchanges and refreshes, with the right key, a wrong one or
// none: what comes from something bound is bound, to exactly the key that was proved.
func TestRandomChainsNeverLoseTheirKey(t *testing.T) {
	w := newWorld(t, binding, func(w *world) { w.cfg.DenialRate = 1 << 20 })
	rnd := rand.New(rand.NewPCG(11, 1))
	seen := map[string]int{}
	for range 60 {
		w.register("researcher", tb.BindingOptional)
		tok, holder := w.issued(bound(w.exchange("researcher", w.human("alice"), crm, "read"), w.proves("researcher"))), "researcher"
		for range 6 {
			client := []string{"researcher", "tool", "orchestrator"}[rnd.IntN(3)]
			w.register(client, []tb.Binding{tb.BindingOff, tb.BindingOptional, tb.BindingRequired}[rnd.IntN(3)])
			req := w.exchange(client, bearer(tok), crm, "read")
			if rnd.IntN(2) == 0 {
				req = w.again(client, tok.RefreshValue())
			}
			key := []string{"", client, "wrong"}[rnd.IntN(3)]
			if key != "" {
				req.Proof = w.proves(key)
			}
			next, err := w.Issue(w.ctx, req)
			if err != nil {
				require.ErrorIs(t, err, tb.ErrDenied)
				seen["refused"]++
				continue
			}
			require.NotEmpty(t, key)
			require.Equal(t, thumb(key), next.Bound)
			if client == holder {
				require.Equal(t, tok.Bound, next.Bound)
				seen["kept"]++
			} else {
				seen["delegated"]++
			}
			if key == "wrong" { // as a delegate's own: start again with a key that is known
				break
			}
			tok, holder = next, client
		}
	}
	for _, what := range []string{"refused", "kept", "delegated"} {
		require.Greater(t, seen[what], 15, "%v", seen)
	}
}
