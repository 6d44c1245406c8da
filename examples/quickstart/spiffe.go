package main

import (
	"os"
	"path/filepath"
	"time"
)

const trustDomain = "acme.example"

// spire stands for the SPIFFE server of a trust domain: one key, a bundle file, and JWT-SVIDs signed with it.
type spire struct {
	key    key
	bundle string // path of the bundle file
}

func newSpire(dir string) (*spire, error) {
	k, err := newKey("acme-1", "jwt-svid", "JWT")
	if err != nil {
		return nil, err
	}
	bundle, err := k.jwks()
	if err != nil {
		return nil, err
	}
	s := &spire{k, filepath.Join(dir, "acme.bundle.json")}
	return s, os.WriteFile(s.bundle, bundle, 0o600)
}

// svid returns a JWT-SVID for the workload at path, good for one audience (SPIFFE JWT-SVID, section 3).
func (s *spire) svid(path, audience string) (string, error) {
	now := time.Now()
	return s.key.sign(map[string]any{
		"sub": "spiffe://" + trustDomain + path, "aud": []string{audience},
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
	})
}
