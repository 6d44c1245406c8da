package jose

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

func jwkOf(n *big.Int, e int64, kid string) string {
	b := base64.RawURLEncoding
	return fmt.Sprintf(`{"kty":"RSA","kid":%q,"n":%q,"e":%q}`, kid, b.EncodeToString(n.Bytes()), b.EncodeToString(big.NewInt(e).Bytes()))
}

// TestAKeyWithALargeExponentIsSkipped: it costs nobody the others of the set.
func TestAKeyWithALargeExponentIsSkipped(t *testing.T) {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	for e, keys := range map[int64]int{3: 2, 17: 2, 65537: 2, 65539: 1, 1<<31 - 1: 1} {
		set, err := ParseKeySet([]byte(`{"keys":[` + jwkOf(k.N, 65537, "a") + `,` + jwkOf(k.N, e, "b") + `]}`))
		require.NoError(t, err, e)
		require.Equal(t, keys, set.Len(), e)
	}
}
