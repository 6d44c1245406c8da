package crash

import (
	"context"
	"errors"
	"fmt"
	"time"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// op is one operation of a script. What it works on and what it makes have names.
type op struct {
	Kind   string
	In     string   `json:",omitempty"` // what it works on
	Out    string   `json:",omitempty"` // what it makes
	Client string   `json:",omitempty"`
	Who    string   `json:",omitempty"` // a person
	Scopes []string `json:",omitempty"`
	Once   string   `json:",omitempty"` // the single-use id of the caller's credential
	Budget uint64   `json:",omitempty"`
	At     time.Time
}

func (o op) String() string {
	out := o.Kind
	for _, s := range []string{o.In, o.Client, o.Who} {
		if s != "" {
			out += " " + s
		}
	}
	if o.Once != "" {
		out += " once"
	}
	if o.Out != "" {
		out += " → " + o.Out
	}
	return out
}

// made is what came of an operation: what its caller holds afterwards.
type made struct {
	ID      lineage.ID `json:",omitzero"`
	Task    lineage.ID `json:",omitzero"`
	Token   string     `json:",omitempty"`
	Refresh string     `json:",omitempty"`
	Code    string     `json:",omitempty"`
	// Unrecorded is a refusal that could not be recorded, and came with nothing to spend.
	Unrecorded bool   `json:",omitempty"`
	Handle     string `json:",omitempty"` // of a token that the host minted, and
	Who        string `json:",omitempty"` // its subject
}

func madeOf(t tb.Token) made {
	return made{ID: t.ID, Task: t.TaskID, Token: t.Value(), Refresh: t.RefreshValue()}
}

// do makes a node carry out an operation. What is in the operation's name is in held.
func (n *node) do(ctx context.Context, o op, held map[string]made) (made, error) {
	n.clock.Set(o.At)
	in := held[o.In]
	caller := n.client(o.Client, o.Once)
	switch o.Kind {
	case "issue", "exchange", "derive", "start", "refresh", "poll":
		t, err := n.Issue(ctx, n.request(o, in, caller))
		return madeOf(t), err
	case "defer", "deny":
		return n.refusal(ctx, o, n.request(o, in, caller))
	case "record":
		return n.record(ctx, o, caller)
	case "report":
		use := tb.Use{Token: in.ID, At: o.At, Scopes: []string{"read"}, Count: 3}
		receipt, err := n.ReportUsage(ctx, api, []tb.Use{use, use})
		if err == nil && receipt.Accepted != 2 {
			err = fmt.Errorf("accepted: %+v", receipt)
		}
		return made{}, err
	}
	return made{}, n.change(ctx, o, in)
}

// change carries out an operation that makes nothing.
func (n *node) change(ctx context.Context, o op, in made) error {
	who := ops
	switch o.Kind {
	case "approve", "refuse":
		who = lead
	case "retire":
		who = clients()[o.Client]
	}
	by, err := n.operator(ctx, who, o.Once)
	if err != nil {
		return err
	}
	switch o.Kind {
	case "revoke":
		sel := lineage.Selector{Kind: lineage.SelectToken, Value: in.ID.String()}
		if o.Who != "" {
			sel = lineage.Selector{Kind: lineage.SelectSubject, Value: o.Who}
		}
		_, err = n.Revoke(ctx, by, lineage.Revocation{Selector: sel, Reason: "test"})
	case "retire":
		err = n.Retire(ctx, by, in.Refresh)
	case "suspend", "resume", "complete":
		to := map[string]tb.TaskState{"suspend": tb.TaskSuspended, "resume": tb.TaskActive, "complete": tb.TaskCompleted}[o.Kind]
		var t tb.Task
		if t, err = n.SetTask(ctx, by, in.Task, to); err == nil && t.State != to {
			err = fmt.Errorf("the task is %s", t.State)
		}
	case "approve", "refuse":
		_, err = n.Approve(ctx, by, in.ID, o.Kind == "approve")
	case "signal":
		var out tb.Outcome
		out, err = n.Signal(ctx, by, tb.Signal{Selector: lineage.Selector{Kind: lineage.SelectSubject, Value: o.Who}, Risk: "high"})
		if err == nil && !out.Complete {
			err = errors.New("the signal is not complete")
		}
	default:
		err = fmt.Errorf("no such operation: %s", o.Kind)
	}
	return err
}

// request is what a client asks for in an operation.
func (n *node) request(o op, in made, caller tb.Credential) tb.Request {
	req := tb.Request{Grant: tb.Exchange, Client: caller, Resource: []string{crm}, Scopes: o.Scopes}
	switch o.Kind {
	case "issue", "deny":
		req.Grant = tb.ClientCredentials
	case "exchange", "defer", "start":
		req.Subject, req.Deferrable = n.human(o.Who), o.Kind == "defer"
	case "derive":
		req.Subject = subject(in)
	case "refresh":
		req.Grant, req.Subject = tb.Refresh, tb.Credential{Type: tb.TypeRefreshToken, Value: in.Refresh}
		req.Resource, req.Scopes = nil, nil
	case "poll":
		req.Grant, req.Subject = tb.Deferred, tb.Credential{Type: tb.TypeDeferralCode, Value: in.Code}
		req.Resource, req.Scopes = nil, nil
	}
	if o.Kind == "start" {
		budget := o.Budget
		req.Task = &tb.TaskSpec{Purpose: "triage", MaxDerivations: &budget}
	}
	return req
}

// subject is the token that something is derived from: ours, or one that the host minted for a decision of ours.
func subject(in made) tb.Credential {
	if in.Handle != "" {
		return tb.Credential{Type: tb.TypeAccessToken, Verified: &tb.Principal{Party: person(in.Who), Handle: in.Handle}}
	}
	return tb.Credential{Type: tb.TypeAccessToken, Value: in.Token}
}

// refusal asks for what is not granted at once.
func (n *node) refusal(ctx context.Context, o op, req tb.Request) (made, error) {
	_, err := n.Issue(ctx, req)
	var no *tb.DeniedError
	switch {
	case !errors.As(err, &no):
		return made{}, fmt.Errorf("not refused: %w", err)
	case o.Kind == "defer" && no.Decision.Code == tb.CodeAuthorizationPending:
		return made{ID: no.Decision.ID, Code: no.Decision.Deferral.Value()}, nil
	case o.Kind == "deny" && no.Decision.Code == tb.CodeInvalidScope:
		return made{ID: no.Decision.ID, Unrecorded: no.Decision.ID.IsZero()}, nil
	}
	return made{}, err
}

// record has a host mint for a decision.
func (n *node) record(ctx context.Context, o op, caller tb.Credential) (made, error) {
	req := n.request(op{Kind: "exchange", Who: o.Who, Scopes: o.Scopes}, made{}, caller)
	req.Enforce = tb.CapScopes | tb.CapResources | tb.CapLifetime | tb.CapRecord
	d, err := n.Decide(ctx, req)
	if err != nil || d.Effect != tb.Allow {
		return made{}, fmt.Errorf("decide: %v %s %w", d.Effect, d.Code, err)
	}
	handle := "host-" + o.Out
	return made{ID: d.ID, Handle: handle, Who: o.Who}, n.Record(ctx, d, tb.HostToken{Handle: handle})
}
