package endpoint_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/endpoint"
)

// honest sends a request that must be accepted and returns the members of the answer.
func (b *bounded) honest(status int, method, pattern string, change func(*http.Request)) map[string]any {
	b.Helper()
	r := request(endpoint.Route{Method: method, Pattern: pattern}).WithContext(b.Context())
	change(r)
	w, _ := b.serve(r)
	require.Equal(b, status, w.status, "%s %s: %s", method, pattern, w.body)
	var out map[string]any
	if len(w.body) > 0 {
		require.NoError(b, json.Unmarshal(w.body, &out))
	}
	return out
}

// signed is a form with an assertion that brings it to a size, and the parameters.
func (b *bounded) signed(client string, size int, pairs ...string) func(*http.Request) {
	a := b.assertionOf(client, "")
	if more := (size - len(a)) / 4 * 3; more > 8 {
		a = b.assertionOf(client, `,"a":"`+strings.Repeat("x", more-8)+`"`)
	}
	return body(asserts(a) + "&" + pairsOf(pairs...).Encode())
}

// asOps authenticates by the longest secret.
func asOps(r *http.Request) { basicHeader("ops:" + url.QueryEscape(longSecret))(r) }

func TestHonestRequestsOfTheSameRoutesAreAnswered(t *testing.T) {
	b := newBounded(t)
	tok := b.honest(200, "POST", "/token", b.signed("honest", 0, "grant_type", "client_credentials"))
	value := tok["access_token"].(string)
	require.Equal(t, true, b.honest(200, "POST", "/introspect", both(body("token="+value), asOps))["active"])
	for pattern := range public {
		b.honest(200, "GET", pattern, func(*http.Request) {})
	}
	claims := strings.Split(value, ".")[1]
	raw, err := b64.DecodeString(claims)
	require.NoError(t, err)
	var id struct{ Jti string }
	require.NoError(t, json.Unmarshal(raw, &id))
	for _, pattern := range []string{"/lineage/", "/lineage/{id}/tree"} {
		path := strings.Replace(strings.TrimSuffix(pattern, "/"), "{id}", id.Jti, 1)
		if pattern == "/lineage/" {
			path += "/" + id.Jti
		}
		require.Len(t, b.honest(200, "GET", path, asOps)["records"], map[string]int{"/lineage/": 1, "/lineage/{id}/tree": 0}[pattern])
	}
	b.honest(200, "GET", "/revocations", asOps)
	b.honest(200, "GET", "/approvals", asOps)
	b.honest(201, "POST", "/revocations", both(asJSON(`{"selector":"connection:other"}`), asOps))
	b.honest(202, "POST", "/signals", both(asJSON(`{"env":{"frozen":true}}`), asOps))
	b.honest(200, "POST", "/erasures", both(asJSON(`{"selector":"subject:nobody"}`), asOps))
	b.honest(200, "POST", "/revoke", b.signed("honest", 0, "token", value))
	require.Equal(t, false, b.honest(200, "POST", "/introspect", both(body("token="+value), asOps))["active"])
}

// TestTheLargestHonestRequestsAreAnswered: what a bound keeps out is larger than anything that is meant.
func TestTheLargestHonestRequestsAreAnswered(t *testing.T) {
	b := newBounded(t)
	form := []string{"grant_type", "client_credentials"}
	small := b.signed("honest", 0, form...)
	r := request(endpoint.Route{Method: "POST", Pattern: "/token"})
	small(r)
	rest := maxBody - int(r.ContentLength) - len("&note=")
	for name, change := range map[string]func(*http.Request){
		"the longest body":      b.signed("honest", 0, append(form, "note", strings.Repeat("x", rest-100))...),
		"the longest assertion": b.signed("honest", 8<<10, form...),
		"a kid that is fetched": b.signed("remote", 0, form...),
		"the longest scopes":    b.signed("honest", 0, append(form, "scope", numbered(maxBody, 12, "%03x"+strings.Repeat("s", 253), " "))...),
		"a long resource":       b.signed("honest", 0, append(form, "resource", crm+strings.Repeat("r", 2048-len(crm)))...),
		"a type with a charset": both(b.signed("honest", 0, form...), header("Content-Type", formType+"; charset=UTF-8; boundary="+strings.Repeat("b", 100))),
	} {
		t.Run(name, func(t *testing.T) {
			b.honest(200, "POST", "/token", change)
		})
	}
	selector := "path:/" + strings.Repeat("p%", 255)
	b.honest(201, "POST", "/revocations", both(asJSON(`{"selector":"`+selector+`"}`), asOps))
	b.honest(200, "GET", "/revocations/{id}", func(r *http.Request) {
		asOps(r)
		r.URL.Path, r.URL.RawPath = "/tenant/revocations/"+selector, "/tenant/revocations/"+url.PathEscape(selector)
	})
}
