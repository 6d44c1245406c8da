package policy

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAPaceRestsNowAndThenAndNotForever(t *testing.T) {
	p := &pace{}
	for range 2 * stretch / aDocument {
		p.turn(aDocument)
	}
	for range 3 * stretch / aLook {
		p.turn(aLook)
	}
	require.Equal(t, pace{rests: 5}, *p)
	p.turn(aLook)
	require.Equal(t, pace{work: aLook, rests: 5}, *p, "not before there was some work")

	p.rests = maxRests
	p.turn(stretch)
	require.Equal(t, pace{work: aLook, rests: maxRests}, *p, "it has rested for as long as it may")
	(*pace)(nil).turn(stretch) // never rests
}
