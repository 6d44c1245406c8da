package verify_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/store/memory"
	"github.com/tokenboundary/tokenboundary/verify"
)

// A resource asks for more than a valid token: a refund needs a user who has just used a second factor.
func ExampleStepUp() {
	ctx := context.Background()
	clk := clock.NewMock()
	clk.Set(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	verifier, token := issued(ctx, clk)

	claims, err := verifier.Verify(ctx, token)
	if err != nil {
		log.Fatal(err) // 401, invalid_token
	}
	refunds := verify.StepUp{ACR: []string{"aal2"}, MaxAge: 2 * time.Minute}
	fmt.Println(refunds.Check(claims, clk.Now()))

	clk.Add(3 * time.Minute)
	err = refunds.Check(claims, clk.Now())
	var insufficient *verify.InsufficientAuthenticationError
	if errors.As(err, &insufficient) {
		fmt.Println("401", insufficient.Challenge()) // as WWW-Authenticate
	}
	fmt.Println(verify.StepUp{}.Check(claims, clk.Now()))
	// Output:
	// <nil>
	// 401 Bearer error="insufficient_user_authentication", error_description="More recent authentication is required", acr_values="aal2", max_age="120"
	// verify: StepUp requires nothing, or what no challenge can say
}

// issued returns a token of somebody who has just authenticated, and what verifies it.
func issued(ctx context.Context, clk clock.Clock) (*mint.Verifier, string) {
	const issuer, resource = "https://boundary.example", "https://crm.example.com/"
	dir, err := os.MkdirTemp("", "keys")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // an example
	m, err := mint.Open(ctx, mint.Config{Issuer: issuer, Store: memory.New(), Dir: dir, Clock: clk})
	if err != nil {
		log.Fatal(err)
	}
	kid, err := m.Key(ctx)
	if err != nil {
		log.Fatal(err)
	}
	record := lineage.IDOf([]byte("the envelope of the token's record")).String()
	token, err := m.Mint(ctx, tokenboundary.Claims{
		Issuer: issuer, Subject: "alice", ClientID: "desk", Audience: tokenboundary.Audience{resource}, Scope: "refunds:write",
		IssuedAt: clk.Now().Unix(), ExpiresAt: clk.Now().Add(5 * time.Minute).Unix(), ID: record, Grant: record,
		AuthTime: clk.Now().Unix(), ACR: "aal2", Key: kid,
	})
	if err != nil {
		log.Fatal(err)
	}
	jwks, err := m.JWKS(ctx)
	if err != nil {
		log.Fatal(err)
	}
	v, err := mint.NewVerifier(mint.VerifierConfig{Issuer: issuer, Audience: resource, JWKS: jwks, Clock: clk})
	if err != nil {
		log.Fatal(err)
	}
	return v, token
}
