package tokenboundary_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

func (w *world) erase(sel string) tb.Erasure {
	w.Helper()
	out, err := w.Erase(w.ctx, ops, selector(w, sel))
	require.NoError(w, err)
	require.True(w, out.Complete)
	return out
}

// erased requires that a record has lost its body, and that its chain still verifies and says so.
func (w *world) erased(id lineage.ID) {
	w.Helper()
	nodes, err := w.Lineage(w.ctx, ops, id)
	require.NoError(w, err)
	records := make([]lineage.Record, len(nodes))
	for i, n := range nodes {
		records[i] = n.Record
	}
	last := nodes[len(nodes)-1]
	require.Nil(w, last.Record.Body)
	require.Nil(w, last.Record.RawBody())
	require.NotContains(w, []lineage.State{lineage.Active, lineage.Suspended}, last.State)
	require.NoError(w, lineage.VerifyChain(id, records))
	var tree strings.Builder
	require.NoError(w, lineage.WriteTree(&tree, nodes))
	require.Contains(w, tree.String(), "(erased)")
	require.NotContains(w, tree.String(), "alice")
}

func TestAnErasedPersonIsInNoRecord(t *testing.T) {
	w := newWorld(t, refreshing)
	var log bytes.Buffer
	w.cfg.Logger = slog.New(slog.NewJSONHandler(&log, nil))
	w.restart()
	tok := w.begun("read", "write")
	below := w.issued(w.exchange("researcher", bearer(tok), crm, "read"))
	w.reports("crm", tb.Use{Token: below.ID, At: w.clock.Now(), Scopes: []string{"read"}})
	grant := w.policy
	w.policy = func(tb.Facts) tb.Verdict { return tb.Verdict{Path: "/x", Version: "v1", Code: tb.CodeInvalidTarget} }
	denied := w.refused(w.exchange("tool", w.human("alice"), crm, "read"), tb.CodeInvalidTarget, "")
	w.policy = grant
	bob := w.begunFor("bob")
	var mine []lineage.ID
	for id, r := range w.kept() {
		if r.Body.Subject.ID == "alice" {
			mine = append(mine, id)
		}
	}
	require.Greater(t, len(mine), 3, "control: tokens, a family, a denial")
	before := w.kept()

	out := w.erase("subject:alice")
	require.Equal(t, 1, out.Erased, "a denial is over at once")
	require.Equal(t, len(mine)-1, out.Remaining, "what lives is not erased")
	w.erased(denied.ID)
	require.True(t, w.active(tok) && w.active(below), "and lives on")

	w.revoke("subject:alice", lineage.Cut)
	out = w.erase("subject:alice")
	require.Equal(t, len(mine)-1, out.Erased)
	require.Zero(t, out.Remaining)
	for _, id := range mine {
		w.erased(id)
	}
	w.noTrace("alice", before)
	require.Empty(t, w.headsOf(canon.Key("usage", below.ID.String())))
	require.False(t, w.active(tok) || w.active(below))
	w.unissued(w.exchange("researcher", bearer(tok), crm, "read"), tb.CodeInvalidRequest, "")
	w.unissued(w.again("orchestrator", tok.RefreshValue()), tb.CodeInvalidGrant, "")
	require.NoError(t, w.Retire(w.ctx, w.client("orchestrator"), tok.Value()), "it is no token any more")
	require.Equal(t, []string{"subject:alice"}, w.marksOf("subject:alice"), "what keeps her out stays")
	require.True(t, w.active(bob), "control")
	for id, r := range w.kept() {
		if b := before[id].Body; b != nil && b.Subject.ID == "bob" {
			require.True(t, r.Equal(before[id]), "what is another's is as it was")
		}
	}
	for p, err := range w.recall().All(w.ctx, tb.RecallFilter{}) {
		require.NoError(t, err)
		require.True(t, p.Skip == tb.SkipErased || p.Record.Body.Subject.ID != "alice")
	}
	one, err := w.recall().One(w.ctx, below.ID)
	require.NoError(t, err)
	require.Equal(t, tb.SkipErased, one.Skip)

	digest := out.Digest
	out = w.erase("subject:alice")
	require.Equal(t, tb.Erasure{Digest: digest, Complete: true}, out, "nothing is left, and it is the same person")
	require.NotEqual(t, digest, w.erase("subject:bob").Digest)
	heads, err := w.store.Heads(w.ctx, issuer, []string{canon.Key("erasure", digest)})
	require.NoError(t, err)
	require.Equal(t, "done", heads[0].State)
	require.Contains(t, string(heads[0].Value), fmt.Sprintf(`"by":"ops","kind":"subject","erased":%d,"remaining":0`, len(mine)))
	require.NotContains(t, string(heads[0].Value), "alice")
	require.Contains(t, log.String(), `"msg":"records were erased","client":"ops","kind":"subject","digest":"`+digest)
	require.NotContains(t, log.String(), "alice")
}

// begunFor is somebody's token for the orchestrator.
func (w *world) begunFor(name string) tb.Token {
	w.Helper()
	return w.issued(w.exchange("orchestrator", w.human(name), crm, "read"))
}

// noTrace requires that no record has the name in it, and that none is found by it.
func (w *world) noTrace(name string, before map[lineage.ID]lineage.Record) {
	w.Helper()
	require.Contains(w, fmt.Sprint(before), name, "control")
	for _, r := range w.kept() {
		require.NotContains(w, string(r.Raw())+string(r.RawBody()), name)
	}
	for _, sel := range []string{"subject:" + name, "session:s-" + name, "actor:" + name} {
		for range w.store.Scan(w.ctx, issuer, selector(w, sel), store.Position{}) {
			require.Fail(w, "a record is found by "+sel)
		}
	}
}

func TestWhatWasSignalledGoesWithTheLastRecord(t *testing.T) {
	w := newWorld(t)
	facts := []string{"subject:alice", "session:s-alice", "actor:alice", "actor:orchestrator", "subject:bob"}
	for _, sel := range facts {
		w.risk(sel, "low")
		w.risk(sel, "medium")
	}
	d := w.granted(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	require.Equal(t, 1, w.erase("subject:alice").Remaining)
	require.ElementsMatch(t, []string{"actor:alice"}, missing(facts, w.headsOf(facts...)), "nobody acted as alice")
	w.revoke("token:"+d.ID.String(), lineage.Cut)
	out := w.erase("subject:alice")
	require.Equal(t, 2, out.Facts)
	require.Equal(t, facts[3:], w.headsOf(facts...), "what is another's stays")
	require.Empty(t, w.headsOf(pastOf("subject:alice", 2), pastOf("session:s-alice", 2)))
	require.Len(t, w.headsOf(pastOf("subject:bob", 1), pastOf("subject:bob", 2)), 2)

	// A decision that read what is gone may still be under way: the facts do not begin anew before it must have ended.
	_, err := w.Signal(w.ctx, ops, tb.Signal{Selector: selector(w, "subject:alice"), Risk: "high"})
	require.ErrorIs(t, err, tb.ErrConflict)
	w.clock.Add(time.Minute + 11*time.Second)
	w.risk("subject:bob", "low") // so that the store knows what time it is
	w.risk("subject:alice", "high")
	require.Len(t, w.headsOf("subject:alice", pastOf("subject:alice", 1)), 2)
}

func missing(of, there []string) (out []string) {
	for _, s := range of {
		if !contains(there, s) {
			out = append(out, s)
		}
	}
	return out
}

// TestADecisionOnFactsThatWereForgottenIsNone: it was made before, and would be recorded after.
func TestADecisionOnFactsThatWereForgottenIsNone(t *testing.T) {
	for name, then := range map[string]func(w *world){
		"forgotten": func(*world) {},
		"set anew": func(w *world) {
			w.clock.Add(time.Minute + 11*time.Second)
			w.risk("subject:bob", "low")
			w.risk("subject:alice", "high")
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.risk("subject:alice", "low")
			req := w.exchange("orchestrator", w.human("alice"), crm, "read")
			req.Enforce = everything
			d, err := w.Decide(w.ctx, req)
			require.NoError(t, err)
			require.Equal(t, tb.Allow, d.Effect)
			require.Equal(t, 1, w.erase("subject:alice").Facts)
			then(w)
			require.Error(t, w.Record(w.ctx, d, tb.HostToken{Handle: "h"}))
			require.NotContains(t, w.kept(), d.ID)
			w.granted(w.exchange("orchestrator", w.human("alice"), crm, "read")) // control
		})
	}
}

// TestWhatIsSuspendedIsNotErased: it may live again.
func TestWhatIsSuspendedIsNotErased(t *testing.T) {
	w := newWorld(t)
	task := w.start("triage", 10, "read")
	below := w.granted(w.exchange("researcher", host(task), crm, "read"))
	_, err := w.SetTask(w.ctx, ops, task.TaskID, tb.TaskSuspended)
	require.NoError(t, err)
	require.Zero(t, w.erase("subject:alice").Erased)
	_, err = w.SetTask(w.ctx, ops, task.TaskID, tb.TaskActive)
	require.NoError(t, err)
	require.Equal(t, lineage.Active, w.state(below.ID), "control")
	_, err = w.SetTask(w.ctx, ops, task.TaskID, tb.TaskCompleted)
	require.NoError(t, err)
	require.Equal(t, 3, w.erase("subject:alice").Erased)
	w.erased(below.ID)
	_, err = w.Task(w.ctx, ops, task.TaskID)
	require.ErrorIs(t, err, tb.ErrNotFound)
	_, err = w.SetTask(w.ctx, ops, task.TaskID, tb.TaskActive)
	require.ErrorIs(t, err, tb.ErrNotFound)
}

// TestWhatHasJustExpiredIsNotErased: by another node's clock it may still be derived from.
func TestWhatHasJustExpiredIsNotErased(t *testing.T) {
	w := newWorld(t)
	d := w.granted(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	w.clock.Add(5*time.Minute + 9*time.Second)
	require.Equal(t, 1, w.erase("subject:alice").Remaining)
	w.clock.Add(time.Second)
	require.Equal(t, 1, w.erase("subject:alice").Erased)
	w.erased(d.ID)
}

// TestEraseLetsEverythingLive: whatever has happened, what lives is not touched, and what was dead is found by its envelope
// alone. What a record comes from has a body for as long as the record lives.
func TestEraseLetsEverythingLive(t *testing.T) {
	erased, alive := 0, 0
	for seed := range uint64(30) {
		h := newHistory(t, seed, map[string]int{})
		for range 100 {
			h.step()
		}
		before, all := map[lineage.ID]lineage.State{}, h.kept()
		for _, n := range h.nodes {
			before[n.id] = h.state(n.id)
		}
		who := map[string]bool{}
		for _, r := range all {
			if !who["subject:"+r.Body.Subject.ID] {
				who["subject:"+r.Body.Subject.ID] = true
				out, err := h.Erase(h.ctx, leads("witness"), selector(h.world, "subject:"+r.Body.Subject.ID))
				require.NoError(t, err)
				erased += out.Erased
			}
		}
		left := h.kept()
		require.Len(t, left, len(all))
		for _, n := range h.nodes {
			was, r := before[n.id], left[n.id]
			switch was {
			case lineage.Active, lineage.Suspended:
				require.True(t, r.Equal(all[n.id]), "what lives was erased: %s", h.say(n))
				require.Equal(t, was, h.state(n.id), h.say(n))
				for _, a := range r.Ancestors {
					require.NotNil(t, left[a].Body, "what it comes from was erased: %s", h.say(n))
				}
				alive++
			default:
				require.NotContains(t, []lineage.State{lineage.Active, lineage.Suspended}, h.state(n.id), h.say(n))
				require.True(t, r.Equal(all[n.id]) || r.Equal(all[n.id].Erase()))
			}
		}
	}
	require.Greater(t, erased, 100, "control")
	require.Greater(t, alive, 50, "control")
}

// TestEraseBesideLogins: who logs in while being erased has a token that lives, or none.
func TestEraseBesideLogins(t *testing.T) {
	w := newWorld(t, minting)
	w.risk("subject:alice", "low")
	w.clock.Add(time.Minute)
	var wait sync.WaitGroup
	tokens := make(chan tb.Token, 100)
	for range 4 {
		wait.Go(func() {
			for range 10 {
				tok, err := w.Issue(w.ctx, w.exchange("orchestrator", w.human("alice"), crm, "read"))
				if err == nil {
					tokens <- tok
				}
			}
		})
	}
	wait.Go(func() {
		for range 10 {
			_, err := w.Erase(w.ctx, ops, selector(w, "subject:alice"))
			require.NoError(w, err)
		}
	})
	wait.Wait()
	close(tokens)
	n := 0
	for tok := range tokens {
		require.True(t, w.active(tok), "a token was released, and what it rests on was erased")
		n++
	}
	require.Positive(t, n, "control")
	w.revoke("subject:alice", lineage.Cut)
	require.Equal(t, n, w.erase("subject:alice").Erased)
}
