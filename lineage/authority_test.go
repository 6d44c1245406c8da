package lineage

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const rounds = 3_000

func TestMeetIsASemilattice(t *testing.T) {
	g := newGenerator(t, 1)
	for range rounds {
		a, b, c := g.authority(), g.authority(), g.authority()
		ab := a.Meet(b)
		require.Equal(t, text(t, a.Normal()), text(t, a.Meet(a)), "idempotent")
		require.Equal(t, text(t, ab), text(t, b.Meet(a)), "commutative")
		require.Equal(t, text(t, ab.Meet(c)), text(t, a.Meet(b.Meet(c))), "associative")
		require.Equal(t, text(t, ab), text(t, ab.Normal()), "in normal form")
		require.True(t, a.Covers(ab) && b.Covers(ab), "covered by both: %v %v", a, b)
		if n := c.Normal(); a.Normal().Covers(n) && b.Normal().Covers(n) {
			require.True(t, ab.Covers(n), "the greatest of what both cover")
		}
		require.Equal(t, a.Normal().Covers(b.Normal()), text(t, ab) == text(t, b.Normal()), "covering is meeting to oneself")
	}
}

func TestMeetIsTheGreatestLowerBound(t *testing.T) {
	g := newGenerator(t, 2)
	bounds := 0
	for range rounds {
		c := g.authority().Normal()
		a, b := join(c, g.authority()), join(c, g.authority())
		require.True(t, a.Covers(c) && b.Covers(c))
		require.True(t, a.Meet(b).Covers(c))
		bounds++
	}
	require.Equal(t, rounds, bounds)
}

// join returns something that covers both; the package itself has no such operation.
func join(a, b Authority) Authority {
	out := Authority{
		Access: append(append([]Access{}, a.Access...), b.Access...), Details: append(append([]json.RawMessage{}, a.Details...), b.Details...),
		NotAfter: a.NotAfter, Depth: max(a.Depth, b.Depth),
	}
	if b.NotAfter.After(a.NotAfter) {
		out.NotAfter = b.NotAfter
	}
	return out.Normal()
}

func TestCoversIsAPartialOrder(t *testing.T) {
	g := newGenerator(t, 3)
	for range rounds {
		a, b := g.authority().Normal(), g.authority().Normal()
		require.True(t, a.Covers(a), "reflexive")
		if a.Covers(b) && b.Covers(a) {
			require.Equal(t, text(t, a), text(t, b), "antisymmetric")
		}
		low := b.Meet(a)
		lower := low.Meet(g.authority())
		require.True(t, a.Covers(low) && low.Covers(lower) && a.Covers(lower), "transitive")
	}
}

func TestCoversSaysNoForEachReason(t *testing.T) {
	full := Authority{
		Access: []Access{{"urn:a", []string{"r", "w"}}}, Details: []json.RawMessage{json.RawMessage(`{"type":"a"}`)}, NotAfter: noon, Depth: 1,
	}
	require.True(t, full.Covers(full), "control")
	for name, widen := range map[string]func(*Authority){
		"another scope":         func(a *Authority) { a.Access = []Access{{"urn:a", []string{"r", "x"}}} },
		"a scope in other case": func(a *Authority) { a.Access = []Access{{"urn:a", []string{"R"}}} },
		"another resource":      func(a *Authority) { a.Access = []Access{{"urn:b", []string{"r"}}} },
		"a prefix of it":        func(a *Authority) { a.Access = []Access{{"urn:", []string{"r"}}} },
		"another detail":        func(a *Authority) { a.Details = []json.RawMessage{json.RawMessage(`{"type":"b"}`)} },
		"a spelling of it":      func(a *Authority) { a.Details = []json.RawMessage{json.RawMessage(`{"type": "a"}`)} },
		"more time":             func(a *Authority) { a.NotAfter = noon.Add(time.Nanosecond) },
		"more depth":            func(a *Authority) { a.Depth = 2 },
	} {
		wide := full
		widen(&wide)
		require.False(t, full.Covers(wide), name)
	}
}

func TestEmptyGrantsNothing(t *testing.T) {
	g := newGenerator(t, 4)
	var zero Authority
	require.True(t, zero.Empty())
	require.Empty(t, zero.Scopes("urn:a"))
	require.Empty(t, zero.Resources())
	require.Equal(t, "nothing", zero.String())
	for range rounds {
		a := g.authority()
		met := zero.Meet(a)
		require.True(t, met.Empty() && met.NotAfter.IsZero() && met.Depth == 0, "nothing meets to nothing")
		require.True(t, a.Normal().Covers(zero), "everything covers nothing")
		n := a.Normal()
		nothing := len(n.Access) == 0 && len(n.Details) == 0 && n.NotAfter.IsZero() && n.Depth == 0
		require.Equal(t, nothing, zero.Covers(a), "nothing covers only what is nothing: %+v", a)
	}
}

func TestAResourceWithoutScopesIsNotHeld(t *testing.T) {
	a := Authority{Access: []Access{{"urn:a", nil}, {"urn:b", []string{}}}}
	require.True(t, a.Empty())
	require.Empty(t, a.Normal().Access)
	require.Equal(t, text(t, Authority{}), text(t, a.Normal()))
	require.Empty(t, a.Meet(Authority{Access: []Access{{"urn:a", []string{"r"}}}}).Access)
}

func TestNormal(t *testing.T) {
	a := Authority{
		Access:   []Access{{"urn:b", []string{"w", "r"}}, {"urn:a", []string{"x"}}, {"urn:b", []string{"r", "a"}}},
		Details:  []json.RawMessage{json.RawMessage(`{"b":1}`), json.RawMessage(`{"a":1}`), json.RawMessage(`{"b":1}`)},
		NotAfter: noon.Add(1_999 * time.Microsecond).In(time.FixedZone("elsewhere", 3600)), Depth: -3,
	}
	n := a.Normal()
	require.Equal(t, []Access{{"urn:a", []string{"x"}}, {"urn:b", []string{"a", "r", "w"}}}, n.Access)
	require.Equal(t, []json.RawMessage{json.RawMessage(`{"a":1}`), json.RawMessage(`{"b":1}`)}, n.Details)
	require.Equal(t, noon.Add(time.Millisecond), n.NotAfter)
	require.Zero(t, n.Depth)
	require.Equal(t, n, n.Normal())
	require.Equal(t, []string{"urn:a", "urn:b"}, n.Resources())
	require.Equal(t, "urn:a [x], urn:b [a r w]", n.String())
	require.Equal(t, []string{"a", "r", "w"}, a.Scopes("urn:b"), "scopes of a value built by hand")

	n.Access[1].Scopes[0], n.Details[0][0] = "changed", '!'
	require.Equal(t, []string{"r", "a"}, a.Access[2].Scopes, "shares nothing")
	require.Equal(t, `{"a":1}`, string(a.Details[1]))
}

func TestMeetLeavesItsOperandsAlone(t *testing.T) {
	g := newGenerator(t, 5)
	for range 500 {
		a, b := g.authority(), g.authority()
		before := [2]string{text(t, a), text(t, b)}
		a.Meet(b)
		a.Covers(b)
		require.Equal(t, before, [2]string{text(t, a), text(t, b)})
	}
}

func TestTime(t *testing.T) {
	require.True(t, Time(time.Time{}).IsZero())
	require.True(t, Time(time.Time{}.In(time.FixedZone("elsewhere", 3600))).IsZero())
	got := Time(noon.Add(1_999_999).In(time.FixedZone("elsewhere", -3600)))
	require.Equal(t, noon.Add(time.Millisecond), got)
	require.Equal(t, got, Time(got))
}
