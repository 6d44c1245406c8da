package endpoint_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/endpoint"
	"github.com/tokenboundary/tokenboundary/exchange"
)

// The places where what a request says may be kept or repeated, each by contract.
var (
	inLineage = []string{"lineage"}                    // what was asked for, also of what was refused
	inAnswer  = []string{"answer", "lineage"}          // and what was granted is said to who asked
	inFeed    = []string{"answer", "revocations"}      // what was cut, and why
	inFacts   = []string{"heads"}                      // what a signal says of the world
	inMark    = []string{"answer", "heads", "lineage"} // a task's purpose and context
)

// planted is a field of a request with a canary in it. Where it is not said, the canary must be nowhere afterwards.
type planted struct {
	name string
	send func(s *server, canary string) answer
	kept []string
}

// TestNoFieldOfARequestLeaks plants a canary in every field of every kind of request, in its place and in a wrong one.
// What is recorded by contract is recorded and nowhere else; everything else is nowhere: not in a log, not in an answer,
// not in the store.
func TestNoFieldOfARequestLeaks(t *testing.T) {
	for _, p := range slices.Concat(everywhere(), inTokenForms(), inForms(), inObjects()) {
		t.Run(p.name, func(t *testing.T) {
			s := newServer(t)
			s.policy = asksFirst
			canary := fmt.Sprintf("canary-%08x-%s", s.serial.Add(0xc0ffee), "zqjx")
			a := p.send(s, canary)
			require.NotZero(t, a.status)
			s.canary.See("log", s.log.String())
			secrets, seen := s.canary.Counts()
			require.Positive(t, secrets*seen)
			require.Subset(t, p.kept, s.canary.Where(canary), "%s", a.raw)
			if len(p.kept) > 0 {
				require.NotEmpty(t, s.canary.Where(canary), "control: it is recorded, and the search finds it: %s", a.raw)
			}
		})
	}
}

// set plants a header on a request that is otherwise good.
func set(name, format string) func(*server, string) answer {
	return func(s *server, canary string) answer {
		form := pairsOf("grant_type", "client_credentials").Encode()
		return s.do("support-bot", "POST", "/token", formType, form, func(r *http.Request) {
			r.Header.Set(name, fmt.Sprintf(format, canary))
		})
	}
}

// everywhere is what any request has: headers, a path and a query.
func everywhere() []planted {
	out := []planted{
		{"secret of a client", credential("ops", "%s"), nil},
		{"user of Basic", func(s *server, c string) answer { return s.do(c, "GET", "/revocations", "", "") }, nil},
		{"secret as a user", credential("%s", "x"), nil},
		{"Basic without a colon", set("Authorization", "Basic %s"), nil},
		{"Bearer", set("Authorization", "Bearer %s"), nil},
		{"another scheme", set("Authorization", "Digest %s"), nil},
		{"a scheme", set("Authorization", "%s x"), nil},
		{"a method", func(s *server, c string) answer { return s.do("ops", c, "/token", "", "") }, nil},
		{"a path", func(s *server, c string) answer { return s.get("ops", "/"+c) }, nil},
	}
	for _, h := range []string{"DPoP", "Cookie", "User-Agent", "Referer", "X-Request-Id", "X-Forwarded-For", "Forwarded", "Traceparent", "Accept", "Content-Type", "Origin"} {
		out = append(out, planted{"header " + h, set(h, "%s"), nil})
	}
	h, err := endpoint.New(newGovernor(), endpoint.Config{})
	if err != nil {
		panic(err)
	}
	for _, rt := range endpoint.Routes(h) {
		out = append(out, planted{"path of " + rt.Method + " " + rt.Pattern, func(s *server, c string) answer {
			return s.do("ops", rt.Method, replaceID(rt.Pattern, c), formType, "token=x")
		}, nil}, planted{"query of " + rt.Method + " " + rt.Pattern, func(s *server, c string) answer {
			return s.do("ops", rt.Method, replaceID(rt.Pattern, c)+"?after="+c+"&"+c+"=1&wait="+c, formType, "token=x")
		}, nil})
	}
	return out
}

func credential(id, secret string) func(*server, string) answer {
	return func(s *server, c string) answer {
		return s.do("", "GET", "/revocations", "", "", func(r *http.Request) {
			name, value := id, secret
			if id == "%s" {
				name = c
			} else {
				value = c
			}
			r.SetBasicAuth(name, value)
		})
	}
}

// inTokenForms is what a token request can say.
func inTokenForms() []planted {
	ask := func(format string, name string, pairs ...string) func(*server, string) answer {
		return func(s *server, c string) answer {
			return s.post("support-bot", "/token", append([]string{"grant_type", "client_credentials", name, fmt.Sprintf(format, c)}, pairs...)...)
		}
	}
	out := []planted{
		{"scope", ask("%s", "scope"), inAnswer},
		{"scope, refused", ask("admin:%s", "scope"), inLineage},
		{"resource", ask("https://%s.example/", "resource"), inLineage},
		{"resource, refused", ask("https://unbound.example/%s", "resource"), inLineage},
		{"audience", ask("https://%s.example/", "audience"), inLineage},
		{"resource, malformed", ask("https://user:%s@crm.example/", "resource"), nil},
		{"connection", ask("%s", "connection"), inLineage},
		{"a detail", ask(`[{"type":"payment","iban":"%s"}]`, "authorization_details"), inAnswer},
		{"a name in a detail", ask(`[{"type":"payment","%s":1}]`, "authorization_details"), inAnswer},
		{"a purpose", ask(`[{"type":"task","purpose":"%s"}]`, "authorization_details"), inMark},
		{"a task's context", ask(`[{"type":"task","purpose":"p","context":{"a":"%s"}}]`, "authorization_details"), inMark},
		{"a name in a task", ask(`[{"type":"task","purpose":"p","%s":1}]`, "authorization_details"), nil},
		{"details, malformed", ask(`[%s`, "authorization_details"), nil},
		{"an approval", ask("%s", "completion_mode"), nil},
	}
	for _, name := range slices.Concat(credentials, []string{
		"grant_type", "requested_token_type", "subject_token_type", "actor_token_type", "client_id", "client_assertion_type",
		"token_type_hint", "state", "code", "redirect_uri", "nonce", "password", "username",
	}) {
		out = append(out, planted{"form " + name, ask("%s", name), nil})
		for _, grant := range []string{exchange.GrantTokenExchange, exchange.GrantRefreshToken, exchange.GrantDeferred} {
			out = append(out, planted{"form " + name + " of " + grant, func(s *server, c string) answer {
				form := url.Values{"grant_type": {grant}, "subject_token_type": {tokenboundary.TypeJWT}}
				form.Set(name, c)
				return s.do("keeper", "POST", "/token", formType, form.Encode())
			}, nil})
		}
	}
	return append(out, planted{"a name of a parameter", func(s *server, c string) answer {
		return s.post("support-bot", "/token", "grant_type", "client_credentials", c, "x")
	}, nil}, planted{"a repeated parameter", func(s *server, c string) answer {
		return s.post("support-bot", "/token", "grant_type", "client_credentials", c, "x", c, "y")
	}, nil}, planted{"a malformed parameter", func(s *server, c string) answer {
		return s.do("support-bot", "POST", "/token", formType, c+"=%zz")
	}, nil})
}
