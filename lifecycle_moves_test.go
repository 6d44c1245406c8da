package tokenboundary_test

import (
	"fmt"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// move is something that can happen. It is made in the world and in the model, requires that both say the same, and
// returns what came of it; empty where there was nothing to make it with.
type move struct {
	name   string
	weight int
	make   func(*history) string
}

// moves stands in the list as often as it weighs.
var moves = func() (all []move) {
	for _, m := range []move{
		{"login", 9, (*history).login}, {"client", 2, (*history).itself}, {"derive", 32, (*history).deriveOne},
		{"refresh", 18, (*history).refreshOne}, {"poll", 8, (*history).pollOne}, {"approve", 7, (*history).approveOne},
		{"task", 13, (*history).turnTask}, {"retire", 2, (*history).retireOne}, {"cut", 3, (*history).cutOne},
		{"block", 1, (*history).block}, {"lift", 12, (*history).lift}, {"risk", 3, (*history).signalRisk},
		{"assurance", 1, (*history).signalAssurance}, {"env", 2, (*history).signalEnv}, {"ended", 1, (*history).endSession},
		{"freeze inside", 15, (*history).freezeInside}, {"blocked operator", 2, (*history).blockOperator},
		{"policy", 5, (*history).replacePolicy}, {"reloaded", 2, (*history).signalReloaded},
		{"wait", 7, (*history).wait}, {"restart", 1, (*history).restartAny},
	} {
		for range m.weight {
			all = append(all, m)
		}
	}
	return all
}()

// token asks for a token, with random wishes: in the words of the model, which answers, and in those of the boundary.
func (h *history) token(q ask, subject tb.Credential, answers func(ask) answer) string {
	q.connection, q.deferrable, q.scopes = some(h, []string{"prod", "prod", "prod", "test"}), h.chance(65), h.scopes(4)
	req := tb.Request{Grant: q.grant, Client: h.as(q.client), Subject: subject, Connection: q.connection, Deferrable: q.deferrable}
	if h.chance(35) || q.parent != nil && q.parent.stands && h.chance(40) {
		q, req.Task = h.withTask(q)
	}
	if req.Scopes = q.scopes; len(q.scopes) > 0 {
		req.Resource = []string{crm}
	}
	h.note("%s %s %v deferrable=%v", q.client, q.connection, q.scopes, q.deferrable)
	got, refresh := h.issue(req, h.told(q.client, q.parent, answers(q)))
	h.keepRefresh(got, refresh)
	return got
}

// withTask makes it start a task as well.
func (h *history) withTask(q ask) (ask, *tb.TaskSpec) {
	spec := &tb.TaskSpec{Purpose: "work", ExpiresIn: time.Duration(1+h.rnd.IntN(15)) * time.Minute}
	q.task = &askedTask{deadline: h.now.Add(spec.ExpiresIn), budget: mostDerived}
	if h.chance(35) {
		budget := uint64(h.rnd.IntN(4))
		spec.MaxDerivations, q.task.budget = &budget, budget
	}
	if h.chance(40) {
		q.whole = h.scopes(2 + h.rnd.IntN(3))
		spec.Authority = []lineage.Access{{Resource: crm, Scopes: q.whole}}
		if h.chance(30) {
			q.scopes = nil // good for deriving only
		}
	}
	h.note("task for %s, %d derivations, %v:", spec.ExpiresIn, q.task.budget, q.whole)
	return q, spec
}

// keepRefresh gives the refresh token that came with a token to the family, which is the one above it.
func (h *history) keepRefresh(got, refresh string) {
	if got != "ok" {
		return
	}
	f := h.nodes[len(h.nodes)-1].parent
	if f == nil || f.kind != lineage.KindGrant {
		require.Empty(h, refresh)
		return
	}
	require.NotEmpty(h, refresh)
	require.NotContains(h, f.issued, refresh)
	f.issued = append(f.issued, refresh)
}

// login is the authority of a person, who logged in now or a minute ago, with the session that she had or a new one.
func (h *history) login() string {
	person, client := some(h, []string{"ann", "bob", "cyd"}), some(h, agents)
	if h.sessions[person] == 0 || h.chance(40) {
		h.sessions[person]++
	}
	subject, since := h.human(person), h.now.Add(-time.Duration(h.rnd.IntN(2))*time.Minute)
	p := subject.Verified
	p.Issued, p.Session.AuthTime, p.Session.ID = since, since, fmt.Sprint(person, "-", h.sessions[person])
	q := ask{grant: tb.Exchange, client: client, subject: person, session: p.Session.ID, since: since, chain: []string{client}}
	return h.token(q, subject, h.model.decide)
}

// itself is a client's own authority.
func (h *history) itself() string {
	client := some(h, agents)
	q := ask{grant: tb.ClientCredentials, client: client, subject: client, since: h.now}
	return h.token(q, tb.Credential{}, h.model.decide)
}

func (h *history) deriveOne() string {
	p := h.deep(lineage.KindToken)
	if p == nil {
		return ""
	}
	client := some(h, append(slices.Clone(agents), p.client, "tool", "tool"))
	h.note("from %s", h.say(p))
	q := ask{grant: tb.Exchange, client: client, parent: p}
	got := h.token(q, tb.Credential{Type: tb.TypeAccessToken, Value: p.value}, h.model.derive)
	if got == "ok" && client != p.client {
		h.seen["derive: by a delegate"]++
	}
	if got == "ok" && len(p.tasks()) > 1 {
		h.seen["derive: in a task inside a task"]++
	}
	return got
}

// refreshOne uses a refresh token of a family: mostly the current one, by its client.
func (h *history) refreshOne() string {
	f := h.node(lineage.KindGrant)
	if f == nil {
		return ""
	}
	client, last := f.client, len(f.issued)-1
	i := max(0, last-some(h, []int{0, 0, 0, 0, 1, 1, 2}))
	if h.chance(15) {
		client = some(h, []string{"orchestrator", "tool"})
	}
	var scopes []string
	if len(keep(f.scopes, renewable)) > 0 && h.chance(40) {
		scopes = h.scopes(3)
	}
	what := []string{"current", "previous", "older"}[last-i]
	h.note("%s of %s by %s %v", what, h.say(f), client, scopes)
	subject, alive := tb.Credential{Type: tb.TypeRefreshToken, Value: f.issued[i]}, h.lives(f)
	got, refresh := h.issue(tb.Request{Grant: tb.Refresh, Client: h.as(client), Scopes: scopes, Subject: subject},
		h.told(client, f, h.model.refresh(client, f, i, scopes)))
	switch {
	case got == "ok" && i == last:
		h.keepRefresh(got, refresh)
	case got == "ok":
		require.Equal(h, f.issued[i+1], refresh, "at most one successor")
	case alive && !h.lives(f):
		h.seen["refresh: reuse ends the family"]++
	case alive && client != f.client:
		h.seen["refresh: a stranger"]++
	}
	return what + " " + got
}

// waiting returns a request that waits, or has just lapsed; seldom one that was answered or is dead. Those that are long
// over may be forgotten.
func (h *history) waiting() *node {
	over := h.chance(20)
	var all []*node
	for _, n := range h.nodes {
		if n.wait != "" && (n.wait == "released" || h.stateOf(n) == lineage.Revoked) == over && h.now.Before(n.expires.Add(2*leeway)) {
			all = append(all, n)
		}
	}
	return some(h, all)
}

func (h *history) pollOne() string {
	w := h.waiting()
	if w == nil {
		return ""
	}
	client := some(h, append(slices.Clone(agents), slices.Repeat([]string{w.client}, 20)...))
	h.note("%s by %s", h.say(w), client)
	req := tb.Request{Grant: tb.Deferred, Client: h.as(client), Subject: tb.Credential{Type: tb.TypeDeferralCode, Value: w.value}}
	want := h.model.poll(client, w)
	if client == w.client {
		want = h.told(client, w, want)
	}
	got, refresh := h.issue(req, want)
	h.keepRefresh(got, refresh)
	return got
}

// leads may approve. They stand for one person.
func leads(person string) tb.Client {
	return tb.Client{ID: "lead", Kind: tb.KindOperator, Groups: []string{"leads"}, Person: person}
}

func (h *history) approveOne() string {
	w := h.waiting()
	if w == nil {
		return ""
	}
	person, to := some(h, []string{"eve", "eve", "eve", "ann"}), some(h, []string{"approved", "approved", "approved", "refused"})
	h.note("%s by %s", h.say(w), person)
	want := h.model.approve(person, w, to)
	_, got := h.Approve(h.ctx, leads(person), w.id, to == "approved")
	return to + " " + h.call(want, got)
}

// deputy is an operator that can be blocked; ops, who lifts blocks, is not.
var deputy = tb.Client{ID: "deputy", Kind: tb.KindOperator}

var operators = []string{ops.ID, deputy.ID}

// caller returns a client, or an operator, or anybody.
func (h *history) caller(client string) tb.Client {
	switch {
	case h.chance(30):
		return some(h, []tb.Client{ops, deputy})
	case h.chance(25):
		return h.client(some(h, agents))
	}
	return h.client(client)
}

// turnTask lets somebody change the state of a task. What is suspended is mostly resumed: sometimes just when the policy
// or the task around it has become one that does not let it.
func (h *history) turnTask() string {
	t := h.deep(lineage.KindTask)
	if t == nil {
		return ""
	}
	by, to := h.caller(t.client), tb.TaskActive
	if t.state != tb.TaskSuspended || h.chance(25) {
		to = some(h, []tb.TaskState{
			tb.TaskSuspended, tb.TaskSuspended, tb.TaskSuspended, tb.TaskActive, tb.TaskCompleted, tb.TaskRevoked,
		})
	} else if !h.strict && h.chance(40) {
		h.replacePolicy()
	}
	if around := t.tasks()[1:]; len(around) > 0 && h.chance(60) {
		h.turn(around[0], ops, tb.TaskSuspended)
		if by = ops; h.lives(t) && t.state == tb.TaskSuspended && to == tb.TaskActive {
			h.seen["task: active inside a suspended one"]++
		}
	}
	return h.turn(t, by, to)
}

func (h *history) turn(t *node, by tb.Client, to tb.TaskState) string {
	h.note("%s by %s", h.say(t), by.ID)
	want := h.model.setTask(by.ID, t, to)
	_, got := h.SetTask(h.ctx, by, t.id, to)
	return string(to) + " " + h.call(want, got)
}

// freezeInside suspends a task, freezes the tenant, and resumes the task: it comes back without what tool has made of it.
func (h *history) freezeInside() string {
	for _, n := range h.nodes {
		if n.client != "tool" || n.kind != lineage.KindToken || h.stateOf(n) != lineage.Active || len(n.tasks()) == 0 {
			continue
		}
		if t := n.tasks()[0]; t.client != "tool" {
			h.turn(t, ops, tb.TaskSuspended)
			h.freeze(true)
			got := h.turn(t, ops, tb.TaskActive)
			h.freeze(false)
			return got
		}
	}
	return ""
}

// blockOperator blocks an operator, which then tries to change a task: nothing happens. It is let in again.
func (h *history) blockOperator() string {
	t := h.node(lineage.KindTask)
	if t == nil {
		return ""
	}
	name := name{lineage.SelectClient, deputy.ID}
	h.revokeName(name, lineage.Block)
	got := h.turn(t, deputy, some(h, []tb.TaskState{tb.TaskSuspended, tb.TaskActive, tb.TaskCompleted, tb.TaskRevoked}))
	h.revokeName(name, lineage.Lift)
	return got
}

func (h *history) retireOne() string {
	n := h.node(lineage.KindToken, lineage.KindGrant)
	if n == nil {
		return ""
	}
	by, raw := h.caller(n.client), n.value
	if n.kind == lineage.KindGrant {
		raw = some(h, n.issued)
	}
	h.note("%s by %s", h.say(n), by.ID)
	return string(n.kind) + " " + h.call(h.model.retire(by.ID, n), h.Retire(h.ctx, by, raw))
}

// named returns a name, of one of the kinds, that something bears; zero where nothing does.
func (h *history) named(kinds ...string) name {
	n := h.node(lineage.KindToken, lineage.KindToken, lineage.KindTask, lineage.KindGrant, lineage.KindApproval)
	if n == nil {
		return name{}
	}
	values := map[string]string{
		lineage.SelectToken: n.id.String(), lineage.SelectGrant: n.root().id.String(), lineage.SelectSubject: n.subject,
		lineage.SelectSession: n.session, lineage.SelectActor: some(h, n.chain), lineage.SelectClient: n.client,
		lineage.SelectConnection: n.connection, lineage.SelectPath: "/agents/" + n.client, lineage.SelectKey: n.key,
	}
	if t := n.tasks(); len(t) > 0 {
		values[lineage.SelectTask] = t[0].id.String()
	}
	if h.chance(25) {
		values[lineage.SelectSubject] = "eve" // who approves
	}
	if h.chance(40) {
		values[lineage.SelectClient] = some(h, []string{deputy.ID, "lead"})
	}
	kind := some(h, kinds)
	return name{kind, values[kind]}
}

func (x name) selector() lineage.Selector { return lineage.Selector{Kind: x.kind, Value: x.value} }

// revokeName revokes a name, and requires that the boundary counts what that has cut.
func (h *history) revokeName(what name, action lineage.Action) string {
	if what.value == "" {
		return ""
	}
	h.note("%s", what.selector())
	h.model.cutBy(what, action)
	h.world.revoke(what.selector().String(), action)
	if what == (name{lineage.SelectKey, h.key}) {
		h.key += "'" // the minter goes on with another one
	}
	if what.kind != lineage.SelectTask { // which may have been ended before
		got, err := h.Closure(h.ctx, ops, what.selector(), lineage.ID{})
		require.NoError(h, err)
		require.Equal(h, h.model.closure(what), got)
	}
	return what.kind
}

func (h *history) cutOne() string {
	return h.revokeName(h.named("token", "token", "token", "task", "grant", "session", "subject", "actor", "client",
		"connection", "path", "key"), lineage.Cut)
}

func (h *history) block() string {
	return h.revokeName(h.named("subject", "actor", "client", "connection", "path"), lineage.Block)
}

func (h *history) lift() string {
	for _, c := range h.cuts {
		if c.open {
			return h.revokeName(c.what, lineage.Lift)
		}
	}
	return ""
}

// signal requires that the boundary decides anew, and revokes, as much as the model.
func (h *history) signal(s tb.Signal, want tb.Outcome) string {
	h.Helper()
	got, err := h.Signal(h.ctx, ops, s)
	require.NoError(h, err)
	require.Equal(h, want, got)
	h.note("%d of %d", got.Revoked, got.Examined)
	if got.Revoked > 0 {
		return "revokes"
	}
	return "keeps"
}

func (h *history) signalRisk() string {
	about := h.named("session", "subject", "actor", "client")
	if about.value == "" {
		return ""
	}
	f := h.facts[about]
	if f.risk == "high" || h.chance(40) {
		f.risk = some(h, []string{"low", "unknown"})
	} else {
		f.risk = "high"
	}
	h.note("%s %s", about.selector(), f.risk)
	return h.signal(tb.Signal{Selector: about.selector(), Risk: f.risk}, h.model.learn(about, f))
}

func (h *history) signalAssurance() string {
	about := h.named("session")
	if about.value == "" {
		return ""
	}
	f := h.facts[about]
	f.acr, f.assured = some(h, []string{"aal1", "aal3"}), h.now
	h.note("%s %s", about.selector(), f.acr)
	return h.signal(tb.Signal{Selector: about.selector(), Assurance: &tb.Assurance{ACR: f.acr}}, h.model.learn(about, f))
}

func (h *history) endSession() string {
	about := h.named("session")
	if about.value == "" {
		return ""
	}
	h.note("%s", about.selector())
	h.model.cutBy(about, lineage.Cut)
	c := h.model.closure(about)
	cut := c.Tokens + c.Tasks + c.Families
	return h.signal(tb.Signal{Selector: about.selector(), Ended: true}, tb.Outcome{Examined: cut, Revoked: cut, Complete: true})
}

func (h *history) signalEnv() string {
	if len(h.nodes) == 0 {
		return ""
	}
	return h.freeze(h.chance(30))
}

func (h *history) freeze(to bool) string {
	h.note("frozen=%v", to)
	return h.signal(tb.Signal{Env: map[string]any{"frozen": to}}, h.model.freeze(to))
}

// replacePolicy puts the other policy set in force. What lives is not decided anew before that is signalled.
func (h *history) replacePolicy() string {
	h.strict = !h.strict
	return "ok"
}

func (h *history) signalReloaded() string {
	return h.signal(tb.Signal{Reloaded: true}, h.model.reload())
}

// wait lets time pass: some, or until exactly the moment at which something ends, or a second less.
func (h *history) wait() string {
	d := some(h, []time.Duration{time.Second, 3 * time.Second, 6 * time.Second, 20 * time.Second, 45 * time.Second, 4 * time.Minute})
	if n := h.node(lineage.KindToken, lineage.KindTask, lineage.KindGrant, lineage.KindApproval); n != nil && h.chance(40) {
		end := some(h, []time.Time{n.expires, n.expires, n.idle, n.rotated.Add(lifeGrace), n.polled.Add(n.interval)})
		if end = end.Add(-time.Duration(h.rnd.IntN(2)) * time.Second); end.After(h.now) {
			d = end.Sub(h.now)
		}
	}
	h.clock.Add(d)
	h.note("%s", d)
	return "ok"
}

// restartAny replaces a Governor by a new one, which remembers nothing.
func (h *history) restartAny() string {
	h.restartOne(h.rnd.IntN(2))
	return "ok"
}
