package recent

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatIsUsedStays(t *testing.T) {
	c := Cache[int, string]{Size: 8}
	c.Put(-1, "used")
	for n := range 100 {
		c.Put(n, "")
		require.LessOrEqual(t, c.Len(), 16)
		if n%4 == 0 {
			v, found := c.Get(-1)
			require.True(t, found)
			require.Equal(t, "used", v)
		}
	}
	_, found := c.Get(0)
	require.False(t, found, "what is not used goes")
	for n := 93; n < 100; n++ {
		_, found := c.Get(n)
		require.True(t, found, n)
	}
}

func TestTheLastValueCounts(t *testing.T) {
	c := Cache[string, int]{Size: 1}
	c.Put("a", 1)
	c.Put("b", 2)
	c.Put("a", 3)
	v, found := c.Get("a")
	require.True(t, found)
	require.Equal(t, 3, v)
}

func TestACacheIsForMany(t *testing.T) {
	c := Cache[int, int]{Size: 4}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 200 {
				c.Put(n%10, n%10)
				if v, found := c.Get((n + i) % 10); found && v != (n+i)%10 {
					t.Error("another's value")
				}
			}
		})
	}
	all.Wait()
}
