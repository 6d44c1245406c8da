package broker_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/broker"
)

// A fixed password stands in a KV engine of a vault, under a name of its own, and stays with the broker.
func ExampleNewVault() {
	vault := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/auth/jwt/login":
			fmt.Fprint(w, `{"auth": {"client_token": "s.1", "lease_duration": 3600}}`)
		case "/v1/kv/data/erp":
			fmt.Fprint(w, `{"data": {"data": {"erp_user": "reader", "erp_password": "hidden from the agent"}}}`)
		}
	}))
	defer vault.Close()

	v, err := broker.NewVault(broker.VaultConfig{
		Address: vault.URL, // of a real one: https
		Kind:    broker.VaultKV,
		Path:    "kv/data/erp",
		Fields:  map[string]string{"username": "erp_user", "password": "erp_password"},
		Login: broker.VaultLogin{Role: "erp-broker", JWT: func(context.Context) (string, error) {
			return "eyJhbGciOi…", nil // of Governor.Issue, or broker.ReadValue of a file of the platform
		}},
	})
	if err != nil {
		panic(err)
	}
	// Put it into broker.Config.Providers. This is what the broker does with it:
	got, err := v.Fetch(context.Background(), tokenboundary.Lease{Scopes: []string{"read"}})
	fmt.Println(got.Secret.Value("username"), got.Secret, err)
	_, err = v.Fetch(context.Background(), tokenboundary.Lease{Scopes: []string{"read"}, Deliver: true})
	fmt.Println(err)
	// Output:
	// reader secret(hidden) <nil>
	// tokenboundary: denied
	// broker: what cannot be taken back is not delivered
}
