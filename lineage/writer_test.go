package lineage

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEncodeIsTheStandardEncoding: the member tables of the types are what is written, in records of every kind in which
// every member is set, and in which none is.
func TestEncodeIsTheStandardEncoding(t *testing.T) {
	g := newGenerator(t, 11)
	all := []func() (Envelope, Body){golden, goldenGrant, goldenApproval, goldenLease}
	for _, parts := range append(all, everyKind...) {
		for range 10 {
			env, body := parts()
			body.Granted, body.Salt = g.authority(), make([]byte, saltSize)
			require.NoError(t, body.normalise())
			require.NoError(t, env.normalise())
			same(t, &env)
			same(t, &body)
		}
	}
	same(t, &Envelope{})
	require.Equal(t, `{"salt":"","client":"","session":{},"grant_type":"","requested":{},"granted":{}}`, canonical(t, &Body{}))
}

func same(t *testing.T, p part) {
	t.Helper()
	require.Equal(t, text(t, p), canonical(t, p))
}

func canonical(t *testing.T, p part) string {
	t.Helper()
	raw, err := encode(p)
	require.NoError(t, err)
	return string(raw)
}
