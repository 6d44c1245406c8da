package tokenboundary

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/state"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// Approval is a request that waits for somebody to agree: exactly what would be granted, and to whom.
type Approval struct {
	ID      lineage.ID      `json:"id"`
	Client  string          `json:"client"`
	Subject lineage.Party   `json:"subject"`
	Actors  []lineage.Party `json:"actors,omitempty"` // who would act, the current actor first
	// Session is what is known of the session behind the subject.
	Session    lineage.Session `json:"session"`
	Grant      Grant           `json:"grant"`
	Connection string          `json:"connection"`
	// Granted is what the token would carry, Audience where it would be good, and Lifetime how long at most.
	Granted  lineage.Authority `json:"granted"`
	Audience []string          `json:"audience"`
	Lifetime time.Duration     `json:"lifetime"`
	// Task is the task that the token would belong to; while its ID is zero, the one that would be started, with all that
	// it would be allowed to do.
	Task *lineage.Task `json:"task,omitempty"`
	// Groups are the groups that must agree: the approver belongs to all of them.
	Groups      []string  `json:"groups"`
	RequestedAt time.Time `json:"requested_at"`
	ExpiresAt   time.Time `json:"expires_at"`
	// Digest identifies exactly this request.
	Digest string `json:"digest"`
}

// Approvals returns what waits for an approval by the groups that by belongs to, oldest first. By must be an operator.
func (g *Governor) Approvals(ctx context.Context, by Client) ([]Approval, error) {
	if err := g.reads(ctx, by, KindOperator); err != nil {
		return nil, err
	}
	var out []Approval
	seen := map[lineage.ID]bool{}
	for _, group := range by.Groups {
		open, _, err := g.list(ctx, groupKey(group), g.latest())
		if err != nil {
			return nil, err
		}
		for _, d := range open {
			r := d.entry.Record
			if d.head.State != state.Pending || seen[r.ID()] || !g.decidable(d.entry) {
				continue
			}
			seen[r.ID()] = true
			if subset(groupsOf(r), by.Groups) {
				out = append(out, approvalOf(r))
			}
		}
	}
	slices.SortFunc(out, func(a, b Approval) int { return a.RequestedAt.Compare(b.RequestedAt) })
	return out, nil
}

// Approve agrees to a pending request, or refuses it for good. The first decision counts; a second one is ErrConflict,
// as is one on a request that has lapsed.
//
// By must be an operator that stands for a person (Client.Person), belongs to the groups that are asked, and takes no
// part in the request, neither itself nor the person; else ErrForbidden.
func (g *Governor) Approve(ctx context.Context, by Client, id lineage.ID, agree bool) (Approval, error) {
	if !by.is(KindOperator) {
		return Approval{}, g.answer(ctx, by, ErrForbidden)
	}
	event := state.Refuse
	if agree {
		event = state.Approve
	}
	for range attempts {
		r, err := g.approve(ctx, by, id, event)
		switch {
		case err == nil:
			return approvalOf(r), nil
		case !errors.Is(err, errStale):
			return Approval{}, g.answer(ctx, by, err)
		}
	}
	return Approval{}, g.answer(ctx, by, fmt.Errorf("%w: the request keeps changing", ErrConflict))
}

// approve tries to decide a pending request. It is errStale if the request has changed since it was read.
func (g *Governor) approve(ctx context.Context, by Client, id lineage.ID, event string) (lineage.Record, error) {
	d, err := g.waiting(ctx, id)
	if err != nil {
		return lineage.Record{}, err
	}
	r := d.entry.Record
	groups := groupsOf(r)
	to, open := state.Wait(d.head.State, event)
	switch {
	case by.Person == "" || len(groups) == 0 || !subset(groups, by.Groups) || takesPart(r, by):
		return r, ErrForbidden
	case !open || !g.decidable(d.entry):
		return r, fmt.Errorf("%w: the request is %s, or has lapsed", ErrConflict, d.head.State)
	}
	d.wait.By, d.wait.Person, d.wait.At = by.ID, by.Person, g.now()
	value, err := json.Marshal(d.wait)
	if err != nil {
		return r, unavailable("approval", err)
	}
	tx := g.tx(d.wait.At)
	tx.Swaps = []store.Swap{d.becomes(g, to, value)}
	tx.Unrevoked = []store.Unrevoked{d.wait.approver()}
	marks, err := g.cfg.Store.Revoked(ctx, g.cfg.Issuer, tx.Unrevoked[0].Selectors)
	if err != nil {
		return r, unavailable("store", err)
	}
	if slices.ContainsFunc(marks, func(m lineage.Mark) bool { return m.Kills(d.wait.At) }) {
		return r, ErrForbidden // blocked, or cut a moment ago
	}
	if err = g.change(ctx, by, tx); errors.Is(err, ErrConflict) {
		err = errStale
	}
	return r, err
}

// decidable reports whether a deferred request can still be agreed to: also while its task is suspended.
func (g *Governor) decidable(e store.Entry) bool {
	s := stateOf(e, g.latest())
	return s == lineage.Active || s == lineage.Suspended
}

// takesPart reports whether an operator, or the person it stands for, appears anywhere in what a request comes from: as
// subject, as actor or as client.
func takesPart(r lineage.Record, by Client) bool {
	kinds := []string{lineage.SelectSubject, lineage.SelectActor, lineage.SelectClient}
	return slices.ContainsFunc(r.Selectors(), func(s lineage.Selector) bool {
		return slices.Contains(kinds, s.Kind) && (s.Value == by.ID || s.Value == by.Person)
	})
}

// groupsOf returns the groups that must agree to a deferred request, sorted.
func groupsOf(r lineage.Record) []string {
	var out []string
	for _, o := range r.Body.Deferred.Wants {
		if o.Kind == obligeApproval {
			out = append(out, o.Args["by"])
		}
	}
	return sortedUnion(out, nil)
}

func subset(all, of []string) bool {
	return !slices.ContainsFunc(all, func(s string) bool { return !slices.Contains(of, s) })
}

func approvalOf(r lineage.Record) Approval {
	b := r.Body
	granted := b.Granted
	granted.NotAfter = time.Time{} // how long it is for, Lifetime says
	return Approval{
		ID: r.ID(), Client: b.Client, Subject: b.Subject, Actors: b.Actors, Session: b.Session, Grant: Grant(b.GrantType),
		Connection: b.Connection, Granted: granted, Audience: b.Audience, Lifetime: b.Deferred.Lifetime, Task: b.Task,
		Groups: groupsOf(r), RequestedAt: r.IssuedAt, ExpiresAt: r.ExpiresAt, Digest: b.Deferred.Digest,
	}
}
