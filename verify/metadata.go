package verify

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// wellKnown is the place of the metadata: between the authority and the path of the resource (RFC 9728, section 3.1).
const wellKnown = "/.well-known/oauth-protected-resource"

// MetadataURL returns where clients look for the metadata of the resource; see Metadata.
func (v *Verifier) MetadataURL() string {
	path := ""
	if u, err := url.Parse(v.cfg.Resource); err == nil && u.Host != "" {
		path = strings.TrimSuffix(u.EscapedPath(), "/")
		if u.RawQuery != "" {
			path += "?" + u.RawQuery
		}
	}
	return v.origin + wellKnown + path
}

// Metadata serves the metadata of the resource (RFC 9728, section 2): its name, the boundary as its authorization server,
// the scopes, and that a token is read from the Authorization header only. Mount it at the path of MetadataURL, for
// everybody.
func (v *Verifier) Metadata() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "public, max-age=300")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(v.metadata) // the client is gone if this fails
	})
}

func (v *Verifier) document() ([]byte, error) {
	out := map[string]any{
		"resource":                 v.cfg.Resource,
		"authorization_servers":    []string{v.cfg.Issuer},
		"bearer_methods_supported": []string{"header"},
	}
	if len(v.cfg.Scopes) > 0 {
		out["scopes_supported"] = v.cfg.Scopes
	}
	if len(v.cfg.ProofAlgs) > 0 {
		out["dpop_signing_alg_values_supported"] = v.cfg.ProofAlgs
	}
	body, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("verify: Config: %w", err)
	}
	return body, nil
}
