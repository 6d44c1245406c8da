package verify_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/verify"
)

// FuzzReadFeed holds that whatever the boundary seems to say, it is a page of entries that follow each other, or none.
func FuzzReadFeed(f *testing.F) {
	const one = `{"seq":%,"selector":"client:x","at":"2026-03-01T12:00:00Z","before":"2026-03-01T12:00:05Z"}`
	f.Add(`{"entries":[]}`)
	f.Add(`{"entries":null}`)
	f.Add(`{"entries":[` + strings.ReplaceAll(one, "%", "7") + `,` + strings.ReplaceAll(one, "%", "8") + `]}`)
	f.Add(`{"entries":[` + strings.ReplaceAll(one, "%", "7") + `,` + strings.ReplaceAll(one, "%", "9") + `]}`)
	f.Add(`{"entries":[` + strings.ReplaceAll(one, "%", "18446744073709551616") + `]}`)
	f.Add(`{"entries":[{"seq":1,"selector":"task:x","action":"suspend"}]}`)
	f.Add(`[`)
	f.Fuzz(func(t *testing.T, body string) {
		entries, err := verify.ReadFeed([]byte(body))
		if err != nil {
			require.Nil(t, entries)
			return
		}
		require.LessOrEqual(t, len(entries), 1000)
		var said struct {
			Entries []struct {
				Seq json.Number `json:"seq"`
			} `json:"entries"`
		}
		d := json.NewDecoder(bytes.NewReader([]byte(body)))
		d.UseNumber()
		require.NoError(t, d.Decode(&said))
		require.Len(t, said.Entries, len(entries))
		for i, e := range entries {
			require.NoError(t, e.Check())
			require.False(t, e.Before.IsZero())
			if i > 0 {
				require.Equal(t, entries[i-1].Seq+1, e.Seq)
			}
		}
	})
}

// FuzzReadState holds that only an answer that says so is active.
func FuzzReadState(f *testing.F) {
	f.Add(`{"active":false}`)
	f.Add(`{"active":true,"jti":"x","aud":["a"],"exp":1}`)
	f.Add(`{"active":"true"}`)
	f.Add(`{"active":null}`)
	f.Add(`{}`)
	f.Add(`true`)
	f.Fuzz(func(t *testing.T, body string) {
		state, err := verify.ReadState([]byte(body))
		if err != nil || !state.Active {
			require.Zero(t, state)
			return
		}
		require.Contains(t, strings.ToLower(body), "true")
	})
}

// FuzzAuthorization holds that a token is read from a header only where it is one token in one scheme, as it stands there.
func FuzzAuthorization(f *testing.F) {
	for _, seed := range []string{"Bearer a.b.c", "bearer  a==", "DPoP x", "Basic eA==", "", "Bearer a, Bearer b", "Bearer a b", "Bearer\ta", "Bearer \u00e9", "Bearer =", "Bearer"} {
		f.Add(seed, "", "p")
	}
	f.Add("Bearer a", "access_token=b", "")
	f.Add("DPoP a", "x=%zz&access_token", "p\x00")
	f.Fuzz(func(t *testing.T, authorization, query, proof string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.RawQuery = query
		r.Header["Authorization"], r.Header["Dpop"] = []string{authorization}, []string{proof}
		token, dpop, status, code := verify.Present(r)
		if token == "" {
			require.Contains(t, []int{400, 401}, status)
			require.Contains(t, []string{"", "invalid_request", "invalid_token", "invalid_dpop_proof"}, code)
			return
		}
		require.True(t, strings.HasSuffix(authorization, " "+token))
		scheme := strings.TrimRight(strings.TrimSuffix(authorization, token), " ")
		want := "Bearer"
		if dpop {
			want = "DPoP"
		}
		require.True(t, strings.EqualFold(want, scheme), scheme)
		require.NotContains(t, token, ",")
		require.NotContains(t, token, " ")
		said, _ := url.ParseQuery(query)
		require.NotContains(t, said, "access_token")
		r.Header["Authorization"] = append(r.Header["Authorization"], authorization)
		token, _, status, code = verify.Present(r)
		require.Empty(t, token)
		require.Equal(t, 400, status)
		require.Equal(t, "invalid_request", code)
	})
}
