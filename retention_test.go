package tokenboundary_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// life is how long anything lives at most in a world: the default of a refresh family.
const life = 8 * time.Hour

// pastOf is the key of what a version of a fact was.
func pastOf(key string, version int) string { return canon.Key("past", key, fmt.Sprint(version)) }

func (w *world) prune(keep, evidence time.Duration) tb.Pruned {
	w.Helper()
	out, err := w.Prune(w.ctx, ops, tb.Retention{Keep: keep, Evidence: evidence})
	require.NoError(w, err)
	require.True(w, out.Complete)
	return out
}

// kept returns all records that the store has, by id.
func (w *world) kept() map[lineage.ID]lineage.Record {
	w.Helper()
	out := map[lineage.ID]lineage.Record{}
	for r, err := range w.store.(store.Forgetter).Records(w.ctx, issuer, store.Position{}) {
		require.NoError(w, err)
		out[r.ID()] = r
	}
	return out
}

func (w *world) headsOf(keys ...string) (there []string) {
	w.Helper()
	heads, err := w.store.Heads(w.ctx, issuer, keys)
	require.NoError(w, err)
	for _, h := range heads {
		if h.Version > 0 || h.Count > 0 {
			there = append(there, h.Key)
		}
	}
	return there
}

func (w *world) marksOf(sels ...string) (there []string) {
	w.Helper()
	var all []lineage.Selector
	for _, s := range sels {
		all = append(all, selector(w, s))
	}
	marks, err := w.store.Revoked(w.ctx, issuer, all)
	require.NoError(w, err)
	for _, m := range marks {
		there = append(there, m.Selector.String())
	}
	return there
}

func TestPruneForgetsWhatIsOver(t *testing.T) {
	w := newWorld(t, minting)
	old := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	below := w.issued(w.exchange("researcher", bearer(old), crm, "read"))
	w.reports("crm", tb.Use{Token: below.ID, At: w.clock.Now(), Scopes: []string{"read"}})
	task := w.start("triage", 10, "read")
	deny := w.exchange("tool", w.human("alice"), crm)
	w.policy = func(f tb.Facts) tb.Verdict { return tb.Verdict{Path: "/x", Version: "v1", Code: tb.CodeInvalidTarget} }
	first := w.refused(deny, tb.CodeInvalidTarget, "")
	require.Equal(t, first.ID, w.refused(deny, tb.CodeInvalidTarget, "").ID, "it is counted")
	w.policy = grantAll
	w.clock.Add(time.Minute)
	late := w.issued(w.exchange("orchestrator", w.human("bob"), crm, "read"))
	beside := []string{
		"token:" + first.ID.String(), "task:" + task.TaskID.String(), canon.Key("usage", below.ID.String()),
	}
	require.Len(t, w.headsOf(beside...), len(beside), "control")
	before := w.kept()

	const keep = 24 * time.Hour
	w.clock.Add(keep + life) // of the first minute, all but the leeway
	require.Equal(t, tb.Pruned{Complete: true}, w.prune(0, 0), "no retention is for good")
	require.Equal(t, tb.Pruned{Complete: true}, w.prune(keep+time.Hour, 0))
	require.Equal(t, before, w.kept())

	w.clock.Add(-30 * time.Second)
	pruned := w.prune(keep, 0)
	require.Equal(t, len(before)-1, pruned.Records)
	require.Empty(t, w.headsOf(beside...))
	left := w.kept()
	require.Len(t, left, 1)
	require.True(t, left[late.ID].Equal(before[late.ID]), "what is kept is as it was")
	_, err := w.Lineage(w.ctx, ops, old.ID)
	require.ErrorIs(t, err, tb.ErrNotFound)
	require.False(t, w.active(old))
	require.Equal(t, tb.Pruned{Complete: true}, w.prune(keep, 0), "nothing is left to do")
	w.clock.Add(time.Hour)
	require.Equal(t, 1, w.prune(keep, 0).Records)
	require.Empty(t, w.kept())
}

// TestPruneLetsEverythingLive: whatever has happened, what lives goes on to, with all that it came from; what was dead stays
// so; and nothing is kept whose ancestor was forgotten while it could live.
func TestPruneLetsEverythingLive(t *testing.T) {
	forgotten, alive := 0, 0
	for seed := range uint64(40) {
		h := newHistory(t, seed, map[string]int{})
		for range 60 {
			h.step()
		}
		h.clock.Add(time.Duration(seed%5) * life / 2) // of the steps before, some or all can be forgotten then
		for range 30 {
			h.step()
		}
		before, all := map[lineage.ID]lineage.State{}, h.kept()
		for _, n := range h.nodes {
			before[n.id] = h.state(n.id)
		}
		forgotten += h.prune(time.Second, time.Second).Records
		left := h.kept()
		for id, r := range left {
			require.True(t, r.Equal(all[id]), "what is kept is as it was")
		}
		for _, n := range h.nodes {
			was, r := before[n.id], left[n.id]
			switch {
			case was == lineage.Active || was == lineage.Suspended:
				require.False(t, r.ID().IsZero(), "what lives was forgotten: %s", h.say(n))
				require.Equal(t, was, h.state(n.id), h.say(n))
				for _, a := range r.Ancestors {
					require.Contains(t, left, a, "what it came from was forgotten: %s", h.say(n))
				}
				alive++
			case !r.ID().IsZero():
				require.NotContains(t, []lineage.State{lineage.Active, lineage.Suspended}, h.state(n.id), h.say(n))
			default:
				require.False(t, h.clock.Now().Before(n.expires), h.say(n))
			}
		}
	}
	require.Greater(t, forgotten, 100, "control")
	require.Greater(t, alive, 50, "control")
}

// TestARevocationThatIsForgottenStillCuts: what it was for is over, and evidence from before it is too old.
func TestARevocationThatIsForgottenStillCuts(t *testing.T) {
	w := newWorld(t, minting)
	login := w.human("alice")
	for _, name := range []string{"bob", "carol"} {
		require.True(t, w.active(w.issued(w.exchange("orchestrator", w.human(name), crm, "read"))))
	}
	w.clock.Add(10 * time.Minute)
	w.revoke("subject:alice", lineage.Cut)
	w.revoke("session:s-bob", lineage.Cut)
	w.revoke("subject:carol", lineage.Block)
	w.revoke("client:nobody", lineage.Cut) // the newest stays
	all := []string{"subject:alice", "session:s-bob", "subject:carol", "client:nobody"}
	require.ElementsMatch(t, all, w.marksOf(all...))

	const keep, evidence = time.Hour, 48 * time.Hour
	w.clock.Add(keep + life + evidence)
	require.Zero(t, w.prune(keep, evidence).Revocations, "by the leeways it is too early")
	w.clock.Add(time.Minute)
	require.Equal(t, 3, w.prune(keep, evidence).Revocations)
	require.ElementsMatch(t, all[1:], w.marksOf(all...))

	again := func(c tb.Credential, session string) tb.Request {
		p := *c.Verified
		p.Issued, p.Expires, p.Session.ID = w.clock.Now(), w.clock.Now().Add(time.Minute), session
		c.Verified = &p
		return w.exchange("orchestrator", c, crm, "read")
	}
	w.refused(again(login, "s-alice"), tb.CodeInvalidRequest, "revoked: path")
	w.refused(again(w.human("bob"), "s-bob"), tb.CodeInvalidRequest, "revoked: session")
	w.refused(again(w.human("carol"), "s-carol"), tb.CodeInvalidRequest, "revoked: subject")
	for _, name := range []string{"alice", "bob", "dave"} {
		require.True(t, w.active(w.issued(again(w.human(name), "s-2-"+name))), "control: who logs in anew")
	}
	w.revoke("subject:carol", lineage.Lift)
	w.clock.Add(2 * time.Minute)
	w.issued(again(w.human("carol"), "s-2-carol"))
}

func TestAPrunedFeedKnowsItsReaders(t *testing.T) {
	w := newWorld(t, minting)
	for i := range 300 {
		w.revoke(fmt.Sprint("client:c", i), lineage.Cut)
	}
	first := w.feed(ops)[0].Seq
	w.clock.Add(time.Hour + life + time.Minute)
	w.revoke("client:tool", lineage.Cut)
	require.Equal(t, 300, w.prune(time.Hour, time.Second).Revocations)
	for range 2 {
		entries := w.feed(w.client("crm"))
		require.Len(t, entries, 1, "who knows nothing needs only what is kept")
		require.Equal(t, first+300, entries[0].Seq)
		w.gone(first - 1) // the epoch itself, which nobody is told
		w.gone(first)
		w.gone(first + 298)
		for after := first + 299; after <= first+300; after++ {
			n := 0
			for _, err := range w.Revocations(w.ctx, ops, after) {
				require.NoError(t, err)
				n++
			}
			require.Equal(t, int(first+300-after), n)
		}
		w.restart()
	}
	w.clock.Add(1000 * time.Hour)
	require.Zero(t, w.prune(time.Hour, time.Second).Revocations, "the newest stays")
	w.revoke("client:tool", lineage.Cut)
	require.Equal(t, first+301, w.newest())
}

// TestPruneForgetsWhatFactsWere when nothing that is kept was decided on it; what they are stays.
func TestPruneForgetsWhatFactsWere(t *testing.T) {
	w := newWorld(t)
	past := func(versions ...int) (keys []string) {
		for _, v := range versions {
			keys = append(keys, pastOf("subject:alice", v))
		}
		return keys
	}
	levels := []string{"low", "medium"}
	for i := range 300 {
		w.risk("subject:alice", levels[i%2])
	}
	w.granted(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	w.risk("subject:alice", "low")
	w.clock.Add(life + 2*time.Hour)
	kept := w.granted(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	w.risk("subject:alice", "high")
	all := past(1, 2, 299, 300, 301, 302)
	require.Len(t, w.headsOf(all...), 6, "control")
	require.Equal(t, 1, w.prune(time.Hour, 0).Records)
	require.Equal(t, all[3:], w.headsOf(all...))
	one, err := w.recall().One(w.ctx, kept.ID)
	require.NoError(t, err)
	require.Empty(t, one.Unknown)
	w.clock.Add(life + 2*time.Hour)
	require.Equal(t, 1, w.prune(time.Hour, 0).Records)
	require.Equal(t, all[4:], w.headsOf(all...))
	require.Equal(t, []string{"subject:alice"}, w.headsOf("subject:alice"), "what is known of her is in force")
}

func TestPruneIsForOperatorsOfStoresThatCan(t *testing.T) {
	w := newWorld(t)
	d := w.granted(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	w.clock.Add(1000 * time.Hour)
	for _, id := range []string{"orchestrator", "crm"} {
		_, err := w.Prune(w.ctx, w.client(id), tb.Retention{Keep: time.Hour})
		require.ErrorIs(t, err, tb.ErrForbidden)
		_, err = w.Erase(w.ctx, w.client(id), selector(w, "subject:alice"))
		require.ErrorIs(t, err, tb.ErrForbidden)
	}
	for _, r := range []tb.Retention{{Keep: -1}, {Keep: 1, Evidence: -1}} {
		_, err := w.Prune(w.ctx, ops, r)
		require.ErrorIs(t, err, tb.ErrInvalid)
	}
	for _, sel := range []string{"client:tool", "path:/", "token:" + d.ID.String()} {
		_, err := w.Erase(w.ctx, ops, selector(w, sel))
		require.ErrorIs(t, err, tb.ErrInvalid, sel)
	}
	_, err := w.Erase(w.ctx, ops, lineage.Selector{Kind: "subject"})
	require.ErrorIs(t, err, tb.ErrInvalid)
	w.revoke("client:ops", lineage.Block)
	_, err = w.Prune(w.ctx, ops, tb.Retention{Keep: time.Hour})
	require.ErrorIs(t, err, tb.ErrForbidden)
	_, err = w.Erase(w.ctx, ops, selector(w, "subject:alice"))
	require.ErrorIs(t, err, tb.ErrForbidden)
	require.Contains(t, w.kept(), d.ID)
	require.NotNil(t, w.kept()[d.ID].Body)

	keeps := newWorld(t, func(w *world) { w.store = struct{ store.Store }{w.store} })
	_, err = keeps.Prune(w.ctx, ops, tb.Retention{Keep: time.Hour})
	require.ErrorIs(t, err, errors.ErrUnsupported)
	_, err = keeps.Erase(w.ctx, ops, selector(w, "subject:alice"))
	require.ErrorIs(t, err, errors.ErrUnsupported)
}

// faltering is a store whose n-th Forget fails, before or after it was done.
type faltering struct {
	store.Store
	store.Forgetter
	n     *int
	after bool
}

var errPlug = errors.New("the plug was pulled")

func (s faltering) Forget(ctx context.Context, r store.Removal) error {
	*s.n--
	if *s.n == 0 && !s.after {
		return errPlug
	}
	err := s.Forgetter.Forget(ctx, r)
	if *s.n == 0 {
		err = errPlug
	}
	return err
}

// TestPruneAndEraseGoOnWhereTheyEnded: the end of a process between any two writes costs nothing but a repeat.
func TestPruneAndEraseGoOnWhereTheyEnded(t *testing.T) {
	for name, run := range map[string]func(w *world) error{
		"prune": func(w *world) error {
			_, err := w.Prune(w.ctx, ops, tb.Retention{Keep: time.Hour, Evidence: time.Second})
			return err
		},
		"erase": func(w *world) error {
			_, err := w.Erase(w.ctx, ops, selector(w, "subject:alice"))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			after := func(ends int, done bool) (state map[lineage.ID]lineage.Record, ended bool) {
				n := ends
				w := newWorld(t, func(w *world) {
					w.store = faltering{w.store, w.store.(store.Forgetter), &n, done}
				})
				w.risk("subject:alice", "low")
				w.risk("subject:alice", "medium")
				w.risk("session:s-alice", "low")
				for i := range 300 {
					w.granted(w.exchange("orchestrator", w.human("alice"), crm, "read"))
					w.revoke(fmt.Sprint("client:c", i), lineage.Cut)
				}
				w.clock.Add(life + 2*time.Hour)
				err := run(w)
				if ended = n <= 0; ended {
					require.ErrorIs(t, err, tb.ErrUnavailable)
					w.restart()
					require.NoError(t, run(w))
				} else {
					require.NoError(t, err)
				}
				if name == "prune" {
					require.Empty(t, w.kept())
					require.Len(t, w.feed(ops), 1)
				} else {
					require.Empty(t, w.headsOf("subject:alice", pastOf("subject:alice", 2), "session:s-alice"))
				}
				return w.kept(), ended
			}
			for _, done := range []bool{false, true} {
				for n, ended := 1, true; ended; n++ {
					var state map[lineage.ID]lineage.Record
					state, ended = after(n, done)
					for _, r := range state {
						require.Nil(t, r.Body)
					}
					require.True(t, ended || n > 3, "control: there are several writes")
				}
			}
		})
	}
}
