// Agent shows how a program that has a broad token works with narrow ones. Everything runs in this process, over HTTP on
// loopback: a boundary, the API of a CRM, and an agent with two tasks.
//
//	go run ./examples/agent
//
// The agent has alice's token of the company's single sign-on, good for everything. It wraps it: for each request that a
// task makes, the boundary gives a token for that API and what the call needs, and when the task is over its tokens are dead.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"golang.org/x/oauth2"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/agent"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/lineage"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

const secret = "the long secret of the bot" // made for this run alone

func run(ctx context.Context, out io.Writer) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	boundary, err := startBoundary(ctx, key)
	if err != nil {
		return err
	}
	defer boundary.Close()
	crm := startCRM(boundary.URL)
	defer crm.Close()

	// What the agent has: a token for everything. It goes to the boundary, and nowhere else.
	broad := oauth2.StaticTokenSource(&oauth2.Token{AccessToken: broadToken})
	start := func(ctx context.Context, purpose string) (*agent.Session, error) {
		return agent.Wrap(ctx, broad, tokenboundary.TypeJWT, agent.Config{
			Boundary: agent.Remote{Issuer: boundary.URL, Auth: exchange.Basic("bot", secret)},
			Task: tokenboundary.TaskSpec{Purpose: purpose, Authority: []lineage.Access{
				{Resource: crm.URL + "/", Scopes: []string{"cases:read", "cases:write"}},
			}},
		})
	}
	tasks := map[string]*http.Client{}
	triage, done := context.WithCancel(ctx)
	defer done()
	for purpose, ctx := range map[string]context.Context{"triage": triage, "report": ctx} {
		s, err := start(ctx, purpose)
		if err != nil {
			return err
		}
		defer s.Complete(context.WithoutCancel(ctx)) //nolint:errcheck // the boundary ends with this program
		t, err := s.Transport(nil, agent.Rules{Allow: []agent.Rule{{URL: crm.URL + "/", Scopes: []string{"cases:read"}}}})
		if err != nil {
			return err
		}
		tasks[purpose] = &http.Client{Transport: t}
	}

	call := func(task, what string, scopes ...string) error {
		method, path, _ := strings.Cut(what, " ")
		ctx := agent.WithCall(ctx, agent.Call{Tool: "crm", Scopes: scopes})
		r, err := http.NewRequestWithContext(ctx, method, crm.URL+path, nil)
		if err != nil {
			return err
		}
		resp, err := tasks[task].Do(r)
		if err != nil {
			return tell(out, task, what, err)
		}
		defer resp.Body.Close() //nolint:errcheck // read only
		body, err := io.ReadAll(resp.Body)
		if err == nil {
			_, err = fmt.Fprintf(out, "%s: %s: %s\n", task, what, body)
		}
		return err
	}
	err = errors.Join(
		call("triage", "GET /cases"),
		call("triage", "POST /cases", "cases:write"),
		call("triage", "DELETE /cases", "cases:delete"), // the broad token could
		call("report", "GET /cases"),
	)
	done() // the end of the task's context completes the task
	return errors.Join(err, call("triage", "GET /cases"), call("report", "GET /cases"))
}

// tell prints why a call was not made.
func tell(out io.Writer, task, what string, err error) error {
	why := ""
	switch {
	case errors.Is(err, agent.ErrEnded):
		why = "the task is over"
	case errors.Is(err, tokenboundary.ErrDenied):
		why = "refused by the boundary, before the call"
	default:
		return err
	}
	_, err = fmt.Fprintf(out, "%s: %s: %s\n", task, what, why)
	return err
}

// startCRM starts an API that asks the boundary about each token, and answers with what it may do.
func startCRM(issuer string) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		scope, err := introspect(r.Context(), issuer, token)
		if err != nil || token == broadToken {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = fmt.Fprintf(w, "served with %s", scope)
	}))
}
