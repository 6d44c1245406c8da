package peers

import (
	"crypto/ecdsa"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/tokenboundary/tokenboundary/bench/cases"
	"github.com/tokenboundary/tokenboundary/bench/suite"
)

// openZitadel measures a token exchange (RFC 8693) at the library's own provider and router: an access token of the
// provider in, a narrower one out, both JWTs signed with ES256. The library verifies the subject token, the client's
// secret and the form; the storage, which every user of the library writes himself, narrows the scopes to those of the
// subject token and keeps the new token in a map. It has no policy, no lineage, no revocation and no cache of verified
// tokens, so that a token that was seen costs the same as one that was not.
func openZitadel(string) (*suite.Instance, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	provider, err := op.NewProvider(&op.Config{CryptoKey: [32]byte{1}}, newOPStorage(key), op.StaticIssuer(issuer),
		op.WithAccessTokenVerifierOpts(op.WithSupportedAccessTokenSigningAlgorithms("ES256")))
	if err != nil {
		return nil, err
	}
	subject, err := zitadelSubject(key)
	if err != nil {
		return nil, err
	}
	z := zitadel{h: provider, key: key, subject: subject}
	return &suite.Instance{
		Op:    func(int) error { return cases.Expect(z.post(secret, "cases:read", z.subject), http.StatusOK) },
		Check: z.check, Refuse: z.refuse,
	}, nil
}

// zitadelSubject is a token that the provider could have issued: a person's, for an agent, with two scopes.
func zitadelSubject(key *ecdsa.PrivateKey) (string, error) {
	now := time.Now()
	return cases.Sign(key, `{"alg":"ES256","kid":"k1","typ":"JWT"}`, map[string]any{
		"iss": issuer, "sub": "alice", "aud": []string{crm}, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": "subject",
		"client_id": client, "scope": "cases:read contacts:read",
		"sid": "session-alice", "auth_time": now.Unix(), "acr": "aal2", "amr": []string{"pwd", "otp"},
		"act": map[string]any{"sub": client},
	})
}

type zitadel struct {
	h       http.Handler
	key     *ecdsa.PrivateKey
	subject string
}

func (z zitadel) post(secret, scope, subject string) *answer {
	form := cases.ExchangeForm(string(oidc.AccessTokenType), "audience", crm, "scope", scope)
	return cases.Post(z.h, "/oauth/token", client, secret, form+subject)
}

func (z zitadel) check() error {
	raw, err := cases.AccessToken(z.post(secret, "cases:read contacts:write", z.subject))
	if err != nil {
		return err
	}
	claims, err := cases.Verify(raw, z.key.Public())
	act, _ := claims["act"].(map[string]any)
	if err != nil || claims["sub"] != "alice" || claims["scope"] != "cases:read" || act["sub"] != client || claims["jti"] == nil {
		return fmt.Errorf("not a narrowed token of a delegation: %v %w", claims, err)
	}
	return nil
}

func (z zitadel) refuse() error {
	return errors.Join(
		cases.Refused(z.post("not "+secret, "cases:read", z.subject), http.StatusUnauthorized, "invalid_client"),
		cases.Refused(z.post(secret, "contacts:write", z.subject), http.StatusBadRequest, "invalid_scope"),
		cases.Refused(z.post(secret, "cases:read", cases.Spoil(z.subject)), http.StatusBadRequest, "invalid_request"),
	)
}
