package suggest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/policy/suggest"
)

// BenchmarkRun reads a year of a bot: some 4,400 tokens and what is derived from them.
func BenchmarkRun(b *testing.B) {
	w := newWorld(b, map[string]string{"agents/bot.yaml": bot, "agents/tool.yaml": tool})
	w.days(365)
	opts := suggest.Options{Until: w.clock.Now()}
	b.ReportAllocs()
	asked := 0
	for b.Loop() {
		r, err := suggest.Run(b.Context(), tokenboundary.Recall{Store: w.store, Issuer: issuer}, tree(w.files), opts)
		require.NoError(b, err)
		require.NotEmpty(b, r.Patch)
		asked += r.Asked
	}
	b.ReportMetric(float64(asked)/b.Elapsed().Seconds(), "decisions/s")
}
