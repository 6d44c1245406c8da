package identity_test

import (
	"context"
	"fmt"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/identity"
)

// A proof of possession is good for one request, once, and proves a key.
func ExampleDPoP() {
	now := clock.NewMock()
	now.Set(time.Unix(1562262620, 0))
	source, err := identity.DPoP(identity.DPoPConfig{Clock: now}) // goes into identity.Sources with the others
	if err != nil {
		panic(err)
	}
	cred := tokenboundary.Credential{
		Type: tokenboundary.TypeDPoP, Value: rfcProof, // the DPoP header of the request
		Method: "POST", URL: "https://server.example.com/token",
	}
	p, err := source.Identify(context.Background(), cred)
	fmt.Println(p.Key, err)

	cred.URL = "https://server.example.com/introspect"
	_, err = source.Identify(context.Background(), cred)
	fmt.Println(err)
	// Output:
	// 0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I <nil>
	// identity: proof is for another URL
}
