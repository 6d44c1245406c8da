package policy

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAPaceRestsNowAndThenAndNotForever(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	p := &pace{ctx: ended}
	for range 2 * stretch / aDocument {
		p.turn(aDocument)
	}
	for range 3 * stretch / aLook {
		p.turn(aLook)
	}
	require.Equal(t, 0, p.work)
	require.Equal(t, 5, p.rests)
	p.turn(aLook)
	require.Equal(t, 5, p.rests, "not before there was some work")

	p.rests = maxRests
	p.turn(stretch)
	require.Equal(t, maxRests, p.rests, "it has rested for as long as it may")
	p.rests = 0
	end()
	p.turn(stretch)
	require.Zero(t, p.rests, "nobody waits for it any more")
	(*pace)(nil).turn(stretch) // never rests
}
