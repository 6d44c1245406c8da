package agent

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// FuzzAnswer holds that no answer makes a token out of what is not exactly what the call needs.
func FuzzAnswer(f *testing.F) {
	f.Add("opaque", "a", 300)
	f.Add("eyJ0eXAiOiJhdCtqd3QifQ.eyJhdWQiOiJodHRwczovL2NybS5leGFtcGxlLyIsInNjb3BlIjoiYSJ9.c2ln", "a", 1)
	f.Add("eyJ0eXAiOiJhdCtqd3QifQ.eyJhdWQiOlsiaHR0cHM6Ly9jcm0uZXhhbXBsZS8iLCJ4Il0sInNjb3BlIjoiYSBiIn0.c2ln", "a b", 0)
	f.Add("eyJ0eXAiOiJhdCtqd3QifQ.bm8.", "b", -1)
	f.Add("eyJ0eXAiOiJhdCtqd3QifQ.eyJhdWQiOlsiaHR0cHM6Ly9jcm0uZXhhbXBsZS8iXSwic2NvcGUiOiJhIiwiaWF0Ijo5LCJleHAiOjh9.", "a", 300)
	f.Add("..", "", 300)
	s := &Session{id: lineage.IDOf([]byte("task"))}
	c := Call{Resource: "https://crm.example/", Scopes: []string{"a"}}
	f.Fuzz(func(t *testing.T, token, scopes string, seconds int) {
		g := Granted{Scopes: strings.Fields(scopes), ExpiresIn: time.Duration(seconds), TaskID: s.id}
		g.Access.Value = token
		sound := s.sound(g) == nil
		require.Equal(t, token != "" && len(token) <= maxToken && seconds > 0, sound)
		life := g.ExpiresIn
		n, err := s.accept(c, &g)
		require.LessOrEqual(t, g.ExpiresIn, life)
		if err != nil {
			require.Zero(t, n)
			return
		}
		for _, sc := range g.Scopes {
			require.Equal(t, "a", sc)
		}
		require.NotEmpty(t, g.Scopes)
		if claims, readable, _ := glance(token); readable {
			require.True(t, n.known)
			require.Len(t, claims.Audience, 1)
			require.Equal(t, []string{"a"}, uniq(strings.Fields(claims.Scope)))
			require.True(t, n.concerns(lineage.Selector{Kind: lineage.SelectTask, Value: s.id.String()}))
		}
	})
}

func uniq(list []string) (out []string) {
	for _, s := range list {
		if len(out) == 0 || out[len(out)-1] != s {
			out = append(out, s)
		}
	}
	return out
}

// FuzzChallenge holds that a challenge which says what was written into it is read as that, and none ends the reader.
func FuzzChallenge(f *testing.F) {
	f.Add(`Bearer error="insufficient_user_authentication", acr_values="aal2 aal3", max_age="60"`, "aal2")
	f.Add(`DPoP algs="ES256", Bearer ERROR=insufficient_user_authentication`, `a"b\c`)
	f.Add(`Bearer error="`, "")
	f.Add(`=,="\`, " ")
	f.Fuzz(func(t *testing.T, text, acr string) {
		err := stepUp(http.Header{"Www-Authenticate": {text}})
		if err != nil {
			require.Contains(t, strings.ToLower(text), "error")
		}
		if len(acr) > 1<<10 {
			return
		}
		quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(acr)
		err = stepUp(http.Header{"Www-Authenticate": {`Bearer acr_values="` + quoted + `", error="insufficient_user_authentication"`}})
		var e *StepUpError
		require.ErrorAs(t, err, &e)
		require.Equal(t, strings.Join(strings.Fields(acr), " "), strings.Join(e.ACR, " "))
		require.Negative(t, e.MaxAge)
	})
}

// FuzzRule holds that a token goes only to the scheme, host and port of a rule, and below its path as a server would
// resolve it.
func FuzzRule(f *testing.F) {
	f.Add("https://api.example/v1", "https://api.example/v1/x")
	f.Add("https://api.example/v1", "https://api.example/v1/../x")
	f.Add("http://127.0.0.1:80/", "http://127.0.0.1/%2e%2e/")
	f.Add("https://[::1]/a", "https://[::1]:443/a/%2Fb")
	f.Fuzz(func(t *testing.T, rule, target string) {
		p, err := Rule{URL: rule}.read()
		if err != nil {
			return
		}
		u, err := url.Parse(target)
		if err != nil || u.Host == "" {
			return
		}
		if _, found := find([]place{p}, &http.Request{URL: u}); !found {
			return
		}
		at, err := url.Parse(rule)
		require.NoError(t, err)
		require.Equal(t, strings.ToLower(at.Scheme), strings.ToLower(u.Scheme))
		require.Equal(t, strings.ToLower(at.Hostname()), strings.ToLower(u.Hostname()))
		if p.path != "" {
			clean := u.JoinPath("x").EscapedPath() // resolves dot segments
			require.True(t, strings.HasPrefix(clean+"/", p.path+"/"), "%s is outside %s", clean, p.path)
		}
	})
}

// FuzzDetails holds that what an answer says of a task is a time or nothing.
func FuzzDetails(f *testing.F) {
	f.Add(`[{"type":"task","expires_in":900}]`)
	f.Add(`[{"type":"x"},{"type":"task","expires_in":-1},{"type":"task","expires_in":1e99}]`)
	f.Add(`[null,1,"task"]`)
	f.Fuzz(func(t *testing.T, text string) {
		var details []json.RawMessage
		if json.Unmarshal([]byte(text), &details) != nil {
			return
		}
		life := taskLife(details)
		require.GreaterOrEqual(t, life, time.Duration(0))
		require.Less(t, life, 1<<32*time.Second)
	})
}

// FuzzCall holds that two calls that differ in anything but the order of their scopes are kept apart.
func FuzzCall(f *testing.F) {
	f.Add("tool", "https://crm.example/", "a b", "tool", "https://crm.example/", "b a")
	f.Add("", "r", "a", "r", "", "a")
	f.Add("t", "ra", "b", "t", "r", "a b")
	f.Fuzz(func(t *testing.T, tool1, resource1, scopes1, tool2, resource2, scopes2 string) {
		one, err1 := Call{Tool: tool1, Resource: resource1, Scopes: strings.Fields(scopes1)}.normal()
		two, err2 := Call{Tool: tool2, Resource: resource2, Scopes: strings.Fields(scopes2)}.normal()
		if err1 != nil || err2 != nil {
			return
		}
		same := tool1 == tool2 && resource1 == resource2 && strings.Join(one.Scopes, " ") == strings.Join(two.Scopes, " ")
		require.Equal(t, same, string(one.appendKey(nil)) == string(two.appendKey(nil)))
	})
}
