package lineage

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// chain returns the records from the root to r, root first.
func chain(all map[ID]Record, r Record) []Record {
	var out []Record
	for _, a := range r.Ancestors {
		out = append(out, all[a])
	}
	return append(out, r)
}

// grow makes a random tree of records, as a boundary would, and returns them by id.
func grow(t *testing.T, g generator, size int) map[ID]Record {
	t.Helper()
	root := mustSeal(t, first(taskParts()), second(taskParts()))
	all, order := map[ID]Record{root.ID(): root}, []Record{root}
	for len(order) < size {
		parent := pick(g, order[max(0, len(order)-4):]) // mostly deep
		if len(parent.Ancestors) >= 16 {
			parent = root
		}
		env, body := childParts(parent)
		env.Kind = pick(g, []Kind{KindToken, KindToken, KindGrant})
		env.ExpiresAt = env.ExpiresAt.Add(-time.Duration(g.IntN(3)) * time.Second)
		if g.IntN(3) == 0 {
			body.Granted = body.Granted.Meet(grant(1, noon.Add(time.Hour), "cases:read"))
		}
		body.Actors = []Party{{ID: pick(g, []string{"crm-tool", "search-tool"})}}
		body.Selectors = Union(body.Selectors, []Selector{{SelectActor, body.Actors[0].ID}})
		r := mustSeal(t, env, body)
		all[r.ID()], order = r, append(order, r)
	}
	return all
}

func TestVerifyChainAcceptsWhatTheBoundaryMakes(t *testing.T) {
	g := newGenerator(t, 7)
	deepest := 0
	for range 2 {
		all := grow(t, g, 60)
		for id, r := range all {
			require.NoError(t, VerifyChain(id, chain(all, r)))
			deepest = max(deepest, len(r.Ancestors))

			some := chain(all, r)
			i := g.IntN(len(some))
			some[i] = some[i].Erase()
			require.NoError(t, VerifyChain(id, some), "with an erased body")
		}
	}
	require.Equal(t, 16, deepest)
}

func TestVerifyChainRefusesRandomDamage(t *testing.T) {
	g := newGenerator(t, 8)
	all := grow(t, g, 80)
	var ids []ID
	for id := range all {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b ID) int { return slices.Compare(a[:], b[:]) })
	for range 100 {
		id := pick(g, ids)
		whole := chain(all, all[id])
		i, j := g.IntN(len(whole)), g.IntN(len(whole))
		require.NoError(t, VerifyChain(id, whole), "control")
		require.ErrorIs(t, VerifyChain(id, slices.Delete(slices.Clone(whole), i, i+1)), ErrChain, "one dropped")
		if i != j {
			swapped := slices.Clone(whole)
			swapped[i], swapped[j] = swapped[j], swapped[i]
			require.ErrorIs(t, VerifyChain(id, swapped), ErrChain, "two swapped")
			require.ErrorIs(t, VerifyChain(whole[i].ID(), whole[:j+1]), ErrChain, "another token's chain")
		}
		require.ErrorIs(t, VerifyChain(id, slices.Insert(slices.Clone(whole), i, whole[j])), ErrChain, "one repeated")
		if other := all[pick(g, ids)]; !slices.ContainsFunc(whole, other.Equal) {
			require.ErrorIs(t, VerifyChain(id, slices.Insert(slices.Clone(whole), i, other)), ErrChain, "one added")
			replaced := slices.Clone(whole)
			replaced[i] = other
			require.ErrorIs(t, VerifyChain(id, replaced), ErrChain, "one replaced")
		}
	}
}

// line is a chain of four: a task, its token, and two derivations.
func line(t *testing.T) []Record {
	t.Helper()
	out := []Record{mustSeal(t, first(taskParts()), second(taskParts()))}
	for range 3 {
		env, body := childParts(out[len(out)-1])
		out = append(out, mustSeal(t, env, body))
	}
	return out
}

// forge replaces the last of a line by what change makes of it, as somebody would who can write records but cannot
// change those above.
func forge(t *testing.T, change func(*Envelope, *Body)) []Record {
	t.Helper()
	l := line(t)
	env, body := childParts(l[2])
	change(&env, &body)
	l[3] = mustSeal(t, env, body)
	return l
}

func TestVerifyChainSaysWhy(t *testing.T) {
	l := line(t)
	stranger := mustSeal(t, first(rootParts()), second(rootParts()))
	for name, c := range map[string]struct {
		chain  []Record
		reason string
	}{
		"nothing at all":       {nil, "not the one named"},
		"an ancestor dropped":  {[]Record{l[0], l[2], l[3]}, "missing or below"},
		"the root dropped":     {l[1:], "missing or below"},
		"the token dropped":    {l[:3], "not the one named"},
		"two swapped":          {[]Record{l[0], l[2], l[1], l[3]}, "missing or below"},
		"a record too much":    {[]Record{l[0], stranger, l[1], l[2], l[3]}, "no ancestors"},
		"a record twice":       {[]Record{l[0], l[0], l[1], l[2], l[3]}, "no ancestors"},
		"a record of no bytes": {[]Record{l[0], {}, l[1], l[2], l[3]}, "not a record"},
		"another issuer": {
			forge(t, func(e *Envelope, _ *Body) { e.Issuer = "https://other.example" }), "another issuer",
		},
		"outliving its parent": {
			forge(t, func(e *Envelope, _ *Body) { e.ExpiresAt = e.ExpiresAt.Add(time.Millisecond) }), "outlives an ancestor",
		},
		"another scope": {
			forge(t, func(_ *Envelope, b *Body) { b.Granted.Access[0].Scopes = []string{"cases:delete"} }), "exceeds the authority",
		},
		"another resource": {
			forge(t, func(_ *Envelope, b *Body) { b.Granted.Access[0].Resource = "https://hr.example.com/" }), "exceeds the authority",
		},
		"more depth": {forge(t, func(_ *Envelope, b *Body) { b.Granted.Depth++ }), "exceeds the authority"},
		"more time":  {forge(t, func(_ *Envelope, b *Body) { b.Granted.NotAfter = noon.Add(time.Hour) }), "exceeds the authority"},
		"terms of a task that are wider": {
			forge(t, func(_ *Envelope, b *Body) {
				wide := grant(9, noon.Add(time.Hour), "cases:delete")
				b.Task.Authority = &wide
			}), "exceeds the authority",
		},
		"a lost selector": {
			forge(t, func(_ *Envelope, b *Body) {
				b.Selectors = slices.DeleteFunc(b.Selectors, func(s Selector) bool { return s.Value == "support-bot" })
			}), "lost a selector",
		},
		"the selector of the task lost": {
			forge(t, func(_ *Envelope, b *Body) {
				b.Selectors = slices.DeleteFunc(b.Selectors, func(s Selector) bool { return s.Kind == SelectTask })
			}), "lost a selector",
		},
		"an ancestor of the parent left out": {
			forge(t, func(e *Envelope, _ *Body) { e.Ancestors = slices.Delete(e.Ancestors, 1, 2) }), "not those of its parents",
		},
		"ancestors in another order": {
			forge(t, func(e *Envelope, _ *Body) { e.Ancestors[1], e.Ancestors[2] = e.Ancestors[2], e.Ancestors[1] }),
			"not those of its parents",
		},
		"an uncle for a parent": {
			forge(t, func(e *Envelope, _ *Body) { e.Parents = e.Ancestors[1:2] }), "not those of its parents",
		},
	} {
		id := l[3].ID()
		if len(c.chain) > 0 && !slices.ContainsFunc(c.chain, l[3].Equal) && name != "the token dropped" {
			id = c.chain[len(c.chain)-1].ID()
		}
		err := VerifyChain(id, c.chain)
		require.ErrorIs(t, err, ErrChain, name)
		require.ErrorContains(t, err, c.reason, name)
	}
	require.NoError(t, VerifyChain(l[3].ID(), l), "control")
	honest := forge(t, func(*Envelope, *Body) {})
	require.NoError(t, VerifyChain(honest[3].ID(), honest), "control")
	require.ErrorContains(t, VerifyChain(ID{}, l), "not the one named")
	require.ErrorContains(t, VerifyChain(l[2].ID(), l), "not the one named")
	env, body := rootParts()
	env.Issuer = "https://other.example"
	foreign := mustSeal(t, env, body)
	require.NoError(t, VerifyChain(foreign.ID(), []Record{foreign}), "control: a root of any issuer")
}

func TestVerifyChainRefusesADenialAbove(t *testing.T) {
	env, body := rootParts()
	env.Kind, env.ExpiresAt = KindDenial, time.Time{}
	denial := mustSeal(t, env, body)
	require.NoError(t, VerifyChain(denial.ID(), []Record{denial}), "control: a denial is a record like any other")

	childEnv, childBody := childParts(denial)
	childEnv.ExpiresAt = noon.Add(time.Minute)
	child := mustSeal(t, childEnv, childBody)
	require.ErrorContains(t, VerifyChain(child.ID(), []Record{denial, child}), "descends from a denial")
}

func TestVerifyChainOfADenial(t *testing.T) {
	l := line(t)
	env, body := childParts(l[3])
	env.Kind, env.ExpiresAt, body.Granted = KindDenial, time.Time{}, Authority{}
	denial := mustSeal(t, env, body)
	require.NoError(t, VerifyChain(denial.ID(), append(l, denial)))
	require.ErrorIs(t, VerifyChain(denial.ID(), append(l[1:], denial)), ErrChain)
}

// family returns a task, the refresh family of its token, a refreshed token and what was derived from that.
func family(t *testing.T) []Record {
	t.Helper()
	out := []Record{mustSeal(t, first(taskParts()), second(taskParts()))}
	for _, kind := range []Kind{KindGrant, KindToken, KindToken} {
		env, body := childParts(out[len(out)-1])
		env.Kind = kind
		out = append(out, mustSeal(t, env, body))
	}
	return out
}

func TestVerifyChainThroughAGrant(t *testing.T) {
	l := family(t)
	for i, r := range l {
		require.NoError(t, VerifyChain(r.ID(), l[:i+1]))
	}
	again := mustSeal(t, first(childParts(l[1])), second(childParts(l[1])))
	require.NotEqual(t, l[2].ID(), again.ID())
	require.NoError(t, VerifyChain(again.ID(), []Record{l[0], l[1], again}), "a family has any number of tokens")
	require.NoError(t, VerifyChain(l[3].ID(), []Record{l[0], l[1].Erase(), l[2], l[3]}), "with the family's body erased")

	alone := mustSeal(t, first(grantParts()), second(grantParts()))
	env, body := childParts(alone)
	env.ExpiresAt = noon.Add(5 * time.Minute)
	token := mustSeal(t, env, body)
	require.NoError(t, VerifyChain(token.ID(), []Record{alone, token}), "a family that is the root")
	require.Equal(t, alone.ID(), token.Root())
	require.Contains(t, token.Selectors(), Selector{SelectGrant, alone.ID().String()})
}

func TestVerifyChainHoldsATokenToItsGrant(t *testing.T) {
	l := family(t)
	for name, c := range map[string]struct {
		spoil  func(*Envelope, *Body)
		reason string
	}{
		"outliving it": {func(e *Envelope, _ *Body) { e.ExpiresAt = e.ExpiresAt.Add(time.Millisecond) }, "outlives an ancestor"},
		"wider than it": {func(_ *Envelope, b *Body) { b.Granted = grant(3, l[1].ExpiresAt, "cases:read", "cases:write") },
			"exceeds the authority"},
		"beside it": {func(e *Envelope, _ *Body) { e.Parents, e.Ancestors = e.Ancestors[:1], e.Ancestors[:1] }, "records that are no ancestors"},
		"cut loose from its selectors": {func(_ *Envelope, b *Body) {
			b.Selectors = slices.DeleteFunc(b.Selectors, func(s Selector) bool { return s == Selector{SelectClient, "support-bot"} })
		}, "lost a selector"},
	} {
		env, body := childParts(l[1])
		c.spoil(&env, &body)
		r := mustSeal(t, env, body)
		require.ErrorContains(t, VerifyChain(r.ID(), []Record{l[0], l[1], r}), c.reason, name)
	}
}

func TestVerifyChainOfAnApproval(t *testing.T) {
	l := line(t)
	env, body := childParts(l[3])
	env.Kind, body.Deferred = KindApproval, second(approvalParts()).Deferred
	waiting := mustSeal(t, env, body)
	require.NoError(t, VerifyChain(waiting.ID(), append(slices.Clone(l), waiting)))
	env.ExpiresAt = env.ExpiresAt.Add(time.Millisecond)
	late := mustSeal(t, env, body)
	require.ErrorContains(t, VerifyChain(late.ID(), append(slices.Clone(l), late)), "outlives an ancestor")
}

func TestVerifyChainReadsTheBytes(t *testing.T) {
	l := line(t)
	l[1].Body.Granted = grant(9, noon.Add(time.Hour), "admin")
	l[1].ExpiresAt = noon.Add(24 * time.Hour)
	require.NoError(t, VerifyChain(l[3].ID(), l), "what is said beside the bytes does not count")
	forged := l[1]
	forged.raw = append([]byte{}, forged.raw...)
	forged.raw[len(forged.raw)-3] ^= 1
	require.ErrorIs(t, VerifyChain(l[3].ID(), []Record{l[0], forged, l[2], l[3]}), ErrChain)
}

func TestVerifyChainOfTwoParents(t *testing.T) {
	l := line(t)
	other := mustSeal(t, first(rootParts()), second(rootParts()))
	env, body := childParts(l[3])
	env.Parents = append(env.Parents, other.ID())
	env.Ancestors = append(env.Ancestors, other.ID())
	body.Selectors = Union(body.Selectors, other.Selectors())
	r := mustSeal(t, env, body)
	require.NoError(t, VerifyChain(r.ID(), append(slices.Clone(l), other, r)))
	require.NoError(t, VerifyChain(r.ID(), append([]Record{other}, append(slices.Clone(l), r)...)))
	require.ErrorContains(t, VerifyChain(r.ID(), append(slices.Clone(l), r)), "missing or below")

	env.Parents[0], env.Parents[1] = env.Parents[1], env.Parents[0]
	r = mustSeal(t, env, body)
	require.ErrorContains(t, VerifyChain(r.ID(), append(slices.Clone(l), other, r)), "another grant")
}
