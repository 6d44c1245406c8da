package mint

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/internal/canary"
)

// TestAConfigurationHidesItsSigner: also where it is a part of something that is printed.
func TestAConfigurationHidesItsSigner(t *testing.T) {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	k := canary.Watch(t)
	k.Plant("private key", secretsOf(t, signer)...)
	cfg := Config{Issuer: issuer, Signer: signer}
	k.Show("configuration", cfg, &cfg, []Config{cfg}, struct{ Mint Config }{cfg})
	require.Contains(t, strings.Join(k.Text(), ""), "mint.Config(", "control: it is printed")
}
