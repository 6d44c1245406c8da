// Package suitetest checks cases without measuring them.
package suitetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/bench/suite"
)

// Run opens each case, does its operation, verifies a result, and sees a wrong request refused for the right reason, so
// that no case measures an error path, and none is a service that accepts everything.
func Run(t *testing.T, cases []suite.Case) {
	known := map[string]bool{}
	for _, c := range cases {
		require.False(t, known[c.ID()], "%s: there are two of them", c.ID())
		known[c.ID()] = true
	}
	for _, c := range cases {
		if c.Step != nil {
			continue
		}
		t.Run(c.ID(), func(t *testing.T) {
			i, err := c.Open(t.TempDir())
			require.NoError(t, err)
			if i.Close != nil {
				defer func() { require.NoError(t, i.Close()) }()
			}
			callers := max(c.Callers, 1)
			if i.Prepare != nil {
				require.NoError(t, i.Prepare(2*callers+3))
			}
			require.NoError(t, suite.Together(callers, 2*callers, i.Op))
			require.NoError(t, i.Check())
			require.NoError(t, i.Refuse())
			require.NoError(t, i.Check(), "what was refused left nothing behind")
		})
	}
}
