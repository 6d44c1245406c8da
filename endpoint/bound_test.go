package endpoint_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/endpoint"
)

// What an unauthenticated request may cost.
const (
	maxBytes  = 1 << 20
	maxAllocs = 2_500
)

// public says how often the routes that are for everybody read the store, at most. No other route reads it before the
// client is authenticated.
var public = map[string]int64{
	"/.well-known/oauth-authorization-server": 0,
	"/jwks.json": 2,
	"/healthz":   1,
}

var forms = []string{"/token", "/introspect", "/revoke"}

// request is an empty request to a route.
func request(rt endpoint.Route) *http.Request {
	path := strings.Replace(rt.Pattern, "{id}", strings.Repeat("A", 43), 1)
	r := &http.Request{
		Method: rt.Method, URL: &url.URL{Path: "/tenant" + path}, Header: http.Header{}, Body: http.NoBody,
		Host: "boundary.example", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: "192.0.2.1:1",
	}
	switch {
	case slices.Contains(forms, rt.Pattern):
		r.Header.Set("Content-Type", formType)
	case rt.Method == http.MethodPost:
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// outcome is how a route answers an input.
func (in input) outcome(rt endpoint.Route) want {
	_, open := public[rt.Pattern]
	switch {
	case open && !in.always:
		return want{http.StatusOK, ""}
	case slices.Contains(forms, rt.Pattern):
		return in.form
	}
	return in.header
}

func inputs() []input { return slices.Concat(bodies, headers, asserted(), guesses) }

func TestAnUnauthenticatedRequestIsBoundedWork(t *testing.T) {
	b := newBounded(t)
	for _, rt := range slices.Compact(endpoint.Routes(b.endpoint)) {
		t.Run(rt.Method+" "+rt.Pattern, func(t *testing.T) {
			b.serve(request(rt).WithContext(t.Context())) // what is made once is made now
			for _, in := range inputs() {
				r := request(rt).WithContext(t.Context())
				in.change(r)
				w, c := b.serve(r)
				expected := in.outcome(rt)
				require.Equal(t, expected, want{w.status, w.code()}, "%s: %s", in.name, w.body)
				require.LessOrEqual(t, c.bytes, uint64(maxBytes), "%s: bytes", in.name)
				require.LessOrEqual(t, c.allocs, uint64(maxAllocs), "%s: allocations", in.name)
				require.LessOrEqual(t, c.reads, public[rt.Pattern], "%s: reads of the store", in.name)
				require.Zero(t, c.writes, "%s: writes", in.name)
			}
		})
	}
}
