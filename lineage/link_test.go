package lineage

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestVerifyLinkChecksWhatIsKnown: of a tree of which some records are gone and some erased, every record verifies, and the
// ones that are gone are named. What is known still convicts a record that is not right.
func TestVerifyLinkChecksWhatIsKnown(t *testing.T) {
	g := newGenerator(t, 11)
	all := grow(t, g, 80)
	gone, kept := 0, 0
	for _, r := range all {
		hidden := map[ID]bool{}
		for _, a := range r.Ancestors {
			hidden[a] = g.IntN(3) == 0
		}
		above := func(id ID) (Record, bool) {
			up, ok := all[id]
			if g.IntN(5) == 0 {
				up = up.Erase()
			}
			return up, ok && !hidden[id]
		}
		missing, err := VerifyLink(r, above)
		require.NoError(t, err)
		for _, id := range missing {
			require.True(t, hidden[id])
			delete(hidden, id)
			gone++
		}
		for id, h := range hidden {
			require.False(t, h, "%s is gone and was not named", id)
			kept++
		}
	}
	require.Positive(t, gone)
	require.Positive(t, kept)
}

func TestVerifyLinkConvictsByAGrandparent(t *testing.T) {
	root := mustSeal(t, first(rootParts()), second(rootParts()))
	child := func(parent Record, change func(*Envelope, *Body)) Record {
		env, body := childParts(parent)
		if change != nil {
			change(&env, &body)
		}
		return mustSeal(t, env, body)
	}
	middle := child(root, nil)
	only := func(id ID) (Record, bool) { return root, id == root.ID() }
	for want, change := range map[string]func(*Envelope, *Body){
		"": func(*Envelope, *Body) {}, // the control
		"outlives an ancestor": func(e *Envelope, _ *Body) {
			e.ExpiresAt = root.ExpiresAt.Add(time.Second)
		},
		"lost a selector of its parent": func(_ *Envelope, b *Body) { b.Selectors = nil },
		"exceeds the authority of its parent": func(_ *Envelope, b *Body) {
			b.Granted.Access = []Access{{"https://crm.example.com/", []string{"cases:write"}}}
		},
	} {
		missing, err := VerifyLink(child(middle, change), only)
		if want == "" {
			require.NoError(t, err)
			require.Equal(t, []ID{middle.ID()}, missing)
		} else {
			require.EqualError(t, err, want)
		}
	}
	stranger := mustSeal(t, first(rootParts()), second(rootParts()))
	lost := child(child(root, nil), nil)
	_, err := VerifyLink(lost, func(id ID) (Record, bool) {
		if id == root.ID() {
			return child(stranger, nil), true // what is above it is not above the record
		}
		return Record{}, false
	})
	require.ErrorIs(t, err, errAncestors)
}
