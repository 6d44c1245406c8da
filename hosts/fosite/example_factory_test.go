package fosite_test

import (
	"context"
	"fmt"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/storage"

	tb "github.com/tokenboundary/tokenboundary"
	governed "github.com/tokenboundary/tokenboundary/hosts/fosite"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

// A provider whose tokens a boundary decides. Factory comes last.
func Example_factory() {
	boundary, err := tb.New(tb.Config{
		Issuer: "https://auth.example.com", Store: memory.New(), Clients: tb.ClientMap{},
		Policy: tb.PolicyFunc(func(context.Context, tb.Facts) (tb.Verdict, error) { return tb.Verdict{}, nil }),
	})
	if err != nil {
		panic(err)
	}
	b, err := governed.New(governed.Config{
		Governor: boundary, Operator: tb.Client{ID: "ops", Kind: tb.KindOperator},
		Session: func() fosite.Session { return &oauth2.JWTSession{} },
	})
	if err != nil {
		panic(err)
	}
	config := &fosite.Config{GlobalSecret: []byte("a secret of thirty-two characters")}
	strategy := &compose.CommonStrategy{CoreStrategy: compose.NewOAuth2JWTStrategy(
		func(context.Context) (any, error) { return key, nil }, compose.NewOAuth2HMACStrategy(config), config)}
	provider := compose.Compose(config, storage.NewMemoryStore(), strategy,
		compose.OAuth2ClientCredentialsGrantFactory, compose.OAuth2RefreshTokenGrantFactory, compose.OAuth2TokenIntrospectionFactory,
		b.Factory)
	fmt.Println(provider != nil)
	// Output: true
}
