package lineage

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sample has one selector of every kind.
func sample() []Selector {
	id := IDOf(nil).String()
	return []Selector{
		{SelectToken, id}, {SelectTask, id}, {SelectGrant, id}, {SelectSession, "s"}, {SelectKey, "k"},
		{SelectSubject, "s"}, {SelectActor, "a"}, {SelectClient, "c"}, {SelectConnection, "c"}, {SelectPath, "/p"},
	}
}

func TestRevocationCheck(t *testing.T) {
	for _, sel := range sample() {
		want := map[Action]bool{
			Cut: true, Block: !sel.Absolute(), Lift: !sel.Absolute(),
			Suspend: sel.Kind == SelectTask, Resume: sel.Kind == SelectTask, "erase": false, "BLOCK": false,
		}
		for action, ok := range want {
			err := Revocation{Selector: sel, Action: action}.Check()
			if ok {
				require.NoError(t, err, "%s %s", action, sel)
			} else {
				require.EqualError(t, err, "lineage: action does not fit the selector", "%s %s", action, sel)
			}
		}
	}
	require.ErrorIs(t, Revocation{}.Check(), errSelector, "the zero selector selects nothing")
	require.ErrorIs(t, Revocation{Selector: Selector{SelectClient, ""}}.Check(), errSelector)
	require.ErrorIs(t, Revocation{Selector: Selector{SelectToken, "x"}}.Check(), errSelector)
}

func at(n int) time.Time { return noon.Add(time.Duration(n) * time.Second) }

func TestMarkOfANameThatComesBack(t *testing.T) {
	sel := Selector{SelectClient, "c"}
	var m Mark
	require.False(t, m.Kills(noon), "the zero mark kills nothing")

	m = m.Apply(Revocation{Seq: 1, Selector: sel, Before: at(10)})
	require.Equal(t, Mark{Selector: sel, Before: at(10), Seq: 1}, m)
	require.True(t, m.Kills(at(9)))
	require.False(t, m.Kills(at(10)), "what was issued at that moment or later lives")

	m = m.Apply(Revocation{Seq: 2, Selector: sel, Before: at(5)})
	require.Equal(t, at(10), m.Before, "it never falls")
	m = m.Apply(Revocation{Seq: 3, Selector: sel, Before: at(20)})
	require.Equal(t, at(20), m.Before)

	m = m.Apply(Revocation{Seq: 4, Selector: sel, Action: Block, Before: at(30)})
	require.True(t, m.Kills(at(1_000_000)), "a block reaches into the future")
	m = m.Apply(Revocation{Seq: 5, Selector: sel, Before: at(31)})
	require.True(t, m.Blocked, "a cut does not lift a block")
	m = m.Apply(Revocation{Seq: 6, Selector: sel, Action: Lift, Before: at(40)})
	require.Equal(t, Mark{Selector: sel, Before: at(40), Seq: 6}, m)
	require.True(t, m.Kills(at(39)), "what was dead stays dead")
	require.False(t, m.Kills(at(41)), "what is issued afterwards lives")

	again := m.Apply(Revocation{Seq: 7, Selector: sel, Action: Lift, Before: at(50)})
	require.Equal(t, m, again, "lifting twice cuts nothing that was issued in between")
}

func TestMarkOfANameThatNeverComesBack(t *testing.T) {
	sel := Selector{SelectSession, "s"}
	m := Mark{}.Apply(Revocation{Seq: 1, Selector: sel, Before: at(10)})
	require.Equal(t, Mark{Selector: sel, Cut: true, Seq: 1}, m)
	require.True(t, m.Kills(at(1_000_000)), "absolute: whenever it was issued")
}

func TestSuspendingATaskKillsNothing(t *testing.T) {
	sel := Selector{SelectTask, IDOf(nil).String()}
	for _, a := range []Action{Suspend, Resume} {
		require.Equal(t, Mark{}, Mark{}.Apply(Revocation{Seq: 1, Selector: sel, Action: a, Before: at(10)}))
	}
	dead := Mark{}.Apply(Revocation{Seq: 1, Selector: sel})
	require.Equal(t, dead, dead.Apply(Revocation{Seq: 2, Selector: sel, Action: Resume}), "resuming does not revive")
}

func TestApplyNeverRevives(t *testing.T) {
	g := newGenerator(t, 6)
	for range rounds {
		sel := pick(g, sample())
		actions := []Action{Cut}
		for _, a := range []Action{Block, Lift, Suspend, Resume} {
			if (Revocation{Selector: sel, Action: a}).Check() == nil {
				actions = append(actions, a)
			}
		}
		var m Mark
		for seq := range uint64(8) {
			// The store sets Before: never below what it has set earlier.
			r := Revocation{Seq: seq + 1, Selector: sel, Action: pick(g, actions), Before: at(int(seq)*10 + g.IntN(10))}
			require.NoError(t, r.Check())
			next := m.Apply(r)
			for n := -1; n <= 100; n++ {
				since := at(n)
				switch {
				case m.Kills(since) && !m.Blocked:
					require.True(t, next.Kills(since), "%+v revived by %+v", m, r)
				case m.Blocked && since.Before(r.Before):
					require.True(t, next.Kills(since), "dead under a block, revived by %+v", r)
				}
			}
			require.False(t, next.Before.Before(m.Before), "rising")
			m = next
		}
	}
}
