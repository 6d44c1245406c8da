package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// end completes one of the two tasks and looks at what is left alive.
func (s *story) end(ctx context.Context) error {
	if err := s.answers(ctx, "the tool works", s.crm, "GET /cases", s.lookUp.Value(), http.StatusOK, "as long as the task goes on"); err != nil {
		return err
	}
	if err := s.alive(ctx, true); err != nil {
		return err
	}
	var task tokenboundary.Task
	path := "/tasks/" + s.triage.TaskID + "/complete"
	if err := s.agents[orchestrator].call(ctx, http.MethodPost, path, nil, &task); err != nil {
		return err
	}
	if task.State != tokenboundary.TaskCompleted || task.Purpose != "triage" || task.Derivations != 9 {
		return differs("the task", task, "triage, completed, 9 derivations")
	}
	s.ok("the task", fmt.Sprintf("orchestrator ends it: %s %s, after %d derivations", task.Purpose, task.State, task.Derivations))
	if err := s.alive(ctx, false); err != nil {
		return err
	}
	if err := s.answers(ctx, "the tool's token", s.crm, "GET /cases", s.lookUp.Value(), http.StatusUnauthorized, "dead at once"); err != nil {
		return err
	}
	_, err := s.agents[crmTool].exchange(ctx, from(s.lookUp.Value(), crm, "cases:read"))
	if err := refusedAs("deriving from it", err, http.StatusBadRequest, tokenboundary.CodeInvalidRequest); err != nil {
		return err
	}
	s.ok("deriving from it", "crm-tool asks for a new token with its old one → invalid_request")
	if err := s.sibling(ctx); err != nil {
		return err
	}
	return s.feed(ctx)
}

// alive asks the boundary about every token of the task: each API about those made out to it, the operator about the
// task token, which is for the boundary alone.
func (s *story) alive(ctx context.Context, want bool) error {
	for _, t := range []struct {
		what, by string
		token    exchange.Result
	}{
		{"the task token", ops, s.triage},
		{"the researcher's token", crmAPI, s.research},
		{"the tool's token", crmAPI, s.lookUp},
		{"the mail token", mailAPI, s.answer},
	} {
		got, err := s.agents[t.by].introspect(ctx, t.token.Value())
		if err != nil {
			return err
		}
		if got != want {
			return differs(t.what+" is active", got, want)
		}
		s.ok(t.what, fmt.Sprintf("%s introspects it → active: %t", t.by, got))
	}
	return nil
}

// sibling shows that the other task goes on.
func (s *story) sibling(ctx context.Context) error {
	active, err := s.agents[ops].introspect(ctx, s.refund.Value())
	if err != nil {
		return err
	}
	if !active {
		return differs("the sibling task's token is active", active, true)
	}
	s.ok("the sibling task", "ops introspects its token → active: true")
	token, err := s.agents[orchestrator].exchange(ctx, from(s.refund.Value(), crm, "refunds:write"))
	if err != nil {
		return fmt.Errorf("deriving from the sibling task: %w", err)
	}
	return s.answers(ctx, "and its derivations", s.crm, "POST /refunds", token.Value(), http.StatusOK, "the other task goes on")
}

// feed reads what resource servers are told: that ending the task was one write, whatever it killed.
func (s *story) feed(ctx context.Context) error {
	var feed struct {
		Entries []lineage.Revocation `json:"entries"`
	}
	if err := s.agents[crmAPI].call(ctx, http.MethodGet, "/revocations?after=0", nil, &feed); err != nil {
		return err
	}
	want := lineage.Selector{Kind: lineage.SelectTask, Value: s.triage.TaskID}
	if len(feed.Entries) != 1 || feed.Entries[0].Selector != want {
		return differs("the revocation feed", feed.Entries, "one entry for "+want.String())
	}
	s.ok("the revocation feed", fmt.Sprintf("crm-api reads one entry, one write: %.13s…", want))
	return nil
}
