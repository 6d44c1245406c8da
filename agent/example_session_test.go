package agent_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/agent"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

const exampleResource = "https://crm.example.com/"

// exampleConfig is a task at a boundary in this process, which lets the client "bot" read and write cases for alice.
func exampleConfig(ctx context.Context) agent.Config {
	const issuer = "https://boundary.example"
	state := memory.New()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	minter, err := mint.Open(ctx, mint.Config{Issuer: issuer, Store: state, Signer: key})
	if err != nil {
		log.Fatal(err)
	}
	g, err := tokenboundary.New(tokenboundary.Config{
		Issuer: issuer, Store: state, Minter: minter,
		Identities: []tokenboundary.IdentitySource{signOn{}},
		Clients: tokenboundary.ClientMap{"bot": {
			ID: "bot", Kind: tokenboundary.KindAgent, Connections: []string{"crm"},
			Grants: []tokenboundary.Grant{tokenboundary.Exchange, tokenboundary.ClientCredentials},
		}},
		Policy: tokenboundary.PolicyFunc(func(_ context.Context, f tokenboundary.Facts) (tokenboundary.Verdict, error) {
			return grants(f), nil
		}),
	})
	if err != nil {
		log.Fatal(err)
	}
	return agent.Config{
		Boundary: agent.Local{Governor: g, Client: func(context.Context) (tokenboundary.Credential, error) {
			return tokenboundary.Credential{Verified: &tokenboundary.Principal{Party: lineage.Party{ID: "bot"}}}, nil
		}},
		Task: tokenboundary.TaskSpec{Purpose: "triage", Authority: []lineage.Access{
			{Resource: exampleResource, Scopes: []string{"cases:read", "cases:write"}},
		}},
	}
}

// signOn is an identity source that knows alice's token.
type signOn struct{}

func (signOn) Identify(_ context.Context, c tokenboundary.Credential) (tokenboundary.Principal, error) {
	if c.Value != "alice may do everything" {
		return tokenboundary.Principal{}, tokenboundary.ErrNotMine
	}
	return tokenboundary.Principal{
		Party: lineage.Party{ID: "alice", Issuer: "https://sso.example", Kind: "human"}, Session: lineage.Session{Kind: "human"},
		Identity: true, Issued: time.Now(), Expires: time.Now().Add(time.Hour),
	}, nil
}

// A session is one task: it has tokens for its calls, and none when it is over.
func ExampleStart() {
	ctx, done := context.WithCancel(context.Background())
	s, err := agent.Start(ctx, exampleConfig(ctx))
	if err != nil {
		log.Fatal(err)
	}
	read := agent.Call{Tool: "lookup", Resource: exampleResource, Scopes: []string{"cases:read"}}
	token, err := s.Token(ctx, read)
	fmt.Println(token.TokenType, err)

	_, err = s.Token(ctx, agent.Call{Resource: exampleResource, Scopes: []string{"cases:read", "cases:delete"}})
	var missing *agent.InsufficientScopeError
	fmt.Println(errors.As(err, &missing), err)

	done()
	_, err = s.Token(context.Background(), read)
	fmt.Println(errors.Is(err, agent.ErrEnded))
	fmt.Println(s.Complete(context.Background())) // waits until the boundary knows
	// Output:
	// Bearer <nil>
	// true agent: "cases:delete" was not granted for "https://crm.example.com/"
	// true
	// <nil>
}

// A broad token is exchanged at the boundary and never leaves the wrapper.
func ExampleWrap() {
	ctx := context.Background()
	broad := oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "alice may do everything"})
	s, err := agent.Wrap(ctx, broad, tokenboundary.TypeJWT, exampleConfig(ctx))
	if err != nil {
		log.Fatal(err)
	}
	defer s.Complete(ctx) //nolint:errcheck // an example
	source := s.TokenSource(ctx, agent.Call{Resource: exampleResource, Scopes: []string{"cases:read"}})
	token, err := source.Token() // as any code that knows oauth2 does
	fmt.Println(token.AccessToken != "alice may do everything", err)
	// Output: true <nil>
}

// An http.Client gets the token of each call: the resource by where the request goes, the scopes by the tool's Call.
func ExampleSession_Transport() {
	ctx := context.Background()
	api := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Println(r.URL.Path, strings.Fields(r.Header.Get("Authorization"))[0])
	}))
	defer api.Close()
	cfg := exampleConfig(ctx)
	cfg.Task.Authority[0].Resource = api.URL + "/"
	s, err := agent.Start(ctx, cfg)
	if err != nil {
		log.Fatal(err)
	}
	defer s.Complete(ctx) //nolint:errcheck // an example
	transport, err := s.Transport(nil, agent.Rules{Allow: []agent.Rule{{URL: api.URL + "/"}}})
	if err != nil {
		log.Fatal(err)
	}
	client := &http.Client{Transport: transport}
	for _, url := range []string{api.URL + "/cases", "https://elsewhere.example/cases"} {
		r, err := http.NewRequestWithContext(agent.WithCall(ctx, agent.Call{Tool: "lookup", Scopes: []string{"cases:read"}}), "GET", url, nil)
		if err != nil {
			log.Fatal(err)
		}
		resp, err := client.Do(r)
		if err != nil {
			fmt.Println(errors.Is(err, tokenboundary.ErrDenied), err)
			continue
		}
		_ = resp.Body.Close()
	}
	// Output:
	// /cases Bearer
	// true Get "https://elsewhere.example/cases": agent: "elsewhere.example" is not a place to send tokens to: tokenboundary: denied
}

// The boundary may be another process: everything else stays the same.
func ExampleRemote() {
	ctx := context.Background()
	cfg := exampleConfig(ctx)
	cfg.Boundary = agent.Remote{Issuer: "http://boundary.example", Auth: exchange.Basic("bot", "a long random secret")}
	_, err := agent.Start(ctx, cfg)
	fmt.Println(errors.Is(err, tokenboundary.ErrUnavailable)) // a secret is not sent over plain http
	// Output: true
}

// Whoever makes requests for a tool reads what the tool is about to do from the context.
func ExampleWithCall() {
	ctx := agent.WithCall(context.Background(), agent.Call{Tool: "lookup", Scopes: []string{"cases:read"}})
	call, found := agent.CallFrom(ctx)
	fmt.Println(call.Tool, call.Scopes, found)
	// Output: lookup [cases:read] true
}

// A suspended session has no tokens until it is resumed.
func ExampleSession_Suspend() {
	ctx := context.Background()
	s, err := agent.Start(ctx, exampleConfig(ctx))
	if err != nil {
		log.Fatal(err)
	}
	defer s.Complete(ctx) //nolint:errcheck // an example
	read := agent.Call{Resource: exampleResource, Scopes: []string{"cases:read"}}
	fmt.Println(s.Suspend(ctx))
	_, err = s.Token(ctx, read)
	fmt.Println(errors.Is(err, agent.ErrSuspended))
	fmt.Println(s.Resume(ctx))
	_, err = s.Token(ctx, read)
	fmt.Println(err)
	// Output:
	// <nil>
	// true
	// <nil>
	// <nil>
}

// exampleOps is an operator of the boundary.
var exampleOps = tokenboundary.Client{ID: "ops", Kind: tokenboundary.KindOperator}
