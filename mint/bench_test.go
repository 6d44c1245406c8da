package mint

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/store/memory"
)

func benchmark(b *testing.B, alg string) (*Mint, string) {
	m, err := Open(b.Context(), Config{Issuer: issuer, Store: memory.New(), Dir: b.TempDir(), Alg: alg})
	require.NoError(b, err)
	kid, err := m.Key(b.Context())
	require.NoError(b, err)
	return m, kid
}

func BenchmarkMint(b *testing.B) {
	for _, alg := range algorithms {
		b.Run(alg, func(b *testing.B) {
			m, kid := benchmark(b, alg)
			for b.Loop() {
				_, err := m.Mint(b.Context(), claims(kid))
				require.NoError(b, err)
			}
		})
	}
}

func BenchmarkVerifySeen(b *testing.B) {
	m, kid := benchmark(b, ES256)
	in := claims(kid)
	in.ExpiresAt = time.Now().Add(time.Hour).Unix()
	raw, err := m.Mint(b.Context(), in)
	require.NoError(b, err)
	for b.Loop() {
		_, err := m.Verify(b.Context(), raw)
		require.NoError(b, err)
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, alg := range algorithms {
		b.Run(alg, func(b *testing.B) {
			m, kid := benchmark(b, alg)
			raw, err := m.Mint(b.Context(), claims(kid))
			require.NoError(b, err)
			for b.Loop() {
				m.snap.Load().verified = newCache() // as if it was not seen before
				_, err := m.Verify(b.Context(), raw)
				require.NoError(b, err)
			}
		})
	}
}
