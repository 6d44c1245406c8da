package front_test

import (
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/internal/front"
)

// BenchmarkParse shows what the check of an ordinary token costs, and of the costliest ones there can be.
func BenchmarkParse(b *testing.B) {
	texts := map[string]string{
		"an-ordinary-token": compact(header, `{"iss":"https://idp.example","sub":"alice","aud":["https://boundary.example"],`+
			`"exp":1772370000,"iat":1772366400,"jti":"c8e3b1","sid":"s1","acr":"aal2","amr":["pwd","otp"]}`),
		"no-token": strings.Repeat("A", 16<<10),
	}
	for name, p := range hostile {
		texts[strings.ReplaceAll(name, " ", "-")] = compact(header, p)
	}
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			start := cpuTime(b)
			for b.Loop() {
				_, _ = front.Parse(texts[name])
			}
			b.ReportMetric(float64(cpuTime(b)-start)/float64(b.N), "cpu-ns/op")
		})
	}
}

// cpuTime is the time that the process has spent so far.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
