package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"

	"github.com/go-jose/go-jose/v4"
)

// key is an ES256 key of somebody outside the boundary: the identity provider, the trust domain, a client.
type key struct {
	private jose.JSONWebKey
	typ     string // of what it signs
}

func newKey(kid, use, typ string) (key, error) {
	p, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return key{jose.JSONWebKey{Key: p, KeyID: kid, Use: use}, typ}, err
}

// jwks returns the public key as a key set.
func (k key) jwks() ([]byte, error) {
	return json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{k.private.Public()}})
}

// sign returns claims as a compact JWS.
func (k key) sign(claims map[string]any) (string, error) {
	opts := (&jose.SignerOptions{}).WithType(jose.ContentType(k.typ))
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: k.private}, opts)
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed, err := s.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}
