package replay_test

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/policy/replay"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/bolt"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

// BenchmarkReplay measures decisions per second of processor time, reading and decoding included.
func BenchmarkReplay(b *testing.B) {
	for name, open := range map[string]func() store.Store{
		"memory": func() store.Store { return memory.New() },
		"bolt": func() store.Store {
			s, err := bolt.Open(filepath.Join(b.TempDir(), "state.db"))
			require.NoError(b, err)
			b.Cleanup(func() { require.NoError(b, s.Close()) })
			return s
		},
	} {
		b.Run(name, func(b *testing.B) {
			p := set(b, files(agentPolicy, mailPolicy, guardrail))
			w := newWorld(b, p, open())
			w.work(2000)
			b.ReportAllocs()
			examined := 0
			start := processor(b)
			for b.Loop() {
				r, err := replay.Run(b.Context(), w.recall().All(b.Context(), tb.RecallFilter{}), p, replay.Options{})
				require.NoError(b, err)
				require.Zero(b, r.Changed)
				examined += r.Examined
			}
			b.ReportMetric(float64(examined)/(processor(b)-start).Seconds(), "decisions/cpu-s")
			b.ReportMetric(float64(examined)/float64(b.N), "decisions/op")
		})
	}
}

// processor returns the time that this process has had of all processors.
func processor(b *testing.B) time.Duration {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
