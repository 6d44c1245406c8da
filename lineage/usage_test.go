package lineage

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestUsageAddsUp(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 3, 1, 12, minute, 0, 0, time.UTC) }
	u := Usage{Resource: "https://crm.example/"}
	u.Add(at(5), []string{"a", "b"}, 2)
	u.Add(at(3), []string{"a"}, 1)
	u.Add(at(9), nil, 4)
	require.Equal(t, Usage{
		Resource: "https://crm.example/", First: at(3), Last: at(9), Count: 7, Unscoped: 4,
		Scopes: map[string]ScopeUse{"a": {3, at(5)}, "b": {2, at(5)}},
	}, u)
	u.Add(at(9), []string{"a"}, math.MaxUint64)
	require.Equal(t, uint64(math.MaxUint64), u.Count, "a count never falls")
	require.Equal(t, uint64(math.MaxUint64), u.Scopes["a"].Count)
}
