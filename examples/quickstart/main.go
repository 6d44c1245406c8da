// Quickstart tells the story of one task from login to revocation, over real HTTP and with nothing to install:
//
//	go run ./examples/quickstart
//
// Alice asks an orchestrating agent to triage a case. The agent starts a task, hands a part of it to a sub-agent, and
// that one hands a part of its part to a tool. Whatever any of them tries beyond it is refused when the token is asked
// for, and when the task is done, everything made for it is dead. The program exits with a status other than zero if a
// single step is not exactly as expected.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart: not as expected:", err)
		stop()
		os.Exit(1)
	}
}

// story is the stage, and what is handed from one chapter to the next.
type story struct {
	narrator
	people    *idp
	workloads *spire
	agents    map[string]*agent
	key       key // of the orchestrator
	crm, mail *api

	login, svid    string
	triage, refund exchange.Result // task tokens
	research       exchange.Result // of the researcher
	lookUp         exchange.Result // of the CRM tool
	answer         exchange.Result // of the orchestrator, for mail
}

// run tells the story on out. It leaves nothing behind.
func run(ctx context.Context, out io.Writer) (err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	h, err := newHost()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	s := &story{narrator: narrator{out: out}}
	if err := s.stage(ctx, h); err != nil {
		return err
	}
	for _, c := range []struct {
		title string
		tell  func(context.Context) error
	}{
		{"Alice logs in; the orchestrator proves which workload it is", s.logIn},
		{"The orchestrator starts two tasks for her", s.start},
		{"Three hops, each narrower than the one before", s.delegate},
		{"Each API accepts only its own token, for what it says", s.use},
		{"Refused when the token is asked for, and recorded", s.refuse},
		{"The task ends, and with it everything made for it", s.end},
		{"Where the tool's token came from", s.trace},
	} {
		s.chapter(c.title)
		if err := c.tell(ctx); err != nil {
			return fmt.Errorf("chapter %d: %w", s.chapters, err)
		}
	}
	_, err = fmt.Fprintf(out, "\nquickstart: %d steps, all as expected\n", s.steps)
	return err
}

// stage starts everybody.
func (s *story) stage(ctx context.Context, h *host) (err error) {
	if s.people, err = startIDP(h); err != nil {
		return err
	}
	if s.workloads, err = newSpire(h.dir); err != nil {
		return err
	}
	if s.key, err = newKey("orchestrator-1", "sig", "JWT"); err != nil {
		return err
	}
	public, err := s.key.jwks()
	if err != nil {
		return err
	}
	keys := filepath.Join(h.dir, "orchestrator.jwks.json")
	if err := os.WriteFile(keys, public, 0o600); err != nil {
		return err
	}
	boundary, err := startSTS(ctx, h, s.people, s.workloads, keys)
	if err != nil {
		return err
	}
	s.agents = map[string]*agent{orchestrator: withKey(boundary.issuer, orchestrator, s.key)}
	for id, secret := range boundary.secrets {
		s.agents[id] = withSecret(boundary.issuer, id, secret)
	}
	if s.crm, err = startAPI(h, s.agents[crmAPI], crm, crmRoutes); err != nil {
		return err
	}
	s.mail, err = startAPI(h, s.agents[mailAPI], mail, mailRoutes)
	return err
}

func (s *story) issuer() string { return s.agents[orchestrator].issuer }

const session = "session-7" // of Alice, at the identity provider

func (s *story) logIn(context.Context) (err error) {
	if s.login, err = s.people.login("alice", session, s.issuer()); err != nil {
		return err
	}
	s.ok("ID token", "sub alice   acr aal2   sid "+session, "by "+s.people.issuer+", for the boundary")
	if s.svid, err = s.workloads.svid(orchestratorPath, s.issuer()); err != nil {
		return err
	}
	s.ok("JWT-SVID", "sub spiffe://"+trustDomain+orchestratorPath)
	return nil
}

// start starts the tasks. Each is granted whole or not at all, and its token is good for deriving only.
func (s *story) start(ctx context.Context) (err error) {
	type access struct {
		Resource string   `json:"resource"`
		Scopes   []string `json:"scopes"`
	}
	task := func(purpose string, authority ...access) (exchange.Result, error) {
		token, err := s.agents[orchestrator].exchange(ctx, ask{
			subject: tokenboundary.Credential{Type: tokenboundary.TypeIDToken, Value: s.login},
			actor:   tokenboundary.Credential{Type: tokenboundary.TypeJWT, Value: s.svid},
			task: map[string]any{
				"type": "task", "purpose": purpose, "expires_in": 900, "max_derivations": 10, "authority": authority,
			},
		})
		if err != nil {
			return token, fmt.Errorf("task %s: %w", purpose, err)
		}
		if token.TaskID == "" {
			return token, differs("task "+purpose, "no task_id", "one")
		}
		return token, s.holds("task token: "+purpose, token, content{
			"alice", "spiffe://" + trustDomain + orchestratorPath, s.issuer(), "", 10 * time.Minute,
		})
	}
	if s.triage, err = task("triage",
		access{crm, []string{"cases:read", "contacts:read", "cases:write"}}, access{mail, []string{"messages:send"}},
	); err != nil {
		return err
	}
	s.refund, err = task("refund", access{crm, []string{"cases:read", "refunds:write"}})
	return err
}

// delegate hands the work down. Every hop is one token exchange; subject and session stay, the actor chain grows.
func (s *story) delegate(ctx context.Context) error {
	above := "spiffe://" + trustDomain + orchestratorPath
	for _, hop := range []struct {
		by   string
		from *exchange.Result
		to   *exchange.Result
		want content
		ask  []string
	}{
		{researcher, &s.triage, &s.research,
			content{"alice", "researcher ← " + above, crm, "cases:read contacts:read", 5 * time.Minute},
			[]string{"cases:read", "contacts:read"}},
		{crmTool, &s.research, &s.lookUp,
			content{"alice", "crm-tool ← researcher ← " + above, crm, "cases:read", time.Minute},
			[]string{"cases:read"}},
		{orchestrator, &s.triage, &s.answer, // the holder itself joins no chain
			content{"alice", above, mail, "messages:send", 2 * time.Minute},
			[]string{"messages:send"}},
	} {
		token, err := s.agents[hop.by].exchange(ctx, from(hop.from.Value(), hop.want.audience, hop.ask...))
		if err != nil {
			return fmt.Errorf("%s: %w", hop.by, err)
		}
		if err := s.holds(hop.by, token, hop.want); err != nil {
			return err
		}
		*hop.to = token
	}
	return nil
}
