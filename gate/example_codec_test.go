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

	"github.com/tokenboundary/tokenboundary/gate"
)

// answered posts a body to a hook with a codec, and returns the answer.
func answered(codec gate.Codec, body string) (status int, answer map[string]any) {
	hook, err := gate.NewHook(gate.HookConfig{Governor: example(), Secrets: []gate.Secret{"a long random secret"}, Codec: codec})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(hook)
	defer server.Close()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, server.URL, strings.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "a long random secret")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		log.Fatal(err)
	}
	return resp.StatusCode, answer
}

// An Action of Auth0 posts parts of its event, and denies what it is told to.
func ExampleAuth0() {
	codec := gate.Auth0{Host: gate.Host{Lifetime: 5 * time.Minute}} // the token lifetime of the API
	for _, scopes := range []string{`"cases:read"`, `"cases:read","cases:delete"`} {
		_, answer := answered(codec, `{"client":{"client_id":"bot"},"resource_server":{"identifier":"https://crm.example.com/"},
			"accessToken":{"scope":[`+scopes+`]},"request":{"body":{}}}`)
		fmt.Println(answer["allow"], answer["code"])
	}
	// Output:
	// true <nil>
	// false invalid_scope
}

// Okta is told how long the token lives, and the decision that goes into it as a claim.
func ExampleOkta() {
	_, answer := answered(gate.Okta{}, `{"eventType":"com.okta.oauth2.tokens.transform","data":{
		"context":{"protocol":{"type":"OAUTH2.0","client":{"id":"bot"},"request":{"scope":"cases:read","grant_type":"client_credentials"}}},
		"access":{"claims":{"aud":"https://crm.example.com/","cid":"bot","sub":"bot"},
			"token":{"lifetime":{"expiration":3600}},"scopes":{"cases:read":{"id":"s1","action":"GRANT"}}}}}`)
	commands, _ := answer["commands"].([]any)
	for _, c := range commands {
		for _, patch := range c.(map[string]any)["value"].([]any) {
			fmt.Println(patch.(map[string]any)["path"])
		}
	}
	// Output:
	// /token/lifetime/expiration
	// /claims/tb_decision
}

// A server that is taught to ask can be told to narrow.
func ExampleGeneric() {
	_, answer := answered(gate.Generic{}, `{"grant_type":"client_credentials","client_id":"bot","resource":["https://crm.example.com/"],
		"scopes":["cases:read","cases:delete"],"enforce":["scopes","lifetime","resources"]}`)
	fmt.Println(answer["allow"], answer["scopes"])
	// Output: true [cases:read]
}
