package broker_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/broker"
)

// TestDetailsRestrictFurther: a token with authorization_details is good for the requests that they name, of those that the
// routes and the scopes permit.
func TestDetailsRestrictFurther(t *testing.T) {
	f := proxied(t, func(w *world, _ *broker.ProxyConfig) {
		w.detailed = true
		w.restart()
	})
	issue := func(details string, scopes ...string) {
		tok, err := f.gov.Issue(f.ctx, tb.Request{
			Grant: tb.ClientCredentials, Client: verified("bot"), Connection: "erp", Resource: []string{resource}, Scopes: scopes, Details: json.RawMessage(details),
		})
		require.NoError(t, err)
		f.tok = tok
	}
	f.get()
	here := `"type":"http_request","locations":["https://legacy.example.com/"]`
	issue(`[{`+here+`,"actions":["GET"],"paths":["/v1/invoices/7","/v1/invoices"]},{`+here+`,"actions":["POST"],"paths":["/**"]}]`, "read", "write")
	f.get()
	f.refuses(f.addr, request("GET /v1/invoices/8"), 403, "not among")
	f.refuses(f.addr, request("HEAD /v1/invoices/7"), 403, "")
	f.refuses(f.addr, request("GET /v1/invoices"), 403, "not among") // by the routes
	require.Equal(t, 200, f.raw(f.addr, request("POST /v1/invoices")).StatusCode, "control")
	f.up.requests()
	issue(`[{`+here+`,"actions":["POST"],"paths":["/**"]}]`, "read")
	f.refuses(f.addr, request("POST /v1/invoices"), 403, "lacks a scope") // by the scopes
	for name, entry := range map[string]string{
		"elsewhere":         `"type":"http_request","locations":["https://other.example/"],"actions":["GET"],"paths":["/**"]`,
		"no locations":      `"type":"http_request","actions":["GET"],"paths":["/**"]`,
		"nowhere":           `"type":"http_request","locations":[],"actions":["GET"],"paths":["/**"]`,
		"no actions":        here + `,"actions":[],"paths":["/**"]`,
		"no paths":          here + `,"actions":["GET"],"paths":[]`,
		"a path of none":    here + `,"actions":["GET"],"paths":["/**","/a/../b"]`,
		"another condition": here + `,"actions":["GET"],"paths":["/**"],"until":"noon"`,
		"another type":      here + `,"actions":"GET","paths":["/**"]`,
	} {
		t.Run(name, func(*testing.T) {
			issue(`[{`+entry+`}]`, "read")
			f.refuses(f.addr, request("GET /v1/invoices/7"), 403, "not among")
		})
	}
	issue(`[{"type":"payment","amount":12}]`, "read")
	f.get() // of another type: it is not about requests
}

// TestHTTPRequestsCover what names less, and what cannot be read covers nothing.
func TestHTTPRequestsCover(t *testing.T) {
	entry := func(locations, actions, paths string) json.RawMessage {
		return json.RawMessage(`{"type":"http_request","locations":` + locations + `,"actions":` + actions + `,"paths":` + paths + `}`)
	}
	parent := entry(`["https://a.example/","https://b.example/"]`, `["GET","PUT"]`, `["/v1/*","/v2/**"]`)
	for child, want := range map[string]bool{
		string(parent): true,
		string(entry(`["https://a.example/"]`, `["GET"]`, `["/v1/x"]`)):                   true,
		string(entry(`["https://a.example/"]`, `["GET"]`, `["/v2/x/*/**","/v2/"]`)):       true,
		string(entry(`["https://a.example/"]`, `["GET"]`, `["/v1/x","/v3"]`)):             false,
		string(entry(`["https://a.example/"]`, `["GET"]`, `["/v1/**"]`)):                  false,
		string(entry(`["https://a.example/"]`, `["GET"]`, `["/v2"]`)):                     false,
		string(entry(`["https://a.example/"]`, `["POST"]`, `["/v1/x"]`)):                  false,
		string(entry(`["https://a.example/","https://c/"]`, `["GET"]`, `["/v1/x"]`)):      false,
		string(entry(`["https://a.example/"]`, `["GET"]`, `["/v1/a","/v1/b","/v2/a/b"]`)): true,
	} {
		got, err := broker.HTTPRequests{}.Covers(parent, json.RawMessage(child))
		require.NoError(t, err)
		require.Equal(t, want, got, child)
	}
	for _, bad := range []string{`{}`, `[]`, `x`, `{"type":"http_request"}`, string(entry(`[]`, `["GET"]`, `["/"]`)), string(entry(`["a"]`, `["get"]`, `["/"]`)),
		`{"Type":"http_request","locations":["a"],"actions":["GET"],"paths":["/"]}`} {
		got, err := broker.HTTPRequests{}.Covers(parent, json.RawMessage(bad))
		require.False(t, got)
		require.ErrorContains(t, err, "not an entry")
		got, err = broker.HTTPRequests{}.Covers(json.RawMessage(bad), parent)
		require.False(t, got)
		require.ErrorContains(t, err, "not an entry")
	}
}

// grantingDetails grants every entry that is asked for, beside what the policy grants.
func grantingDetails(p tb.Policy) tb.Policy {
	return tb.PolicyFunc(func(ctx context.Context, f tb.Facts) (tb.Verdict, error) {
		v, err := p.Evaluate(ctx, f)
		if err == nil && len(f.Details) > 0 {
			err = json.Unmarshal(f.Details, &v.Details)
		}
		return v, err
	})
}

// anyDetail is a type of which every entry is covered.
type anyDetail struct{}

func (anyDetail) Covers(json.RawMessage, json.RawMessage) (bool, error) { return true, nil }
