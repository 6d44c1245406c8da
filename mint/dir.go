package mint

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tokenboundary/tokenboundary/internal/jose"
)

const (
	pemType    = "PRIVATE KEY" // PKCS#8 (RFC 7468, section 10)
	pemSuffix  = ".pem"
	maxPEM     = 16 << 10
	notPrivate = 0o077 // what nobody but the owner may have on a key file
	notSafe    = 0o022 // what nobody but the owner may have on the directory
)

// keyDir is a directory of private keys, one PEM file each, named <kid>.pem.
type keyDir string

// openDir makes the directory if it is not there, and refuses one that others may write to.
func openDir(path string) (keyDir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return "", fmt.Errorf("mint: key directory: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("mint: key directory: %w", err)
	}
	if !info.IsDir() || info.Mode().Perm()&notSafe != 0 {
		return "", fmt.Errorf("mint: key directory %s can be written to by others: mode 0700 is expected", path)
	}
	return keyDir(path), nil
}

func (d keyDir) file(kid string) string { return filepath.Join(string(d), kid+pemSuffix) }

// kids returns the ids of the keys that are there. A PEM file of another name is refused: it may be a key that was
// meant to be used.
func (d keyDir) kids() ([]string, error) {
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return nil, fmt.Errorf("mint: key directory: %w", err)
	}
	var kids []string
	for _, e := range entries {
		kid, isPEM := strings.CutSuffix(e.Name(), pemSuffix)
		switch {
		case !isPEM:
		case !isThumbprint(kid):
			return nil, fmt.Errorf("mint: key file %s is not named after a key id", e.Name())
		default:
			kids = append(kids, kid)
		}
	}
	return kids, nil
}

// load reads one private key. The error is fs.ErrNotExist if it is not there, and never shows any of a key.
func (d keyDir) load(kid string) (crypto.Signer, error) {
	f, err := os.Open(d.file(kid))
	if err != nil {
		return nil, fmt.Errorf("mint: key file: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	refuse := func(why string) (crypto.Signer, error) {
		return nil, fmt.Errorf("mint: key file %s: %s", f.Name(), why)
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return refuse("not a regular file")
	}
	if info.Mode().Perm()&notPrivate != 0 {
		return refuse("accessible to others: mode 0600 is expected")
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxPEM+1))
	if err != nil || len(raw) > maxPEM {
		return refuse("cannot be read, or too long")
	}
	block, rest := pem.Decode(raw)
	if block == nil || block.Type != pemType || len(strings.TrimSpace(string(rest))) != 0 {
		return refuse("not one PEM block of type " + pemType)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	s, ok := parsed.(crypto.Signer)
	if err != nil || !ok {
		return refuse("not a PKCS#8 key that can sign")
	}
	if have, err := jose.Thumbprint(s.Public()); err != nil || have != kid {
		return refuse("not the key that its name says")
	}
	return s, nil
}

// save writes one private key. It is there as a whole or not at all, and durable when save returns.
func (d keyDir) save(kid string, s crypto.Signer) error {
	der, err := x509.MarshalPKCS8PrivateKey(s)
	if err != nil {
		return errors.New("mint: the key cannot be written as PKCS#8")
	}
	if err := d.write(d.file(kid), pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der})); err != nil {
		return fmt.Errorf("mint: key file: %w", err)
	}
	return nil
}

func (d keyDir) write(name string, content []byte) error {
	f, err := os.CreateTemp(string(d), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return d.sync()
}

func (d keyDir) sync() error {
	f, err := os.Open(string(d))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// remove destroys one private key, if it is there.
func (d keyDir) remove(kid string) error {
	if err := os.Remove(d.file(kid)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("mint: key file: %w", err)
	}
	return d.sync()
}
