package policy

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// A catalog that loads has no scope that implies itself, names nothing by the wildcard, and stays within the limits.
func FuzzParseCatalog(f *testing.F) {
	f.Add([]byte(catalogue))
	f.Add([]byte(implying("a > b", "b > c", "c")))
	f.Add([]byte(implying("a > b", "b > a")))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, problems := parseCatalog("catalog.yaml", data)
		require.Equal(t, c == nil, len(problems) > 0)
		for _, p := range problems {
			require.LessOrEqual(t, len(p.Message), maxMessage+100)
		}
		if c == nil {
			return
		}
		require.Positive(t, len(c.resources)+len(c.connections))
		for id, d := range c.resources {
			require.NotContains(t, []string{"", wildcard}, id)
			require.NotEmpty(t, d.scopes)
			for i, s := range d.scopes {
				require.NotNil(t, d.scope(s.name))
				require.False(t, slices.Contains(s.implies, uint8(i)), s.name)
				for _, j := range s.implies {
					for _, k := range d.scopes[j].implies {
						require.Contains(t, s.implies, k, "all the way down")
					}
					require.GreaterOrEqual(t, s.sensitivity, d.scopes[j].sensitivity)
				}
			}
		}
		for name, o := range c.connections {
			require.NotContains(t, []string{"", wildcard}, name)
			require.NotEmpty(t, o.clients)
			for _, client := range o.clients {
				require.True(t, o.owns(client))
			}
		}
	})
}
