package lineage

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestALeaseIsHeldBySomebodyForSomething: it has a holder and something above it, and nothing else has the terms of one.
func TestALeaseIsHeldBySomebodyForSomething(t *testing.T) {
	for why, spoil := range map[string]func(*Envelope, *Body){
		"of nobody":         func(_ *Envelope, b *Body) { b.Lease = nil },
		"a lease of nobody": func(_ *Envelope, b *Body) { b.Lease = &Lease{Deliver: true} },
		"or for nothing":    func(e *Envelope, _ *Body) { e.Parents, e.Ancestors, e.Grant = nil, nil, ID{} },
		"client or subject": func(_ *Envelope, b *Body) { b.Subject = Party{} },
		"expires before":    func(e *Envelope, _ *Body) { e.ExpiresAt = time.Time{} },
	} {
		env, body := leaseParts()
		mustSeal(t, env, body)
		spoil(&env, &body)
		_, err := Seal(env, body)
		require.ErrorContains(t, err, why)
	}
	for kind, parts := range map[Kind]func() (Envelope, Body){
		KindToken: rootParts, KindTask: taskParts, KindGrant: grantParts, KindApproval: approvalParts,
	} {
		env, body := parts()
		mustSeal(t, env, body)
		body.Lease = &Lease{By: "legacy-broker"}
		_, err := Seal(env, body)
		require.ErrorContains(t, err, "the terms of a lease in something else", kind)
	}
	env, body := rootParts()
	env.Kind, body.Lease = KindDenial, &Lease{By: "legacy-broker", Deliver: true}
	mustSeal(t, env, body) // a lease that was refused
}

// TestALeaseBelongsToTheTaskOfItsToken: by its ancestors, as everything does.
func TestALeaseBelongsToTheTaskOfItsToken(t *testing.T) {
	task := mustSeal(t, first(taskParts()), second(taskParts()))
	token := mustSeal(t, first(childParts(task)), second(childParts(task)))
	env, body := leaseOf(token)
	require.Equal(t, task.ID(), mustSeal(t, env, body).TaskID())
	terms := *body.Task
	terms.ID = mustID(9)
	body.Task = &terms
	_, err := Seal(env, body)
	require.ErrorContains(t, err, "does not descend from")
}

// TestVerifyChainOfALease: it narrows from what the token is good for, not from what may be derived from it, and nothing
// but the denial of itself descends from it.
func TestVerifyChainOfALease(t *testing.T) {
	task := mustSeal(t, first(taskParts()), second(taskParts()))
	env, body := childParts(task)
	body.Granted = grant(3, env.ExpiresAt, "cases:read") // the task may do more
	token := mustSeal(t, env, body)
	line := []Record{task, token}
	lease := mustSeal(t, first(leaseOf(token)), second(leaseOf(token)))
	require.NoError(t, VerifyChain(lease.ID(), append(slices.Clone(line), lease)))

	env, body = leaseOf(token)
	body.Granted = grant(3, env.ExpiresAt, "cases:read", "contacts:read")
	more := mustSeal(t, env, body)
	require.ErrorContains(t, VerifyChain(more.ID(), append(slices.Clone(line), more)), "exceeds the authority")
	env, body = leaseOf(token)
	env.ExpiresAt = env.ExpiresAt.Add(time.Second)
	late := mustSeal(t, env, body)
	require.ErrorContains(t, VerifyChain(late.ID(), append(slices.Clone(line), late)), "outlives an ancestor")

	env, body = childParts(lease)
	body.Lease = nil
	below := mustSeal(t, env, body)
	line = append(line, lease)
	require.ErrorContains(t, VerifyChain(below.ID(), append(slices.Clone(line), below)), "descends from a lease")
	env.Kind, env.ExpiresAt, body.Granted = KindDenial, time.Time{}, Authority{}
	withdrawn := mustSeal(t, env, body)
	require.NoError(t, VerifyChain(withdrawn.ID(), append(slices.Clone(line), withdrawn)))
}

func TestWriteTreeOfLeases(t *testing.T) {
	task := mustSeal(t, first(taskParts()), second(taskParts()))
	token := mustSeal(t, first(childParts(task)), second(childParts(task)))
	kept := mustSeal(t, first(leaseOf(token)), second(leaseOf(token)))
	env, body := leaseOf(token)
	body.Lease = &Lease{By: "legacy broker", Deliver: true}
	shown := mustSeal(t, env, body)
	nodes := []Node{{Record: token, State: Active}, {Record: kept, State: Active}, {Record: shown, State: Revoked}}
	var out strings.Builder
	require.NoError(t, WriteTree(&out, nodes))
	require.Equal(t, strings.TrimPrefix(`
token TOKEN…  active  until 12:05:00  alice  via support-bot
├─ lease KEPT…  active  until 12:05:00  alice  via support-bot
│     held by legacy-broker
└─ lease SHOWN…  revoked  until 12:05:00  alice  via support-bot
      held by "legacy broker", to be delivered
`, "\n"), short(out.String(), nodes, "TOKEN", "KEPT", "SHOWN"))
}
