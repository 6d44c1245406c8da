package cases

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// Verify returns the claims of an access token that is signed with ES256 by one of the keys.
func Verify(raw string, keys any) (map[string]any, error) {
	parsed, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return nil, err
	}
	payload, err := parsed.Verify(keys)
	if err != nil {
		return nil, err
	}
	var claims map[string]any
	return claims, json.Unmarshal(payload, &claims)
}

// narrowed verifies a token of ours that an exchange for a person has narrowed.
func (w *world) narrowed(raw string) error {
	claims, err := w.claims(raw)
	if err != nil {
		return err
	}
	act, _ := claims["act"].(map[string]any)
	if claims["scope"] != narrow[0] || claims["aud"] != crm || act["sub"] == nil || claims["sid"] == nil || claims["jti"] == nil {
		return fmt.Errorf("not a narrowed token of a delegation: %v", claims)
	}
	return nil
}

// claims verifies a token of ours, as a resource server would.
func (w *world) claims(raw string) (map[string]any, error) {
	doc, err := w.mint.JWKS(context.Background())
	if err != nil {
		return nil, err
	}
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal(doc, &keys); err != nil {
		return nil, err
	}
	return Verify(raw, &keys)
}
