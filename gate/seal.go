package gate

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// A sealed refresh token is the id of its family and the endpoint's own token, encrypted. So nothing has to be kept, a token
// that was handed out by one gate is good at every other and after a restart, and nobody can take it to the endpoint
// itself.
const (
	sealPrefix = "tbg_"
	sealUse    = "tokenboundary gate: refresh tokens"
	// maxSealed bounds a sealed token, in bytes: no more is accepted as a parameter.
	maxSealed = 16 << 10
)

// seals are the keys that refresh tokens are sealed with, the current one first.
type seals []cipher.AEAD

func sealsOf(keys []Secret) (seals, error) {
	var out seals
	for _, k := range keys {
		if len(k) < 32 {
			return nil, errors.New("gate: Config.Keys must have 32 characters or more each")
		}
		key, err := hkdf.Key(sha256.New, []byte(k), nil, sealUse, 32)
		if err != nil {
			return nil, errors.New("gate: Config.Keys cannot be used")
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, errors.New("gate: Config.Keys cannot be used")
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, errors.New("gate: Config.Keys cannot be used")
		}
		out = append(out, aead)
	}
	return out, nil
}

// seal returns the form in which a client gets the endpoint's refresh token of a family.
func (s seals) seal(family lineage.ID, token string) (string, error) {
	out := sealPrefix + base64.RawURLEncoding.EncodeToString(s[0].Seal(nil, nil, append(family[:], token...), []byte(sealPrefix)))
	if len(out) > maxSealed {
		return "", errors.New("gate: the refresh token of the endpoint is too long")
	}
	return out, nil
}

// open returns the family and the endpoint's token; zero where sealed is nothing that was sealed here.
func (s seals) open(sealed string) (lineage.ID, string) {
	text, ours := strings.CutPrefix(sealed, sealPrefix)
	if !ours || len(sealed) > maxSealed {
		return lineage.ID{}, ""
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return lineage.ID{}, ""
	}
	for _, aead := range s {
		plain, err := aead.Open(nil, nil, raw, []byte(sealPrefix))
		if err == nil && len(plain) > len(lineage.ID{}) {
			return lineage.ID(plain[:len(lineage.ID{})]), string(plain[len(lineage.ID{}):])
		}
	}
	return lineage.ID{}, ""
}
