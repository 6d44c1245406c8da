package broker

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
)

// The sizes of what NewSealer works with, in bytes.
const (
	// SealKeySize is the size of a key.
	SealKeySize = 32

	keyName      = 8 // a prefix of what is sealed says with which key
	maxSealKeys  = 16
	maxSealFile  = 4 << 10
	sealOverhead = keyName + 28 // and what AES-GCM adds: nonce and tag
)

// errSealed is the one thing that is said of what cannot be opened.
var errSealed = errors.New("broker: what is sealed cannot be opened: it was sealed with another key, about something else, or altered")

// keys is a Sealer with keys in memory.
type keys []sealKey

type sealKey struct {
	name []byte
	aead cipher.AEAD
}

// NewSealer returns a Sealer with AES-256-GCM under a random nonce (NIST SP 800-38D, section 8.2.2: at most 2³² uses of one
// key). Each key is of SealKeySize random bytes. The first one seals and all open, so that a key is replaced by putting a new one
// before it, and left out when nothing that it has sealed is in use.
func NewSealer(secrets ...[]byte) (Sealer, error) {
	if len(secrets) == 0 || len(secrets) > maxSealKeys {
		return nil, fmt.Errorf("broker: a sealer has between 1 and %d keys", maxSealKeys)
	}
	var out keys
	for _, secret := range secrets {
		if len(secret) != SealKeySize {
			return nil, fmt.Errorf("broker: a key to seal with has %d bytes", SealKeySize)
		}
		block, err := aes.NewCipher(secret)
		if err != nil {
			return nil, fmt.Errorf("broker: a key to seal with: %w", err)
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, fmt.Errorf("broker: a key to seal with: %w", err)
		}
		name := sha256.Sum256(append([]byte("tokenboundary sealing key\n"), secret...))
		if out.find(name[:keyName]) != nil {
			return nil, errors.New("broker: a key to seal with is there twice")
		}
		out = append(out, sealKey{name[:keyName], aead})
	}
	return out, nil
}

// ReadSealer returns NewSealer of the keys in a file: one per line, in base64, as "openssl rand -base64 32" prints them. An
// error does not repeat what is in the file.
func ReadSealer(path string) (Sealer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("broker: keys to seal with: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	raw, err := io.ReadAll(io.LimitReader(f, maxSealFile+1))
	if err != nil || len(raw) > maxSealFile {
		return nil, errors.Join(fmt.Errorf("broker: keys to seal with are read from a file of at most %d bytes", maxSealFile), err)
	}
	var secrets [][]byte
	for i, line := range bytes.Split(bytes.TrimSpace(raw), []byte("\n")) {
		secret, err := base64.StdEncoding.Strict().DecodeString(string(bytes.TrimSpace(line)))
		if err != nil || len(secret) != SealKeySize {
			return nil, fmt.Errorf("broker: line %d of the keys to seal with is not %d bytes in base64", i+1, SealKeySize)
		}
		secrets = append(secrets, secret)
	}
	return NewSealer(secrets...)
}

func (k keys) find(name []byte) cipher.AEAD {
	for _, one := range k {
		if bytes.Equal(one.name, name) {
			return one.aead
		}
	}
	return nil
}

// Seal implements Sealer.
func (k keys) Seal(_ context.Context, about string, plain []byte) ([]byte, error) {
	out := append(make([]byte, 0, len(plain)+sealOverhead), k[0].name...)
	return k[0].aead.Seal(out, nil, plain, []byte(about)), nil
}

// Open implements Sealer.
func (k keys) Open(_ context.Context, about string, sealed []byte) ([]byte, error) {
	if len(sealed) < sealOverhead {
		return nil, errSealed
	}
	aead := k.find(sealed[:keyName])
	if aead == nil {
		return nil, errSealed
	}
	plain, err := aead.Open(nil, nil, sealed[keyName:], []byte(about))
	if err != nil {
		return nil, errSealed
	}
	return plain, nil
}
