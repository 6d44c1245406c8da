package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// trial is something that must be refused, beside its twin: the same with one thing put right, which must be granted.
type trial struct {
	what, line string
	by         string
	ask        ask
	code       tokenboundary.Code
	why        string // what the operator reads in the record, if it hangs below the task; the client never sees it

	twin     string
	twinBy   string
	twinFrom exchange.Result
}

func (s *story) trials() []trial {
	return []trial{
		{"a wider scope", "crm-tool asks for contacts:read, which its token lacks",
			crmTool, from(s.lookUp.Value(), crm, "contacts:read"),
			tokenboundary.CodeInvalidScope, "not held by what it is made from",
			"the researcher's token has it", crmTool, s.research},
		{"another audience", "researcher asks for mail, which its token is not for",
			researcher, from(s.research.Value(), mail, "messages:send"),
			tokenboundary.CodeInvalidTarget, "outside what it is made from",
			"the task covers mail", researcher, s.triage},
		{"a loop", "orchestrator, a delegate of the tool, asks with the tool's token",
			orchestrator, from(s.lookUp.Value(), crm, "cases:read"),
			tokenboundary.CodeInvalidRequest, "the actor stands deeper in the chain already",
			"its own token leads there without a loop", orchestrator, s.triage},
		{"a stolen token", "billing-bot, whom no rule names, asks with the tool's token",
			billing, from(s.lookUp.Value(), crm, "cases:read"),
			tokenboundary.CodeInvalidRequest, "",
			"the tool itself may", crmTool, s.lookUp},
		{"nobody's token", "crm-tool asks with what the boundary never signed",
			crmTool, from("no.such.token", crm, "cases:read"),
			tokenboundary.CodeInvalidRequest, "",
			"its own token is one", crmTool, s.lookUp},
	}
}

// refuse tries what must not work. The client learns an OAuth error code and no more.
func (s *story) refuse(ctx context.Context) error {
	for _, t := range s.trials() {
		_, err := s.agents[t.by].exchange(ctx, t.ask)
		if err := refusedAs(t.what, err, http.StatusBadRequest, t.code); err != nil {
			return err
		}
		more := []string{}
		if t.why != "" {
			if err := s.onRecord(ctx, t); err != nil {
				return err
			}
			more = append(more, "on record: "+t.why)
		}
		twin := t.ask
		twin.subject.Value = t.twinFrom.Value()
		if _, err := s.agents[t.twinBy].exchange(ctx, twin); err != nil {
			return fmt.Errorf("%s, put right: %w", t.what, err)
		}
		s.ok(t.what, fmt.Sprintf("%s → %s", t.line, t.code), append(more, "put right: "+t.twin+" → granted")...)
	}
	return s.replay(ctx)
}

// refusedAs expects an error answer of the token endpoint.
func refusedAs(what string, err error, status int, code tokenboundary.Code) error {
	var refused *exchange.Error
	switch {
	case err == nil:
		return differs(what, "a token", code)
	case !errors.As(err, &refused):
		return fmt.Errorf("%s: %w", what, err)
	case refused.Code != string(code) || refused.Status != status:
		return differs(what, refused, strconv.Itoa(status)+" "+string(code))
	}
	return nil
}

// onRecord looks for the denial where the operator would: below the task.
func (s *story) onRecord(ctx context.Context, t trial) error {
	nodes, err := s.records(ctx, "/lineage/"+s.triage.TaskID+"/tree")
	if err != nil {
		return err
	}
	for _, n := range nodes {
		b := n.Record.Body
		if n.State != lineage.Denied || b == nil || b.Client != t.by || b.Code != string(t.code) {
			continue
		}
		for _, r := range b.Reasons {
			if strings.HasPrefix(r.Why, t.why) {
				return nil
			}
		}
	}
	return differs(t.what+" on record", "no such denial", t.why)
}

// replay sends one client assertion twice.
func (s *story) replay(ctx context.Context) error {
	once, err := assertion(s.issuer(), orchestrator, s.key)
	if err != nil {
		return err
	}
	again := newAgent(s.issuer(), orchestrator, exchange.Assertion(func(context.Context) (string, error) { return once, nil }))
	q := from(s.triage.Value(), mail, "messages:send")
	if _, err := again.exchange(ctx, q); err != nil {
		return fmt.Errorf("the first use of an assertion: %w", err)
	}
	_, err = again.exchange(ctx, q)
	if err := refusedAs("a replayed assertion", err, http.StatusUnauthorized, tokenboundary.Code(exchange.CodeInvalidClient)); err != nil {
		return err
	}
	s.ok("a replayed assertion", "the orchestrator's, good once, comes a second time → invalid_client",
		"put right: the first time → granted")
	return nil
}
