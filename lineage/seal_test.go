package lineage

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSealNormalises(t *testing.T) {
	env, body := taskParts()
	east := time.FixedZone("east", 3600)
	env.IssuedAt, env.ExpiresAt, env.Since = noon.Add(1).In(east), noon.Add(time.Hour+1).In(east), noon.Add(1).In(east)
	body.Session.AuthTime, body.Task.Deadline = noon.Add(1).In(east), noon.Add(1).In(east)
	body.Granted = Authority{Access: []Access{{"urn:b", []string{"w", "r", "w"}}, {"urn:a", nil}}, NotAfter: noon.Add(1).In(east), Depth: -1}
	body.Granted.Details = []json.RawMessage{json.RawMessage(`{ "type":"b" }`), json.RawMessage(`{"x":1,"type":"a"}`)}
	body.Task.Authority = &body.Granted
	body.Task.Context, body.Requested.Details = json.RawMessage(`{"b":1, "a":2}`), json.RawMessage(`null`)
	body.Selectors = []Selector{{SelectSubject, "b"}, {SelectSubject, "a"}, {SelectSubject, "b"}}
	before := text(t, body)

	r := mustSeal(t, env, body)
	require.Equal(t, before, text(t, body), "what the caller holds is left alone")
	require.Equal(t, noon, r.IssuedAt)
	require.Equal(t, noon.Add(time.Hour), r.ExpiresAt)
	require.Equal(t, noon, r.Since)
	require.Equal(t, noon, r.Body.Session.AuthTime)
	require.Equal(t, noon, r.Body.Task.Deadline)
	approval := &Approved{ID: mustID(1), At: noon.Add(1).In(east)}
	body.Approved = approval
	require.Equal(t, noon, mustSeal(t, env, body).Body.Approved.At)
	require.Equal(t, noon.Add(1).In(east), approval.At, "what the caller holds is left alone")
	want := Authority{Access: []Access{{"urn:b", []string{"r", "w"}}}, NotAfter: noon}
	want.Details = []json.RawMessage{json.RawMessage(`{"type":"a","x":1}`), json.RawMessage(`{"type":"b"}`)}
	require.Equal(t, want, r.Body.Granted)
	require.Equal(t, want, *r.Body.Task.Authority)
	require.Equal(t, `{"a":2,"b":1}`, string(r.Body.Task.Context))
	require.Nil(t, r.Body.Requested.Details)
	require.Equal(t, []Selector{{SelectSubject, "a"}, {SelectSubject, "b"}}, r.Body.Selectors)
}

func TestATaskRecordNeedsItsTerms(t *testing.T) {
	env, body := taskParts()
	mustSeal(t, env, body)
	for name, spoil := range map[string]func(*Body){
		"no task":      func(b *Body) { b.Task = nil },
		"no authority": func(b *Body) { b.Task = &Task{Purpose: "triage"} },
		"an id":        func(b *Body) { b.Task.ID = mustID(1) },
	} {
		env, body := taskParts()
		spoil(&body)
		_, err := Seal(env, body)
		require.ErrorContains(t, err, "a task without its terms", name)
	}
}

func TestOnlyAnApprovalWaits(t *testing.T) {
	waiting := second(approvalParts()).Deferred
	for kind, parts := range map[Kind]func() (Envelope, Body){
		KindToken: rootParts, KindTask: taskParts, KindGrant: grantParts, KindDenial: rootParts,
	} {
		env, body := parts()
		env.Kind = kind
		mustSeal(t, env, body)
		body.Deferred = waiting
		_, err := Seal(env, body)
		require.ErrorContains(t, err, "what it waits for", kind)
	}
	env, body := approvalParts()
	mustSeal(t, env, body)
	body.Deferred = nil
	_, err := Seal(env, body)
	require.ErrorContains(t, err, "what it waits for")
}

func TestGrantsAndApprovalsAreOfSomebody(t *testing.T) {
	for kind, parts := range map[Kind]func() (Envelope, Body){KindGrant: grantParts, KindApproval: approvalParts} {
		for why, spoil := range map[string]func(*Envelope, *Body){
			"no client or subject": func(_ *Envelope, b *Body) { b.Client = "" },
			"client or subject":    func(_ *Envelope, b *Body) { b.Subject = Party{} },
			"expires before":       func(e *Envelope, _ *Body) { e.ExpiresAt = time.Time{} },
		} {
			env, body := parts()
			spoil(&env, &body)
			_, err := Seal(env, body)
			require.ErrorContains(t, err, why, kind)
		}
	}
}

func TestATaskIsAboveItsTokensAndGrants(t *testing.T) {
	task := mustSeal(t, first(taskParts()), second(taskParts()))
	for _, kind := range []Kind{KindToken, KindGrant} {
		env, body := childParts(task)
		env.Kind = kind
		require.Equal(t, task.ID(), mustSeal(t, env, body).TaskID())
		body.Task.ID = mustID(9)
		_, err := Seal(env, body)
		require.ErrorContains(t, err, "does not descend from", kind)
		body.Task.ID = ID{}
		_, err = Seal(env, body)
		require.ErrorContains(t, err, "does not descend from", kind)
	}
}

// TestSelectorsOfAKind: a request that was refused or waits is no grant that could be revoked.
func TestSelectorsOfAKind(t *testing.T) {
	for kind, parts := range map[Kind]func() (Envelope, Body){
		KindToken: rootParts, KindTask: taskParts, KindGrant: grantParts, KindApproval: approvalParts, KindDenial: rootParts,
	} {
		env, body := parts()
		env.Kind = kind
		r := mustSeal(t, env, body)
		id := r.ID().String()
		require.Contains(t, r.Selectors(), Selector{SelectToken, id})
		require.Equal(t, kind != KindDenial && kind != KindApproval, slices.Contains(r.Selectors(), Selector{SelectGrant, id}), kind)
		require.Equal(t, kind == KindTask, slices.Contains(r.Selectors(), Selector{SelectTask, id}), kind)
	}
}

func TestSealRefusesWhatCannotBeReadBack(t *testing.T) {
	for name, spoil := range map[string]func(*Envelope, *Body){
		"invalid UTF-8":        func(_ *Envelope, b *Body) { b.Subject.ID = "a\xff" },
		"JSON that is none":    func(_ *Envelope, b *Body) { b.Requested.Details = json.RawMessage(`{`) },
		"a repeated member":    func(_ *Envelope, b *Body) { b.Requested.Details = json.RawMessage(`{"a":1,"a":1}`) },
		"a detail of null":     func(_ *Envelope, b *Body) { b.Granted.Details = []json.RawMessage{json.RawMessage(`null`)} },
		"an empty detail":      func(_ *Envelope, b *Body) { b.Granted.Details = []json.RawMessage{{}} },
		"a year of five":       func(e *Envelope, _ *Body) { e.ExpiresAt = noon.AddDate(10_000, 0, 0) },
		"too large a body":     func(_ *Envelope, b *Body) { b.Code = strings.Repeat("x", maxBody) },
		"too large a policy":   func(e *Envelope, _ *Body) { e.Policy = strings.Repeat("x", maxEnvelope) },
		"a selector of no id":  func(_ *Envelope, b *Body) { b.Selectors = []Selector{{SelectToken, "x"}} },
		"the zero selector":    func(_ *Envelope, b *Body) { b.Selectors = []Selector{{}} },
		"too many ancestors":   func(e *Envelope, _ *Body) { e.Ancestors = make([]ID, 17) },
		"an ID without issuer": func(e *Envelope, _ *Body) { e.Issuer = "" },
	} {
		env, body := rootParts()
		spoil(&env, &body)
		_, err := Seal(env, body)
		require.ErrorIs(t, err, errRecord, name)
	}
}
