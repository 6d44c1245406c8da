package main

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/endpoint"
	"github.com/tokenboundary/tokenboundary/identity"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

const broadToken = "alice-may-do-everything" // opaque; of this run alone

// signOn stands for the company's single sign-on: it knows alice's token, and what that is good for.
type signOn struct{}

// Identify implements tokenboundary.IdentitySource.
func (signOn) Identify(_ context.Context, c tokenboundary.Credential) (tokenboundary.Principal, error) {
	if c.Type != tokenboundary.TypeJWT || c.Value != broadToken {
		return tokenboundary.Principal{}, tokenboundary.ErrNotMine
	}
	return tokenboundary.Principal{
		Party:    lineage.Party{ID: "alice", Issuer: "https://sso.example", Kind: "human"},
		Session:  lineage.Session{Kind: "human", ID: "session-7"},
		Identity: true, Issued: time.Now(), Expires: time.Now().Add(8 * time.Hour),
	}, nil
}

// startBoundary starts a boundary for one agent, in memory.
func startBoundary(ctx context.Context, key crypto.Signer) (*httptest.Server, error) {
	server := httptest.NewUnstartedServer(nil)
	issuer := "http://" + server.Listener.Addr().String()
	state := memory.New()
	keys, err := mint.Open(ctx, mint.Config{Issuer: issuer, Store: state, Signer: key})
	if err != nil {
		return nil, err
	}
	clients, err := identity.Clients(identity.ClientsConfig{Issuer: issuer, Clients: []identity.ClientAuth{
		{ID: "bot", Secret: secret}, {ID: "crm", Secret: "the long secret of the crm"},
	}})
	if err != nil {
		return nil, err
	}
	g, err := tokenboundary.New(tokenboundary.Config{
		Issuer: issuer, Store: state, Minter: keys, Policy: tokenboundary.PolicyFunc(decide),
		Identities: []tokenboundary.IdentitySource{clients, signOn{}},
		Clients: tokenboundary.ClientMap{
			"bot": {
				ID: "bot", Kind: tokenboundary.KindAgent, Connections: []string{"crm"},
				Grants: []tokenboundary.Grant{tokenboundary.Exchange},
			},
			"crm": {ID: "crm", Kind: tokenboundary.KindOperator},
		},
	})
	if err != nil {
		return nil, err
	}
	if server.Config.Handler, err = endpoint.New(g, endpoint.Config{JWKS: keys.JWKS}); err != nil {
		return nil, err
	}
	server.Start()
	return server, nil
}

// decide grants an agent what it asks for, for five minutes, within what it has. A real boundary has policies.
func decide(_ context.Context, f tokenboundary.Facts) (tokenboundary.Verdict, error) {
	v := tokenboundary.Verdict{
		Effect: tokenboundary.Allow, Path: "/bot", Version: "1", Resources: f.Resources,
		Lifetime: 5 * time.Minute, Depth: 1, Derivations: 20,
	}
	for _, r := range f.Resources {
		a := lineage.Access{Resource: r}
		for _, s := range f.Scopes {
			if f.Ceiling == nil || f.Ceiling.Covers(lineage.Authority{Access: []lineage.Access{{Resource: r, Scopes: []string{s}}}}) {
				a.Scopes = append(a.Scopes, s)
				v.Reasons = append(v.Reasons, lineage.Reason{Resource: r, Scope: s, Granted: true, Rule: "/bot#all"})
			}
		}
		if len(a.Scopes) == 0 {
			return tokenboundary.Verdict{Code: tokenboundary.CodeInvalidScope}, nil
		}
		v.Access = append(v.Access, a)
	}
	return v, nil
}

// introspect asks the boundary for the scopes of a token (RFC 7662).
func introspect(ctx context.Context, issuer, token string) (string, error) {
	form := url.Values{"token": {token}}.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, issuer+"/introspect", strings.NewReader(form))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("crm", url.QueryEscape("the long secret of the crm"))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	var state struct {
		Active bool   `json:"active"`
		Scope  string `json:"scope"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&state); err != nil || !state.Active {
		return "", errors.New("not active")
	}
	return state.Scope, nil
}
