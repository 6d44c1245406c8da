package broker_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/broker"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

// A service keeps the refresh token of somebody else's authorisation server. What agents get done there is done with access
// tokens that live for minutes.
func ExampleOAuth() {
	ctx := context.Background()
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":"short","token_type":"Bearer","expires_in":300,"refresh_token":"second","scope":%q}`, r.PostFormValue("scope"))
		fmt.Println("uses", r.PostFormValue("refresh_token"), "for", r.PostFormValue("scope"))
	}))
	defer far.Close()
	g, err := tokenboundary.New(tokenboundary.Config{
		Issuer: "https://boundary.example", Store: memory.New(), Clock: clock.New(), Policy: tokenboundary.PolicyFunc(allowReading),
		Clients: tokenboundary.ClientMap{"bot": {
			ID: "bot", Kind: tokenboundary.KindAgent, Grants: []tokenboundary.Grant{tokenboundary.ClientCredentials}, Connections: []string{"erp"},
		}},
	})
	if err != nil {
		panic(err)
	}
	client := tokenboundary.Client{
		ID: "erp-broker", Kind: tokenboundary.KindResource, Resource: "https://erp.example/", Connections: []string{"erp"},
	}
	sealer, err := broker.NewSealer(newKey())
	if err != nil {
		panic(err)
	}
	o, err := broker.NewOAuth(broker.OAuthConfig{
		Governor: g, Client: client, Connection: "erp", Sealer: sealer, TokenURL: far.URL, ClientID: "boundary",
		Scopes: map[string][]string{"read": {"Invoices.Read"}},
	})
	if err != nil {
		panic(err)
	}
	if err := o.Deposit(ctx, "first"); err != nil { // once, by an operator
		panic(err)
	}
	b, err := broker.New(broker.Config{Governor: g, Client: client, Providers: map[string]broker.Provider{"erp": o}, Sealer: sealer})
	if err != nil {
		panic(err)
	}
	token, _ := minted(ctx, g)
	for range 2 {
		lease, err := b.Lease(ctx, tokenboundary.LeaseRequest{Token: token, Scopes: []string{"read"}})
		if err != nil {
			panic(err)
		}
		fmt.Println(lease.Use(ctx, func(_ context.Context, s broker.Secret) error {
			fmt.Println("calls with", s.Value("token"))
			return nil
		}))
	}
	// Output:
	// uses first for Invoices.Read
	// calls with short
	// <nil>
	// uses second for Invoices.Read
	// calls with short
	// <nil>
}

// Keys are replaced by putting the new one first.
func ExampleNewSealer() {
	ctx := context.Background()
	key, next := newKey(), newKey()
	before, err := broker.NewSealer(key)
	if err != nil {
		panic(err)
	}
	sealed, err := before.Seal(ctx, "lease 1", []byte("xyzzy"))
	if err != nil {
		panic(err)
	}
	after, err := broker.NewSealer(next, key)
	if err != nil {
		panic(err)
	}
	plain, err := after.Open(ctx, "lease 1", sealed)
	fmt.Println(string(plain), err)
	_, err = after.Open(ctx, "lease 2", sealed)
	fmt.Println(err)
	// Output:
	// xyzzy <nil>
	// broker: what is sealed cannot be opened: it was sealed with another key, about something else, or altered
}

// newKey is a key to seal with. Those that are to be good after a restart are read by broker.ReadSealer, or kept by a KMS.
func newKey() []byte {
	key := make([]byte, broker.SealKeySize)
	_, _ = rand.Read(key) // it never fails
	return key
}
