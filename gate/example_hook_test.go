package gate_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/gate"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

// A Hydra asks before it mints. It cannot narrow: what policy would narrow, it denies.
func ExampleHook() {
	boundary := example()
	hook, err := gate.NewHook(gate.HookConfig{
		Governor: boundary, Secrets: []gate.Secret{"a long random secret"},
		Codec: gate.Hydra{Host: gate.Host{Lifetime: 5 * time.Minute}}, // its ttl.access_token
	})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(hook)
	defer server.Close()

	for _, scopes := range []string{`"cases:read"`, `"cases:read","cases:delete"`} {
		r, err := http.NewRequest(http.MethodPost, server.URL, strings.NewReader(`{
			"session": {"client_id": "bot", "extra": {"tenant": "acme"}},
			"request": {"client_id": "bot", "grant_types": ["client_credentials"], "granted_scopes": [`+scopes+`],
				"granted_audience": ["https://crm.example.com/"]}}`))
		if err != nil {
			log.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "a long random secret")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			log.Fatal(err)
		}
		var answer struct {
			Error   string
			Session struct {
				AccessToken map[string]string `json:"access_token"`
			}
		}
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
			log.Fatal(err)
		}
		_ = resp.Body.Close()
		claims := answer.Session.AccessToken
		fmt.Println(resp.StatusCode, answer.Error, claims["tenant"], len(claims[gate.ClaimDecision]))
	}
	// Output:
	// 200  acme 43
	// 403 invalid_scope  0
}

// example is a boundary that lets bot read cases.
func example() *tokenboundary.Governor {
	g, err := tokenboundary.New(tokenboundary.Config{
		Issuer: "https://boundary.example", Store: memory.New(),
		Clients: tokenboundary.ClientMap{"bot": {
			ID: "bot", Kind: tokenboundary.KindAgent, Connections: []string{"crm"}, Grants: []tokenboundary.Grant{tokenboundary.ClientCredentials},
		}},
		Identities: []tokenboundary.IdentitySource{tokenboundary.IdentityFunc(anybody)}, // identity.Clients
		Policy: tokenboundary.PolicyFunc(func(_ context.Context, f tokenboundary.Facts) (tokenboundary.Verdict, error) {
			return tokenboundary.Verdict{
				Effect: tokenboundary.Allow, Path: "/bot/crm", Resources: f.Resources, Lifetime: 5 * time.Minute,
				Access: []lineage.Access{{Resource: f.Resources[0], Scopes: []string{"cases:read"}}},
			}, nil
		}),
	})
	if err != nil {
		log.Fatal(err)
	}
	return g
}
