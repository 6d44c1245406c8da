package yamldoc

import (
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFormatDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", time.Second: "1s", 90 * time.Second: "1m30s", 5 * time.Minute: "5m", 10 * time.Minute: "10m", time.Hour: "1h",
		70 * time.Minute: "1h10m", 24*time.Hour + time.Second: "24h0m1s", 30 * time.Hour: "30h", 1500 * time.Millisecond: "1.5s",
	} {
		require.Equal(t, want, FormatDuration(d))
		back, err := time.ParseDuration(want)
		require.NoError(t, err)
		require.Equal(t, d, back)
	}
}

func TestMember(t *testing.T) {
	v := value(t, "{a: 1, b: [2]}")
	require.Equal(t, "1", Member(v.Node, "a").Value)
	require.Nil(t, Member(v.Node, "c"))
	require.Nil(t, Member(Member(v.Node, "b"), "a"), "no mapping")
	require.Nil(t, Member(nil, "a"))
}

// What is too large is not read whole, and refused for its size.
func TestReadFileIsBounded(t *testing.T) {
	most := Limits{Bytes: 6, Depth: 2, Nodes: 4}
	fsys := fstest.MapFS{"fits.yaml": {Data: []byte("a: 123")}, "large.yaml": {Data: []byte("a: 1234567")}}
	data, err := ReadFile(fsys, "fits.yaml", most)
	require.NoError(t, err)
	_, bad := Parse(data, most)
	require.Nil(t, bad)
	data, err = ReadFile(fsys, "large.yaml", most)
	require.NoError(t, err)
	require.Len(t, data, 7)
	_, bad = Parse(data, most)
	require.Contains(t, bad.Message, "larger than 6 bytes")
	_, err = ReadFile(fsys, "none.yaml", most)
	require.Error(t, err)
}
