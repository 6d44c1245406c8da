package peers

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

type answer = httptest.ResponseRecorder

// opStorage is a storage in memory that knows one client and can exchange tokens. What else the provider could ask for is
// not there.
type opStorage struct {
	op.Storage
	key    opKey
	digest [sha256.Size]byte
	mu     sync.Mutex
	tokens map[string]opToken
}

// opToken is what is kept of an issued token, as in the library's example.
type opToken struct {
	client, subject  string
	audience, scopes []string
	expires          time.Time
}

func newOPStorage(key *ecdsa.PrivateKey) *opStorage {
	return &opStorage{key: opKey{key}, digest: sha256.Sum256([]byte(secret)), tokens: map[string]opToken{}}
}

// opKey signs; its public half verifies.
type opKey struct{ *ecdsa.PrivateKey }

func (k opKey) ID() string                                  { return "k1" }
func (k opKey) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.ES256 }
func (k opKey) Key() any                                    { return k.PrivateKey }

type opPublicKey struct{ opKey }

func (k opPublicKey) Algorithm() jose.SignatureAlgorithm { return jose.ES256 }
func (k opPublicKey) Use() string                        { return "sig" }
func (k opPublicKey) Key() any                           { return k.Public() }

func (s *opStorage) SigningKey(context.Context) (op.SigningKey, error) { return s.key, nil }

func (s *opStorage) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{jose.ES256}, nil
}

func (s *opStorage) KeySet(context.Context) ([]op.Key, error) {
	return []op.Key{opPublicKey{s.key}}, nil
}

func (s *opStorage) AuthorizeClientIDSecret(_ context.Context, id, presented string) error {
	if id != client || !equal(s.digest[:], presented) {
		return oidc.ErrInvalidClient()
	}
	return nil
}

func (s *opStorage) GetClientByClientID(_ context.Context, id string) (op.Client, error) {
	if id != client {
		return nil, errors.New("no such client")
	}
	return opClient{}, nil
}

// ValidateTokenExchangeRequest narrows the request to the scopes of the subject token.
func (s *opStorage) ValidateTokenExchangeRequest(_ context.Context, r op.TokenExchangeRequest) error {
	text, _ := r.GetExchangeSubjectTokenClaims()["scope"].(string)
	held := strings.Fields(text)
	var granted []string
	for _, s := range r.GetScopes() {
		if slices.Contains(held, s) {
			granted = append(granted, s)
		}
	}
	if len(granted) == 0 {
		return oidc.ErrInvalidScope()
	}
	r.SetCurrentScopes(granted)
	return nil
}

// CreateTokenExchangeRequest keeps nothing of the request.
func (s *opStorage) CreateTokenExchangeRequest(context.Context, op.TokenExchangeRequest) error {
	return nil
}

// GetPrivateClaimsFromTokenExchangeRequest says what was granted, and who acts.
func (s *opStorage) GetPrivateClaimsFromTokenExchangeRequest(_ context.Context, r op.TokenExchangeRequest) (map[string]any, error) {
	return map[string]any{"scope": strings.Join(r.GetScopes(), " "), "act": map[string]any{"sub": r.GetClientID()}}, nil
}

// SetUserinfoFromTokenExchangeRequest is for ID tokens, which are not asked for.
func (s *opStorage) SetUserinfoFromTokenExchangeRequest(context.Context, *oidc.UserInfo, op.TokenExchangeRequest) error {
	return errors.New("no ID tokens here")
}

func (s *opStorage) CreateAccessToken(_ context.Context, r op.TokenRequest) (string, time.Time, error) {
	id, expires := rand.Text(), time.Now().Add(5*time.Minute)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[id] = opToken{client, r.GetSubject(), r.GetAudience(), r.GetScopes(), expires}
	return id, expires, nil
}

// opClient is the one client. What a browser would need is not there.
type opClient struct{ op.Client }

func (opClient) GetID() string                       { return client }
func (opClient) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeJWT }
func (opClient) ClockSkew() time.Duration            { return 0 }
func (opClient) GrantTypes() []oidc.GrantType        { return []oidc.GrantType{oidc.GrantTypeTokenExchange} }
func (opClient) AuthMethod() oidc.AuthMethod         { return oidc.AuthMethodBasic }
func (opClient) IsScopeAllowed(string) bool          { return true }
func (opClient) RestrictAdditionalAccessTokenScopes() func([]string) []string {
	return func(scopes []string) []string { return scopes }
}
