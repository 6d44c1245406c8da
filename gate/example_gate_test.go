package gate_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/gate"
)

// A gate stands in front of a token endpoint that grants whatever it is asked for.
func ExampleGate() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("the server is asked for:", r.PostFormValue("scope"))
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprint(w, `{"access_token":"t0k3n","token_type":"Bearer","expires_in":300}`)
	}))
	defer server.Close()
	door, err := gate.New(gate.Config{
		Governor: example(), Token: server.URL,
		Clients: map[string]exchange.Authenticator{"bot": exchange.Basic("bot", "its secret at the server")},
	})
	if err != nil {
		log.Fatal(err)
	}
	front := httptest.NewServer(door)
	defer front.Close()

	bot := exchange.Client{Endpoint: front.URL, Auth: exchange.Basic("bot", "its secret at the boundary")}
	token, err := bot.ClientCredentials(context.Background(), exchange.Params{
		Resource: []string{"https://crm.example.com/"}, Scopes: []string{"cases:read", "cases:delete"},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the client gets:", token.Scopes)
	// Output:
	// the server is asked for: cases:read
	// the client gets: [cases:read]
}
