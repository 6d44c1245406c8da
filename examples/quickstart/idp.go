package main

import (
	"net/http"
	"time"
)

// idp is a tiny identity provider: one key, published over HTTP, and ID tokens signed with it.
type idp struct {
	key    key
	issuer string
}

func startIDP(h *host) (*idp, error) {
	k, err := newKey("idp-1", "sig", "JWT")
	if err != nil {
		return nil, err
	}
	jwks, err := k.jwks()
	if err != nil {
		return nil, err
	}
	url, err := h.serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(jwks)
	}))
	return &idp{k, url}, err
}

func (p *idp) jwksURI() string { return p.issuer + "/jwks.json" }

// login returns the ID token of somebody who has just proved a second factor.
func (p *idp) login(person, session, audience string) (string, error) {
	now := time.Now()
	return p.key.sign(map[string]any{
		"iss": p.issuer, "sub": person, "aud": audience,
		"iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
		"auth_time": now.Unix(), "acr": "aal2", "amr": []string{"pwd", "otp"}, "sid": session,
	})
}
