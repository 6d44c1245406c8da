package exchange_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/tokenboundary/tokenboundary/exchange"
)

// A client that accepts to wait is told how to poll, and polls until somebody has agreed.
func ExampleClient_Poll() {
	agreed := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if !agreed {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":"authorization_pending","deferral_code":"8f14e45f","expires_in":600,"interval":5}`)
			return
		}
		fmt.Fprint(w, `{"access_token":"abc","token_type":"Bearer","expires_in":60,"scope":"refunds:write"}`)
	}))
	defer server.Close()
	client := &exchange.Client{Endpoint: server.URL, Auth: exchange.Basic("support-bot", "a long random secret")}
	ask := exchange.Params{Scopes: []string{"refunds:write"}, Deferrable: true}

	token, err := client.ClientCredentials(context.Background(), ask)
	var wait *exchange.Error
	if errors.As(err, &wait) && wait.Deferral != nil {
		code := wait.Deferral.Code.Value // the answers to polls do not repeat it
		for errors.As(err, &wait) && wait.Code == "authorization_pending" {
			fmt.Println(wait.Code, wait.Deferral.Interval)
			agreed = true // a real client waits for the interval first
			token, err = client.Poll(context.Background(), code, ask)
		}
	}
	fmt.Println(token, token.Scopes, err)
	// Output:
	// authorization_pending 5s
	// token [refunds:write] <nil>
}
