package tokenboundary

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/store"
)

// The head of a task is read as the decoder reads it, and what that refuses is refused.
func TestReadTask(t *testing.T) {
	for _, text := range []string{
		`{"budget":0}`, `{"budget":50}`, `{"budget":18446744073709551615}`, `{"budget":7,"held":true}`, `{"held":true}`, ` {"budget":7} `,
		`{}`, ``, `7`, `7}`, `{"budget":7`, `{"budget":07}`, `{"budget":00}`, `{"budget":+7}`, `{"budget":-1}`, `{"budget":}`,
		`{"budget":18446744073709551616}`, `{"budget":7}}`, `{"budget":"7"}`, `{"budget":1_0}`, `{"budget":7e0}`,
	} {
		h := store.Head{Value: []byte(text)}
		var want taskHead
		wrong := readHead(h, &want)
		got, err := readTask(h)
		require.Equal(t, wrong == nil, err == nil, text)
		if wrong == nil {
			require.Equal(t, want, got, text)
		}
	}
	got, err := readTask(store.Head{Value: []byte(`{"budget":50}`)})
	require.NoError(t, err)
	require.EqualValues(t, 50, got.Budget, "positive control")
}
