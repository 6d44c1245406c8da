package mint_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

// A Mint signs what a Governor has decided and recorded; a resource server that has the JWKS verifies it.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "keys")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // an example
	now := clock.NewMock()
	now.Set(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))

	m, err := mint.Open(ctx, mint.Config{
		Issuer: "https://boundary.example", Store: memory.New(), Dir: dir, Clock: now,
	})
	if err != nil {
		log.Fatal(err)
	}
	kid, err := m.Key(ctx)
	if err != nil {
		log.Fatal(err)
	}
	record := lineage.IDOf([]byte("the envelope of the token's record")).String()
	token, err := m.Mint(ctx, tokenboundary.Claims{
		Issuer: "https://boundary.example", Subject: "alice", ClientID: "support-bot",
		Audience: tokenboundary.Audience{"https://crm.example.com/"}, Scope: "cases:read",
		IssuedAt: now.Now().Unix(), ExpiresAt: now.Now().Add(5 * time.Minute).Unix(),
		ID: record, Grant: record, Key: kid,
	})
	if err != nil {
		log.Fatal(err)
	}

	jwks, err := m.JWKS(ctx) // a server that publishes it is named by VerifierConfig.URI instead
	if err != nil {
		log.Fatal(err)
	}
	v, err := mint.NewVerifier(mint.VerifierConfig{
		Issuer: "https://boundary.example", Audience: "https://crm.example.com/", JWKS: jwks, Clock: now,
	})
	if err != nil {
		log.Fatal(err)
	}
	claims, err := v.Verify(ctx, token)
	fmt.Println(claims.Subject, claims.Scope, err)

	now.Add(time.Hour)
	_, err = v.Verify(ctx, token)
	fmt.Println(err)
	// Output:
	// alice cases:read <nil>
	// mint: not an acceptable token: expired
}
