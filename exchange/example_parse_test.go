package exchange_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
)

// A token request becomes a Request for the Governor; a form that is no request says why, and never repeats a value.
func ExampleParse() {
	form := url.Values{
		"grant_type":            {exchange.GrantClientCredentials},
		"resource":              {"https://crm.example.com/"},
		"scope":                 {"cases:read contacts:read"},
		"authorization_details": {`[{"type":"task","purpose":"triage","expires_in":900}]`},
	}
	f, err := exchange.ParseForm(strings.NewReader(form.Encode()))
	if err != nil {
		log.Fatal(err)
	}
	req, err := exchange.Parse(f)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(req.Grant, req.Resource, req.Scopes)
	fmt.Println(req.Task.Purpose, req.Task.ExpiresIn)

	_, err = exchange.ParseForm(strings.NewReader("scope=cases:read&scope=cases:write"))
	fmt.Println(err)
	// Output:
	// client_credentials [https://crm.example.com/] [cases:read contacts:read]
	// triage 15m0s
	// exchange: invalid_request (status 400): scope must not repeat
}

// Whatever the Governor returns, one function says what the client is told.
func ExampleAsError() {
	err := &tokenboundary.DeniedError{Decision: tokenboundary.Decision{
		Code: tokenboundary.CodeInvalidTarget, Parameter: "resource", Path: "/agents/support-bot/crm",
	}}
	w := httptest.NewRecorder()
	exchange.AsError(err).Write(w)
	fmt.Println(w.Code, w.Body)
	// Output: 400 {"error":"invalid_target","error_description":"resource or audience was refused"}
}

// The client of the token endpoint refuses an answer that has nothing of what it asked for.
func ExampleClient_Exchange() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token":"abc","token_type":"Bearer","expires_in":300,"scope":"cases:delete",
			"issued_token_type":"urn:ietf:params:oauth:token-type:access_token"}`)
	}))
	defer server.Close()
	client := &exchange.Client{Endpoint: server.URL, Auth: exchange.Basic("crm-tool", "a long random secret")}
	_, err := client.Exchange(context.Background(), exchange.Params{
		Subject: tokenboundary.Credential{Type: tokenboundary.TypeAccessToken, Value: "the agent's token"},
		Scopes:  []string{"cases:read"},
	})
	fmt.Println(err)
	// Output: exchange: the answer has none of the scopes that were asked for
}
