package canon

import (
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBase64URLHasOneSpelling(t *testing.T) {
	for text, want := range map[string]string{"": "", "AA": "\x00", "-_8": "\xfb\xff", "YWJj": "abc"} {
		got, err := Base64URL(text)
		require.NoError(t, err, "control: %q", text)
		require.Equal(t, want, string(got))
		require.Equal(t, text, base64.RawURLEncoding.EncodeToString(got))
	}
	for _, text := range []string{"A", "AB", "AA==", "+/8", "YWJj\n", "YW\r\nJj", "\nYWJj", "\n", "YW Jj", "YWJj."} {
		got, err := Base64URL(text)
		require.ErrorIs(t, err, errBase64, "%q", text)
		require.Nil(t, got)
	}
}
