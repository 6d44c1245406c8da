package peers

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/storage"
	"github.com/ory/fosite/token/jwt"

	"github.com/tokenboundary/tokenboundary/bench/cases"
	"github.com/tokenboundary/tokenboundary/bench/suite"
)

// sha256Hasher stands in for fosite's bcrypt, which would take longer than everything else together by far. A secret is
// random here, and needs no slow hash.
type sha256Hasher struct{}

// Compare implements fosite.Hasher.
func (sha256Hasher) Compare(_ context.Context, hash, data []byte) error {
	if !equal(hash, string(data)) {
		return errors.New("wrong secret")
	}
	return nil
}

// Hash implements fosite.Hasher.
func (sha256Hasher) Hash(_ context.Context, data []byte) ([]byte, error) {
	sum := sha256.Sum256(data)
	return sum[:], nil
}

// openFosite measures the grant client_credentials with a JWT access token (ES256) and the memory store that comes with
// the library. fosite has no token exchange: nothing is verified here but the secret, so that its base is one signature.
// It keeps the token by its signature; there is no policy beyond the scopes that the client is registered with.
func openFosite(string) (*suite.Instance, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte(secret))
	store := storage.NewMemoryStore()
	store.Clients[client] = &fosite.DefaultClient{
		ID: client, Secret: digest[:], GrantTypes: fosite.Arguments{"client_credentials"}, Scopes: fosite.Arguments{"cases:read"},
		Audience: fosite.Arguments{crm},
	}
	config := &fosite.Config{
		AccessTokenLifespan: 5 * time.Minute, AccessTokenIssuer: issuer, ClientSecretsHasher: sha256Hasher{},
		GlobalSecret: digest[:], ScopeStrategy: fosite.ExactScopeStrategy, SendDebugMessagesToClients: false,
	}
	keys := func(context.Context) (any, error) { return key, nil }
	strategy := compose.NewOAuth2JWTStrategy(keys, compose.NewOAuth2HMACStrategy(config), config)
	h := fositeHandler(compose.Compose(config, store, strategy, compose.OAuth2ClientCredentialsGrantFactory))
	return fositeInstance(h, key), nil
}

// fositeHandler is the token endpoint as the library's documentation writes it.
func fositeHandler(provider fosite.OAuth2Provider) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		session := &oauth2.JWTSession{
			JWTClaims: &jwt.JWTClaims{
				Subject: client, Issuer: issuer, Audience: []string{crm}, IssuedAt: time.Now(), Extra: map[string]any{"client_id": client},
			},
			JWTHeader: &jwt.Headers{Extra: map[string]any{"kid": "k1", "typ": "at+jwt"}},
		}
		request, err := provider.NewAccessRequest(ctx, r, session)
		if err != nil {
			provider.WriteAccessError(ctx, w, request, err)
			return
		}
		for _, s := range request.GetRequestedScopes() {
			request.GrantScope(s)
		}
		response, err := provider.NewAccessResponse(ctx, request)
		if err != nil {
			provider.WriteAccessError(ctx, w, request, err)
			return
		}
		provider.WriteAccessResponse(ctx, w, request, response)
	})
}

func fositeInstance(h http.Handler, key *ecdsa.PrivateKey) *suite.Instance {
	form := func(scope string) string { return "grant_type=client_credentials&scope=" + url.QueryEscape(scope) }
	return &suite.Instance{
		Op: func(int) error {
			return cases.Expect(cases.Post(h, "/token", client, secret, form("cases:read")), http.StatusOK)
		},
		Check: func() error {
			raw, err := cases.AccessToken(cases.Post(h, "/token", client, secret, form("cases:read")))
			if err != nil {
				return err
			}
			claims, err := cases.Verify(raw, key.Public())
			if err != nil || claims["sub"] != client || claims["jti"] == nil || claims["scp"] == nil && claims["scope"] == nil {
				return fmt.Errorf("not a token of the client: %v %w", claims, err)
			}
			return nil
		},
		Refuse: func() error {
			return errors.Join(
				cases.Refused(cases.Post(h, "/token", client, "not "+secret, form("cases:read")), http.StatusUnauthorized, "invalid_client"),
				cases.Refused(cases.Post(h, "/token", client, secret, form("cases:write")), http.StatusBadRequest, "invalid_scope"),
			)
		},
	}
}
