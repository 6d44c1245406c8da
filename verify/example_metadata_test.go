package verify_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/verify"
)

// An API says where its tokens come from (RFC 9728), so that an agent that has none finds its boundary.
func ExampleVerifier_Metadata() {
	ctx := context.Background()
	const resource = "https://crm.example.com/"
	boundary, keys, _ := boundaryOf(ctx, resource)
	v, err := verify.New(verify.Config{
		Issuer: boundary.Issuer(), Resource: resource, JWKS: keys, Scopes: []string{"cases:read"},
		Boundary: verify.Local{Governor: boundary, Client: tokenboundary.Client{ID: "crm", Kind: tokenboundary.KindResource, Resource: resource}},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(v.MetadataURL())
	w := httptest.NewRecorder()
	v.Metadata().ServeHTTP(w, httptest.NewRequest(http.MethodGet, v.MetadataURL(), nil))
	fmt.Println(w.Body)
	// Output:
	// https://crm.example.com/.well-known/oauth-protected-resource
	// {"authorization_servers":["https://boundary.example"],"bearer_methods_supported":["header"],"resource":"https://crm.example.com/","scopes_supported":["cases:read"]}
}

// A boundary in another process is reached over HTTP, with the credential of the API's own registration.
func ExampleNewRemote() {
	remote, err := verify.NewRemote(verify.RemoteConfig{
		URL: "https://boundary.example", Credential: verify.Secret("crm", "the secret of the API's registration"),
	})
	if err != nil {
		log.Fatal(err)
	}
	v, err := verify.New(verify.Config{
		Issuer: "https://boundary.example", Resource: "https://crm.example.com/", JWKSURI: "https://boundary.example/jwks.json",
		Boundary: remote, FeedLost: verify.FailClosed,
	})
	fmt.Println(err)
	fmt.Println(v.State().Known) // Run has to follow the feed first
	// Output:
	// <nil>
	// false
}
