package endpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
)

// cacheable is how long metadata and keys may be kept. A new key is published that long before it signs.
const cacheable = "public, max-age=300"

// metadata returns the metadata document (RFC 8414, section 2) of what is served here.
func metadata(issuer string, cfg Config) ([]byte, error) {
	fixed := map[string]any{
		"issuer":                 issuer,
		"token_endpoint":         below(issuer, "/token"),
		"introspection_endpoint": below(issuer, "/introspect"),
		"revocation_endpoint":    below(issuer, "/revoke"),
		"grant_types_supported": []string{
			exchange.GrantClientCredentials, exchange.GrantTokenExchange, exchange.GrantRefreshToken, exchange.GrantDeferred,
		},
		"deferred_token_response_supported": true,
	}
	if cfg.JWKS != nil {
		fixed["jwks_uri"] = below(issuer, "/jwks.json")
	}
	out := map[string]any{
		"response_types_supported":              []string{}, // there is no authorization endpoint
		"authorization_details_types_supported": []string{"task"},
	}
	for _, name := range []string{"token", "introspection", "revocation"} {
		out[name+"_endpoint_auth_methods_supported"] =
			[]string{tokenboundary.TypeClientAssertion, tokenboundary.TypeClientSecret}
		out[name+"_endpoint_auth_signing_alg_values_supported"] = []string{"ES256", "ES384", "EdDSA", "Ed25519", "RS256", "PS256"}
	}
	for name, v := range cfg.Metadata {
		if fixed[name] != nil || name == "jwks_uri" {
			return nil, fmt.Errorf("%s follows from the configuration", name)
		}
		out[name] = v
	}
	for name, v := range fixed {
		out[name] = v
	}
	return json.Marshal(out)
}

func (h *Handler) serveMetadata(c *call) error {
	c.Header().Set("Cache-Control", cacheable)
	return c.raw(http.StatusOK, h.metadata)
}

func (h *Handler) serveKeys(c *call) error {
	keys, err := h.cfg.JWKS(c.r.Context())
	if err == nil && !json.Valid(keys) {
		err = errors.New("not JSON")
	}
	if err != nil {
		return fmt.Errorf("%w: key set: %w", tokenboundary.ErrUnavailable, err)
	}
	c.Header().Set("Cache-Control", cacheable)
	return c.raw(http.StatusOK, keys)
}

// health is the answer of /healthz.
type health struct {
	Status   string    `json:"status"`
	Policies *policies `json:"policies,omitempty"`
	// Unrecorded counts denials that could not be recorded since the start.
	Unrecorded uint64 `json:"unrecorded_denials"`
}

type policies struct {
	Version string `json:"version"`
	Error   string `json:"error,omitempty"`
}

// serveHealth says whether the boundary can decide. A refused policy set does not change that: the last good one is in
// force.
func (h *Handler) serveHealth(c *call) error {
	state := h.g.Health(c.r.Context())
	out := health{Status: "ok", Unrecorded: state.Unrecorded}
	if h.cfg.Policies != nil {
		version, err := h.cfg.Policies()
		out.Policies = &policies{Version: version}
		if err != nil {
			out.Policies.Error = err.Error()
		}
	}
	if !state.Ready {
		out.Status = "unavailable"
		return c.json(http.StatusServiceUnavailable, out)
	}
	return c.json(http.StatusOK, out)
}
