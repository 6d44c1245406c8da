package policy

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAPaceRestsNowAndThenAndNotForever(t *testing.T) {
	p := newPace()
	for range 3 {
		left := p.left
		p.since = time.Now().Add(-stretch)
		p.turn()
		require.LessOrEqual(t, p.left, left-rest, "after some work")
	}
	p.since = time.Now().Add(time.Hour)
	left := p.left
	p.turn()
	require.Equal(t, left, p.left, "not before")

	p.since, p.left = time.Now().Add(-time.Hour), 0
	since := p.since
	p.turn()
	require.Equal(t, since, p.since, "it has rested for as long as it may")
	(*pace)(nil).turn() // never rests
}
