package broker_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/broker"
)

func sealKey(t *testing.T) []byte {
	key := make([]byte, broker.SealKeySize)
	_, err := rand.Read(key)
	require.NoError(t, err)
	return key
}

const cannotOpen = "broker: what is sealed cannot be opened: it was sealed with another key, about something else, or altered"

// TestWhatIsSealedIsOpenedOnlyAsItWas: by the same key, about the same thing, and unaltered in every bit.
func TestWhatIsSealedIsOpenedOnlyAsItWas(t *testing.T) {
	first, second := sealKey(t), sealKey(t)
	one, err := broker.NewSealer(first)
	require.NoError(t, err)
	both, err := broker.NewSealer(second, first)
	require.NoError(t, err)
	other, err := broker.NewSealer(second)
	require.NoError(t, err)
	for _, plain := range [][]byte{nil, []byte("x"), bytes.Repeat([]byte("secret"), 1000)} {
		sealed, err := one.Seal(t.Context(), "lease 1", plain)
		require.NoError(t, err)
		again, err := one.Seal(t.Context(), "lease 1", plain)
		require.NoError(t, err)
		require.NotEqual(t, sealed, again)
		require.NotContains(t, string(sealed), "secret")
		for _, s := range []broker.Sealer{one, both} {
			got, err := s.Open(t.Context(), "lease 1", sealed)
			require.NoError(t, err)
			require.Equal(t, len(plain), len(got))
			require.True(t, bytes.Equal(plain, got))
		}
		refuses := func(s broker.Sealer, about string, sealed []byte) {
			got, err := s.Open(t.Context(), about, sealed)
			require.EqualError(t, err, cannotOpen)
			require.Nil(t, got)
		}
		refuses(other, "lease 1", sealed)
		refuses(one, "lease 2", sealed)
		refuses(one, "", sealed)
		for i := range min(len(sealed), 60) {
			refuses(one, "lease 1", sealed[:i])
			altered := bytes.Clone(sealed)
			altered[i] ^= 1
			refuses(one, "lease 1", altered)
		}
		renewed, err := both.Seal(t.Context(), "lease 1", plain)
		require.NoError(t, err)
		refuses(one, "lease 1", renewed) // the new key seals
	}
}

func TestKeysToSealWith(t *testing.T) {
	key := sealKey(t)
	for why, keys := range map[string][][]byte{
		"broker: a sealer has between 1 and 16 keys": {},
		"broker: a key to seal with has 32 bytes":    {key, key[:31]},
		"broker: a key to seal with is there twice":  {key, key},
	} {
		s, err := broker.NewSealer(keys...)
		require.EqualError(t, err, why)
		require.Nil(t, s)
	}
	file := filepath.Join(t.TempDir(), "keys")
	line := base64.StdEncoding.EncodeToString(key)
	for content, why := range map[string]string{
		"":                         "broker: line 1 of the keys to seal with is not 32 bytes in base64",
		line + "\nnonsense\n":      "broker: line 2 of the keys to seal with is not 32 bytes in base64",
		line[:40] + "\n":           "broker: line 1 of the keys to seal with is not 32 bytes in base64",
		line + "\n" + line:         "broker: a key to seal with is there twice",
		string(make([]byte, 5000)): "broker: keys to seal with are read from a file of at most 4096 bytes",
	} {
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
		_, err := broker.ReadSealer(file)
		require.EqualError(t, err, why)
	}
	_, err := broker.ReadSealer(file + ".gone")
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.WriteFile(file, []byte(line+"\r\n"+base64.StdEncoding.EncodeToString(sealKey(t))+"\n"), 0o600))
	s, err := broker.ReadSealer(file)
	require.NoError(t, err, "control")
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", s, s, s), line)
}
