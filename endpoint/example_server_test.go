package endpoint_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing/fstest"

	"golang.org/x/oauth2/clientcredentials"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/endpoint"
	"github.com/tokenboundary/tokenboundary/identity"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/policy"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

const examplePolicy = `
bind:
  client: support-bot
  connection: salesforce-prod
  resource: https://crm.example.com/
allow:
  - rule: triage-reads
    when: grant == "client_credentials" && task.purpose == "triage"
    scopes: [cases:read]
    lifetime: 5m
limits: { lifetime: 10m, depth: 3, derivations: 50 }
`

// A security token service: policies from a file system, clients with secrets, and a Governor behind HTTP.
func Example_server() {
	const issuer = "http://127.0.0.1:8911"
	ctx := context.Background()
	state := memory.New()
	keys, err := os.MkdirTemp("", "keys")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(keys)
	signer, err := mint.Open(ctx, mint.Config{Issuer: issuer, Store: state, Dir: keys})
	if err != nil {
		log.Fatal(err)
	}
	policies, err := policy.Load(fstest.MapFS{"agents/support-bot/crm.yaml": {Data: []byte(examplePolicy)}})
	if err != nil {
		log.Fatal(err)
	}
	secrets, err := identity.Clients(identity.ClientsConfig{Issuer: issuer, Clients: []identity.ClientAuth{
		{ID: "support-bot", Secret: "a long random secret"}, {ID: "crm", Secret: "another random secret"},
	}})
	if err != nil {
		log.Fatal(err)
	}
	g, err := tokenboundary.New(tokenboundary.Config{
		Issuer: issuer, Store: state, Policy: policies, Minter: signer,
		Identities: []tokenboundary.IdentitySource{secrets},
		Clients: tokenboundary.ClientMap{
			"support-bot": {
				ID: "support-bot", Kind: tokenboundary.KindAgent, Connections: []string{"salesforce-prod"},
				Grants: []tokenboundary.Grant{tokenboundary.ClientCredentials, tokenboundary.Exchange},
			},
			"crm": {ID: "crm", Kind: tokenboundary.KindResource, Resource: "https://crm.example.com/"},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	handler, err := endpoint.New(g, endpoint.Config{JWKS: signer.JWKS})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()

	// The agent starts a task, with the OAuth client that every Go program has.
	agent := clientcredentials.Config{
		ClientID: "support-bot", ClientSecret: "a long random secret", TokenURL: server.URL + "/token",
		Scopes:         []string{"cases:read", "cases:delete"},
		EndpointParams: url.Values{"authorization_details": {`[{"type":"task","purpose":"triage","expires_in":900}]`}},
	}
	token, err := agent.Token(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("granted:", token.Extra("scope"))

	// The resource asks whether the token is good; the agent ends the task; the resource asks again.
	fmt.Println("active:", introspect(server.URL, token.AccessToken))
	done, err := http.NewRequest(http.MethodPost, server.URL+"/tasks/"+token.Extra("task_id").(string)+"/complete", nil)
	if err != nil {
		log.Fatal(err)
	}
	done.SetBasicAuth("support-bot", url.QueryEscape("a long random secret"))
	resp, err := http.DefaultClient.Do(done)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	fmt.Println("active:", introspect(server.URL, token.AccessToken))
	// Output:
	// granted: cases:read
	// active: true
	// active: false
}

func introspect(server, token string) bool {
	form := url.Values{"token": {token}}
	r, err := http.NewRequest(http.MethodPost, server+"/introspect", strings.NewReader(form.Encode()))
	if err != nil {
		log.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("crm", url.QueryEscape("another random secret"))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Active bool `json:"active"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		log.Fatal(err)
	}
	return answer.Active
}
