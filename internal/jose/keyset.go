// Package jose verifies the signatures of tokens that passed package front, and gets the keys for that: from a file,
// or from an issuer's JWKS endpoint by a client that an attacker cannot make do work.
package jose

import (
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// Limits on a key set.
const (
	MaxKeySet = 256 << 10 // bytes of a JWKS document
	MaxKeys   = 64        // keys in it
)

// Key is a public key and what it may be used for.
type Key struct {
	// ID is the key id (kid); empty if the key has none.
	ID string
	// Alg is the only algorithm the key is for; empty for any that fits its type.
	Alg string
	// Use is the intended use: "sig", "jwt-svid" (SPIFFE); empty if the key does not say.
	Use string
	// Public is an *ecdsa.PublicKey, an *rsa.PublicKey or an ed25519.PublicKey.
	Public crypto.PublicKey
}

// KeySet is an immutable set of public keys. The zero value has no key, so nothing verifies with it.
type KeySet struct{ keys []Key }

var errKeySet = errors.New("not an acceptable key set")

// ParseKeySet reads a JWKS document (RFC 7517, section 5) of at most MaxKeySet bytes and MaxKeys keys. It refuses
// ambiguous JSON, two keys of one id, a private or symmetric key, and a key that is malformed or weak (RSA below 2048
// bits). Keys of a type, curve or algorithm that cannot verify a signature here are skipped (section 5 of the RFC).
// Certificates in a key are ignored. Its errors contain nothing of the document.
func ParseKeySet(raw []byte) (KeySet, error) {
	if len(raw) > MaxKeySet {
		return KeySet{}, fmt.Errorf("%w: too long", errKeySet)
	}
	doc, err := canon.Object(raw)
	if err != nil {
		return KeySet{}, fmt.Errorf("%w: %w", errKeySet, err)
	}
	var entries []json.RawMessage
	if err := json.Unmarshal(doc.Get("keys"), &entries); err != nil || entries == nil {
		return KeySet{}, fmt.Errorf("%w: no array of keys", errKeySet)
	}
	if len(entries) > MaxKeys {
		return KeySet{}, fmt.Errorf("%w: too many keys", errKeySet)
	}
	var set KeySet
	ids := map[string]bool{}
	for i, e := range entries {
		members, err := canon.Object(e)
		if err != nil {
			return KeySet{}, fmt.Errorf("%w: key %d: %w", errKeySet, i, err)
		}
		key, id, err := keyOf(members)
		switch {
		case err != nil:
			return KeySet{}, fmt.Errorf("%w: key %d: %w", errKeySet, i, err)
		case ids[id]:
			return KeySet{}, fmt.Errorf("%w: key %d: key id is not unique", errKeySet, i)
		case key.Public != nil:
			set.keys = append(set.keys, key)
		}
		ids[id] = id != ""
	}
	return set, nil
}

// Find returns the keys that may verify a signature by alg: with a kid exactly the key of that id, without one every
// key that fits. The use "sig" also finds keys that do not state a use; any other use finds only keys that state it.
func (s KeySet) Find(kid, alg, use string) []Key {
	var found []Key
	for _, k := range s.keys {
		if (kid == "" || k.ID == kid) && k.fits(alg) && (k.Use == use || use == "sig" && k.Use == "") {
			found = append(found, k)
		}
	}
	return found
}

// Has reports whether a key has the id, whatever it is for.
func (s KeySet) Has(kid string) bool {
	return slices.ContainsFunc(s.keys, func(k Key) bool { return k.ID == kid })
}

// Len returns the number of keys.
func (s KeySet) Len() int { return len(s.keys) }

// text returns a string member of a key; empty if it is absent.
func text(members canon.Members, name string) (string, error) {
	raw := members.Get(name)
	if raw == nil {
		return "", nil
	}
	s, ok := canon.Text(raw)
	if !ok || s == "" {
		return "", errors.New("member " + name + " is empty or not a string")
	}
	return s, nil
}

func name(members canon.Members, member string) (string, error) {
	s, err := text(members, member)
	if err == nil && s != "" {
		err = canon.Name(s)
	}
	return s, err
}
