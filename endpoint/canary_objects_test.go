package endpoint_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canary"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

// newGovernor returns one that has no clients: only its routes are of interest.
func newGovernor() *tokenboundary.Governor {
	g, err := tokenboundary.New(tokenboundary.Config{
		Issuer: issuer, Store: memory.New(), Policy: tokenboundary.PolicyFunc(nil), Clients: tokenboundary.ClientMap{},
	})
	if err != nil {
		panic(err)
	}
	return g
}

func replaceID(pattern, id string) string { return strings.Replace(pattern, "{id}", id, 1) }

// inForms is what introspection and revocation can be told.
func inForms() []planted {
	var out []planted
	for _, path := range []string{"/introspect", "/revoke"} {
		for name, form := range map[string]string{
			"token": "token=%s", "hint": "token=x&token_type_hint=%s", "another": "token=x&a=%s", "name": "token=x&%s=a",
			"a token of ours, nearly": "token=eyJhbGciOiJFUzI1NiJ9.%s.c2ln", "malformed": "token=%%zz%s", "no form": "{\"%s\":1}",
		} {
			out = append(out, planted{path + ", " + name, func(s *server, c string) answer {
				return s.do("ops", "POST", path, formType, fmt.Sprintf(form, c))
			}, nil})
		}
	}
	return out
}

// inObjects is what the endpoints that take JSON can be told.
func inObjects() []planted {
	var out []planted
	for _, c := range []struct {
		path, body string
		kept       []string
	}{
		{"/revocations", `{"selector":"session:%s"}`, inFeed},
		{"/revocations", `{"selector":"connection:x","reason":"%s"}`, inFeed},
		{"/revocations", `{"selector":"%s"}`, nil},
		{"/revocations", `{"selector":"%s:x"}`, nil},
		{"/revocations", `{"selector":"connection:x","%s":true}`, nil},
		{"/revocations", `{"selector":"connection:x","block":"%s"}`, nil},
		{"/revocations", `{"selector":"connection:x"}%s`, nil},
		{"/signals", `{"env":{"a":"%s"}}`, inFacts},
		{"/signals", `{"env":{"%s":1}}`, inFacts},
		{"/signals", `{"selector":"session:%s","risk":{"level":"high"}}`, inFacts},
		{"/signals", `{"selector":"session:x","attributes":{"a":"%s"}}`, inFacts},
		{"/signals", `{"selector":"session:x","assurance":{"acr":"%s"}}`, inFacts},
		{"/signals", `{"selector":"session:%s","ended":true}`, inFeed},
		{"/signals", `{"selector":"session:x","risk":{"level":"%s"}}`, nil},
		{"/signals", `{"selector":"session:x","risk":{"%s":"high"}}`, nil},
		{"/signals", `{"after":"%s","env":{"a":1}}`, nil},
		{"/signals", `{"policies":"%s"}`, nil},
		{"/signals", `{"%s":1}`, nil},
		{"/approvals/AAAA", `{"approve":true,"%s":1}`, nil},
		{"/approvals/AAAA", `{"approve":"%s"}`, nil},
		{"/usage", `{"uses":[{"jti":"%s","at":"2026-03-01T12:00:00Z"}]}`, nil},
		{"/usage", `{"uses":[{"jti":"x","at":"%s"}]}`, nil},
		{"/usage", `{"uses":[{"jti":"x","at":"2026-03-01T12:00:00Z","scopes":["%s"]}]}`, nil},
		{"/usage", `{"uses":[{"jti":"x","at":"2026-03-01T12:00:00Z","%s":1}]}`, nil},
		{"/usage", `{"%s":[]}`, nil},
	} {
		out = append(out, planted{c.path + " " + c.body, func(s *server, text string) answer {
			client := "ops"
			if c.path == "/usage" {
				client = "crm"
			}
			return s.do(client, "POST", c.path, "application/json", fmt.Sprintf(c.body, text))
		}, c.kept})
	}
	return out
}

// TestTheCanariesOfAServerSing: the control of every canary test here. What leaks on purpose is found.
func TestTheCanariesOfAServerSing(t *testing.T) {
	const told = "a-secret-that-was-told-to-us"
	for name, leak := range map[string]func(*server){
		"the log": func(s *server) { s.canary.See("log", fmt.Sprintf(`{"cause":"token %q"}`, told)) },
		"a purpose": func(s *server) {
			s.token("support-bot", "authorization_details", `[{"type":"task","purpose":"`+told+`"}]`)
		},
		"an answer": func(s *server) { s.token("support-bot", "scope", told) },
		"a selector": func(s *server) {
			s.do("ops", "POST", "/revocations", "application/json", `{"selector":"session:`+told+`"}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			leak(s)
			require.NotEmpty(t, s.canary.Where(told))
			copied := &canary.Keeper{}
			copied.Plant("what was told", told)
			copied.See("all", s.canary.Text()...)
			require.Len(t, copied.Leaks(), 1)
		})
	}
}

// TestAPluginThatRepeatsACredentialDoesNotLeak: an identity source whose error repeats what it was given.
func TestAPluginThatRepeatsACredentialDoesNotLeak(t *testing.T) {
	const given = "eyJhbGciOiJFUzI1NiJ9.e30.c2lnbmF0dXJlLW9mLWEtdG9rZW4tdGhhdC1uby1vbmUtZWxzZS1oYXM"
	k := canary.Watch(t)
	k.Plant("what the source was given", given)
	s := newServer(t)
	s.sources(k, func(_ context.Context, c tokenboundary.Credential) (tokenboundary.Principal, error) {
		return tokenboundary.Principal{}, fmt.Errorf("refused %s: wrong", c.Value)
	})
	s.refused(s.get("", "/revocations"), 401, "invalid_client", "required")
	a := s.do("", "GET", "/revocations", "", "", header("Authorization", "Bearer "+given))
	s.refused(a, 401, "invalid_client", "failed")
	a = s.exchanged("support-bot", given, tokenboundary.TypeJWT)
	s.refused(a, 400, "invalid_request", "subject_token")
	_, seen := k.Counts()
	require.Positive(t, seen)
}
