package endpoint_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/endpoint"
)

var tokenRoute = endpoint.Route{Method: "POST", Pattern: "/token"}

// TestUnknownKeysCauseOneFetch: whatever key ids strangers make up, the client's key set is asked for once a minute.
func TestUnknownKeysCauseOneFetch(t *testing.T) {
	b := newBounded(t)
	b.honest(200, "POST", "/token", b.signed("remote", 0, "grant_type", "client_credentials"))
	require.EqualValues(t, 1, b.fetches.Load(), "control: the set is fetched when it is first needed")
	for i := range 100 {
		r := request(tokenRoute).WithContext(t.Context())
		body(asserts(forged(fmt.Sprintf(`{"alg":"ES256","kid":"k%d"}`, i), "remote", "", 64)))(r)
		w, c := b.serve(r)
		require.Equal(t, nobody, want{w.status, w.code()})
		require.Zero(t, c.reads+c.writes)
	}
	require.EqualValues(t, 2, b.fetches.Load())
	b.honest(200, "POST", "/token", b.signed("remote", 0, "grant_type", "client_credentials"))
}

// TestAnUnknownClientCostsWhatAKnownOneCosts: neither the answer nor the work says which ids have a secret.
func TestAnUnknownClientCostsWhatAKnownOneCosts(t *testing.T) {
	b := newBounded(t)
	ask := func(id string) (answer string, least cost) {
		for i := range 20 { // without what is made for the first time, or again now and then
			r := request(tokenRoute).WithContext(t.Context())
			both(body("grant_type=client_credentials"), basicHeader(id+":"+strings.Repeat("x", 32)))(r)
			w, c := b.serve(r)
			require.Equal(t, nobody, want{w.status, w.code()})
			if answer = fmt.Sprint(w.header, string(w.body)); i == 0 || c.allocs < least.allocs {
				least = c
			}
		}
		return answer, least
	}
	known, knownCost := ask("ops")
	unknown, unknownCost := ask("opt")
	require.Equal(t, known, unknown)
	require.InDelta(t, knownCost.allocs, unknownCost.allocs, 1)
	require.Equal(t, knownCost.reads+knownCost.writes, unknownCost.reads+unknownCost.writes)
}

// TestGuessesOfAClientAreBoundedWork: a client that is authenticated and guesses what it was not given causes a few reads
// and one record, and of a guess that repeats a counter.
func TestGuessesOfAClientAreBoundedWork(t *testing.T) {
	b := newBounded(t)
	const exchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	for name, c := range map[string]struct {
		code  string
		pairs []string
	}{
		"refresh token":  {"invalid_grant", []string{"grant_type", "refresh_token", "refresh_token", "tbr_" + fill(118, "A")}},
		"deferral code":  {"invalid_grant", []string{"grant_type", "urn:ietf:params:oauth:grant-type:deferred", "deferral_code", "tbd_" + fill(86, "A")}},
		"subject token":  {"invalid_request", []string{"grant_type", exchange, "subject_token", forged(`{"alg":"ES256","kid":"x","typ":"at+jwt"}`, "x", "", 64), "subject_token_type", "urn:ietf:params:oauth:token-type:access_token"}},
		"garbage":        {"invalid_request", []string{"grant_type", exchange, "subject_token", fill(maxToken, "."), "subject_token_type", "urn:ietf:params:oauth:token-type:jwt"}},
		"deep details":   {"invalid_authorization_details", []string{"grant_type", "client_credentials", "authorization_details", fill(32<<10, "[")}},
		"many details":   {"invalid_authorization_details", []string{"grant_type", "client_credentials", "authorization_details", "[" + numbered(32<<10-2, maxBody, `{"type":"t%x"}`, ",") + "]"}},
		"long details":   {"invalid_authorization_details", []string{"grant_type", "client_credentials", "authorization_details", fill(80_000, "[")}},
		"many scopes":    {"invalid_scope", []string{"grant_type", "client_credentials", "scope", fill(100<<10, "s ")}},
		"many resources": {"invalid_target", append([]string{"grant_type", "client_credentials"}, slices.Repeat([]string{"resource", crm}, 100)...)},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range 3 {
				r := request(tokenRoute).WithContext(t.Context())
				b.signed("honest", 0, c.pairs...)(r)
				w, work := b.serve(r)
				require.Equal(t, want{400, c.code}, want{w.status, w.code()}, "%s", w.body)
				if i > 0 { // the first of its kind may write what all nodes share
					require.LessOrEqual(t, work.reads, int64(2))
					require.LessOrEqual(t, work.writes, int64(1))
					require.LessOrEqual(t, work.bytes, uint64(2*maxBytes)) // a client that is known may cost more
				}
			}
		})
	}
}
