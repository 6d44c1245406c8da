package main

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/bench/suite"
	"github.com/tokenboundary/tokenboundary/bench/suite/suitetest"
)

// TestEveryComparisonNamesACase: a ratio to something that is not measured would silently be left out.
func TestEveryComparisonNamesACase(t *testing.T) {
	find := func(id string) int { return slices.IndexFunc(all(), func(c suite.Case) bool { return c.ID() == id }) }
	for _, c := range all() {
		require.True(t, c.Base == "" || find(c.Base) >= 0, "%s is compared with %s", c.ID(), c.Base)
		require.True(t, len(c.Targets) == 0 || c.Base != "" || c.Targets[0].Of != suite.Ratio, "%s has a target and no base", c.ID())
		if c.Step != nil {
			require.True(t, find(c.Step.More) >= 0 && find(c.Step.Less) >= 0, c.ID())
		}
	}
}

// BenchmarkRatios measures the same cases one after the other, for those who want a profile of one.
func BenchmarkRatios(b *testing.B) { suitetest.Bench(b, all()) }
