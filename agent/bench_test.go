package agent_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/agent"
)

// session is a session whose token for readCases is kept.
func session(b *testing.B) *agent.Session {
	w := newWorld(b)
	cfg := w.config(w.local())
	cfg.Clock = nil // reading the time is part of it
	s, err := agent.Start(b.Context(), cfg)
	require.NoError(b, err)
	_, err = s.Token(b.Context(), readCases)
	require.NoError(b, err)
	return s
}

// BenchmarkTokenKept is what a token costs that the session has: at most a microsecond and two allocations.
func BenchmarkTokenKept(b *testing.B) {
	s := session(b)
	b.Run("alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Token(b.Context(), readCases); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("together", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := s.Token(b.Context(), readCases); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

// BenchmarkTokenExchanged is what a token costs that has to be exchanged, in memory: at a boundary in this process, and
// behind HTTP.
func BenchmarkTokenExchanged(b *testing.B) {
	w := newWorld(b)
	for name, boundary := range map[string]agent.Boundary{"local": w.local(), "remote": w.remote()} {
		b.Run(name, func(b *testing.B) {
			var s *agent.Session
			for i := 0; b.Loop(); i++ {
				if i%500 == 0 { // within the budget of a task
					b.StopTimer()
					var err error
					s, err = agent.Start(b.Context(), w.config(boundary))
					require.NoError(b, err)
					b.StartTimer()
				}
				c := readCases
				c.Tool = fmt.Sprint(i)
				if _, err := s.Token(b.Context(), c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkTransport is what a Transport adds to a request that itself does nothing.
func BenchmarkTransport(b *testing.B) {
	s := session(b)
	answer := &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(""))}
	base := roundTripper(func(*http.Request) (*http.Response, error) { return answer, nil })
	tr, err := s.Transport(base, agent.Rules{Allow: []agent.Rule{{URL: crm}}})
	require.NoError(b, err)
	r, err := http.NewRequestWithContext(agent.WithCall(b.Context(), readCases), http.MethodGet, crm+"cases", nil)
	require.NoError(b, err)
	for name, rt := range map[string]http.RoundTripper{"bare": base, "with": tr} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := rt.RoundTrip(r); err != nil { //nolint:bodyclose // it is shared and empty
					b.Fatal(err)
				}
			}
		})
	}
}
