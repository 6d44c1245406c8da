package tokenboundary

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// A refresh token is opaque to everyone else: the id of its family's record, its place in the family, a secret of which
// the store has only the digest, and a MAC by which any token that was ever issued is told from a made-up one, so that
// only a real one can count as reuse.
type refreshToken struct {
	family     lineage.ID
	generation uint64
	secret     [32]byte
}

const (
	refreshPrefix = "tbr_"
	macSize       = 16
	refreshSize   = 32 + 8 + 32 + macSize
)

func newRefreshToken(family lineage.ID, generation uint64) refreshToken {
	t := refreshToken{family: family, generation: generation}
	rand.Read(t.secret[:]) //nolint:errcheck // never fails (crypto/rand)
	return t
}

func (t refreshToken) digest() []byte {
	d := sha256.Sum256(t.secret[:])
	return d[:]
}

// encode returns the token's text, authenticated with the secret that all nodes share.
func (t refreshToken) encode(shared []byte) string {
	raw := binary.BigEndian.AppendUint64(t.family[:], t.generation)
	raw = append(raw, t.secret[:]...)
	return refreshPrefix + base64.RawURLEncoding.EncodeToString(append(raw, refreshMAC(shared, raw)...))
}

func refreshMAC(shared, raw []byte) []byte {
	m := hmac.New(sha256.New, shared)
	m.Write([]byte(canon.Key("refresh", string(raw))))
	return m.Sum(nil)[:macSize]
}

// parseRefreshToken reads a token that was issued with the shared secret; false for anything else.
func parseRefreshToken(text string, shared []byte) (refreshToken, bool) {
	var t refreshToken
	encoded, ours := strings.CutPrefix(text, refreshPrefix)
	if !ours || len(encoded) != base64.RawURLEncoding.EncodedLen(refreshSize) {
		return t, false
	}
	raw, err := canon.Base64URL(encoded)
	if err != nil {
		return t, false
	}
	body, mac := raw[:refreshSize-macSize], raw[refreshSize-macSize:]
	if !hmac.Equal(mac, refreshMAC(shared, body)) {
		return t, false
	}
	copy(t.family[:], body)
	t.generation = binary.BigEndian.Uint64(body[32:])
	copy(t.secret[:], body[40:])
	return t, true
}

// wrap encrypts the successor of a refresh token, so that only who has the token can read it.
func wrap(t refreshToken, successor string) []byte {
	return t.cipher().Seal(nil, nil, []byte(successor), nil)
}

// unwrap reads what wrap wrote.
func unwrap(t refreshToken, sealed []byte) (string, error) {
	c := t.cipher()
	if len(sealed) < c.Overhead() {
		return "", errors.New("nothing is kept")
	}
	text, err := c.Open(nil, nil, sealed, nil)
	return string(text), err
}

// cipher returns AES-GCM with random nonces under a key that follows from the token's secret.
func (t refreshToken) cipher() cipher.AEAD {
	key := sha256.Sum256([]byte(canon.Key("successor", string(t.secret[:]))))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // a key of 32 bytes
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // of an AES block
	}
	return aead
}
