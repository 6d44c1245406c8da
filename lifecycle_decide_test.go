package tokenboundary_test

import (
	"slices"
	"time"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// The limits of the world that the histories run in.
const (
	lifeToken, lifeTask, lifeFamily   = 5 * time.Minute, time.Hour, 30 * time.Minute
	lifeIdle, lifeGrace, lifeDeferral = 8 * time.Minute, 20 * time.Second, 10 * time.Minute
	leeway, patience                  = 5 * time.Second, 5 * time.Second
	mostActors, mostAbove             = 2, 16
	mostDerived, mostDeferred         = 20, 2
)

func refreshes(client string) bool { return client != "researcher" } // it is not registered for that grant

// ask is what a client asks for.
type ask struct {
	grant                                tb.Grant
	client, connection, subject, session string
	parent                               *node     // the token or family that is presented; nil: an identity
	since                                time.Time // how old that is
	chain                                []string  // who would act
	bounded                              bool      // by ceiling; else the policy alone bounds what is granted
	ceiling                              []string
	scopes                               []string // what the token is to be good for
	whole                                []string // what a task is to hold, granted whole or not at all
	task                                 *askedTask
	deferrable                           bool
	agreed                               *node // the request that was agreed to
}

// askedTask is a task that is to be started. Without ask.whole it holds what its token is good for.
type askedTask struct {
	deadline time.Time
	budget   uint64
}

// answer is a refusal with one of the codes or, where there is none, what was made: in the order of the tree, what the
// client was given last.
type answer struct {
	codes []tb.Code
	made  []*node
}

const busy = tb.Code("unavailable") // nothing is refused: the client shall come back

func refusal(codes ...tb.Code) answer { return answer{codes: codes} }

// unacceptable is the code of what was presented and cannot be used.
func (q ask) unacceptable() tb.Code {
	if q.grant == tb.Refresh || q.grant == tb.Deferred {
		return tb.CodeInvalidGrant
	}
	return tb.CodeInvalidRequest
}

// told is an answer as the client is told it. To one that is blocked, and so is n which it presents, whatever is refused is
// refused by one code.
func (m *model) told(client string, n *node, a answer) answer {
	if !m.blocked(client) || len(a.made) > 0 || !n.up(func(x *node) bool { return x.client == client }) {
		return a
	}
	a.codes = slices.Clone(a.codes)
	for i, code := range a.codes {
		if !slices.Contains([]tb.Code{busy, tb.CodeAuthorizationPending, tb.CodeSlowDown}, code) {
			a.codes[i] = tb.CodeUnauthorizedClient
		}
	}
	return a
}

// derive answers an exchange of a token of ours. Who else may derive is what the policy says now of what the token stands
// for.
func (m *model) derive(q ask) answer {
	p, own, now := q.parent, q.client == q.parent.client, m.around(q.parent)
	if p.stands {
		now = m.around(p.tasks()[0])
	}
	q.bounded, q.ceiling = true, keep(p.holds, func(s string) bool {
		return own || delegated(s, q.client) && now.grants(s) && !now.denies()
	})
	q.chain, q.subject, q.session, q.since = p.chain, p.subject, p.session, m.now
	if !own {
		q.chain = append([]string{q.client}, p.chain...)
	}
	handedOn := p.up(func(x *node) bool { return x.client == q.client })
	if m.stateOf(p) != lineage.Active || len(q.ceiling) == 0 || !own && handedOn || len(q.chain) > mostActors {
		return refusal(q.unacceptable())
	}
	return m.decide(q)
}

// refresh answers the use of a refresh token: the i-th of its family. Without scopes, all that can be is granted again.
func (m *model) refresh(client string, f *node, i int, scopes []string) answer {
	q := ask{
		grant: tb.Refresh, client: client, connection: f.connection, subject: f.subject, session: f.session, parent: f,
		since: m.now, chain: f.chain, bounded: true, ceiling: keep(f.holds, renewable), scopes: scopes,
	}
	all, last := keep(f.scopes, renewable), len(f.issued)-1
	repeat := i == last-1 && m.now.Before(f.rotated.Add(lifeGrace))
	switch {
	case client != f.client, !m.lives(f), i == last && !m.now.Before(f.idle):
		return refusal(q.unacceptable())
	case i != last && !repeat:
		m.end(f) // it was used twice
		return refusal(q.unacceptable())
	case m.stateOf(f) != lineage.Active:
		return refusal(q.unacceptable())
	case len(keep(scopes, in(all))) < len(scopes):
		return refusal(tb.CodeInvalidScope)
	}
	if len(scopes) == 0 {
		q.scopes = all
	}
	if f.stands {
		q.whole = q.ceiling
	}
	a := m.decide(q)
	if len(a.codes) == 0 && !repeat {
		f.rotated, f.idle = m.now, m.now.Add(lifeIdle)
	}
	return a
}

// poll answers a client that asks again for what it waits for.
func (m *model) poll(client string, w *node) answer {
	q := w.asked
	q.grant, q.deferrable, q.agreed = tb.Deferred, false, w
	q.bounded, q.ceiling = true, w.holds
	switch s := m.stateOf(w); {
	case client != w.client, w.wait == "released":
		return refusal(q.unacceptable())
	case w.wait == "refused":
		return refusal(tb.CodeAccessDenied)
	case s == lineage.Expired:
		return refusal(tb.CodeExpiredToken)
	case s == lineage.Revoked:
		return refusal(q.unacceptable())
	case s == lineage.Suspended, w.wait == "pending":
		early := m.now.Before(w.polled.Add(w.interval))
		w.polled = m.now
		if early {
			w.interval += patience
			return refusal(tb.CodeSlowDown)
		}
		return refusal(tb.CodeAuthorizationPending)
	}
	a := m.decide(q)
	if len(a.codes) == 0 {
		w.wait = "released"
	}
	return a
}

// decide is the one path that every request for a token ends in: what is granted of it, and what is made.
func (m *model) decide(q ask) answer {
	n := node{
		kind: lineage.KindToken, parent: q.parent, agreed: q.agreed, client: q.client, subject: q.subject, session: q.session,
		connection: q.connection, chain: q.chain, since: q.since, decided: m.tick, at: m.now, strict: m.strict,
	}
	now := m.around(&n)
	granted := func(s string) bool {
		return now.grants(s) && (!q.bounded || slices.Contains(q.ceiling, s)) && (q.grant != tb.Refresh || renewable(s)) &&
			(s != gated || q.agreed != nil || q.deferrable)
	}
	n.scopes = keep(q.scopes, granted)
	if n.holds = n.scopes; q.whole != nil {
		n.holds, n.scopes = q.whole, keep(n.scopes, in(q.whole))
	}
	depth := n.above()
	if q.task != nil {
		depth++
	}
	switch nothing := len(n.scopes) == 0 && (len(q.scopes) > 0 || q.whole == nil); {
	case depth > mostAbove:
		return refusal(q.unacceptable())
	case now.denies():
		return refusal(tb.CodeInvalidTarget)
	case nothing, len(keep(q.whole, granted)) < len(q.whole):
		return refusal(tb.CodeInvalidScope)
	}
	if q.agreed == nil && slices.Contains(n.holds, gated) {
		return m.postpone(q, n)
	}
	made := m.make(q, n, depth)
	if codes := m.obstacles(q, made[len(made)-1]); len(codes) > 0 {
		return refusal(codes...)
	}
	if q.grant == tb.Refresh || q.parent == nil { // which derive nothing
		return answer{made: made}
	}
	tasks := q.parent.tasks()
	if slices.ContainsFunc(tasks, func(t *node) bool { return t.used == t.budget }) {
		return refusal(q.unacceptable())
	}
	for _, t := range tasks {
		t.used++
	}
	return answer{made: made}
}

// make returns what is recorded where n is granted: the task that it starts, the refresh family that begins, and n.
func (m *model) make(q ask, n node, depth int) (made []*node) {
	add := func(x node, kind lineage.Kind, end time.Time) *node {
		x.kind, x.expires = kind, m.bound(q, end)
		if len(made) > 0 {
			x.parent = made[len(made)-1]
			x.expires = earlier(x.expires, x.parent.expires)
		}
		made = append(made, &x)
		return &x
	}
	if q.task != nil {
		t := add(n, lineage.KindTask, q.task.deadline)
		t.scopes, t.state, t.budget = n.holds, tb.TaskActive, q.task.budget
		for _, outer := range q.parent.tasks() {
			t.budget = min(t.budget, outer.budget)
		}
	}
	n.stands = q.task != nil || q.grant == tb.Refresh && q.parent.stands
	if q.grant != tb.Refresh && refreshes(q.client) && depth < mostAbove && len(keep(n.holds, renewable)) > 0 {
		f := add(n, lineage.KindGrant, m.now.Add(lifeFamily))
		f.rotated, f.idle = m.now, m.now.Add(lifeIdle)
	}
	add(n, lineage.KindToken, m.now.Add(lifeToken)).key = m.key
	return made
}

// postpone makes a request wait for somebody to agree.
func (m *model) postpone(q ask, n node) answer {
	end := m.now.Add(lifeDeferral)
	if q.task != nil {
		task := *q.task
		task.deadline = m.bound(q, task.deadline)
		q.task, end = &task, earlier(end, task.deadline)
	}
	n.kind, n.expires, n.wait, n.asked, n.interval = lineage.KindApproval, m.bound(q, end), "pending", q, patience
	codes, open := m.obstacles(q, &n), 0
	for _, x := range m.nodes {
		if x.client == n.client && (x.wait == "pending" || x.wait == "approved") && m.lives(x) {
			open++
		}
	}
	if open >= mostDeferred { // which may be noticed first
		codes = append(codes, tb.CodeInvalidRequest)
	}
	if len(codes) > 0 {
		return refusal(codes...)
	}
	return answer{codes: []tb.Code{tb.CodeAuthorizationPending}, made: []*node{&n}}
}

// bound returns the end t, or that of what is presented.
func (m *model) bound(q ask, t time.Time) time.Time {
	if q.parent == nil {
		return t
	}
	return earlier(t, q.parent.expires)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// obstacles returns how a request is refused because n would bear a name that was cut, or who agreed to it does. Where
// several were, each of the codes is right.
func (m *model) obstacles(q ask, n *node) (codes []tb.Code) {
	all := []*node{n}
	if q.agreed != nil {
		all = append(all, q.agreed.by)
	}
	for _, c := range m.cuts {
		for _, x := range all {
			switch kind := c.what.kind; {
			case !c.kills(x):
			case c.open && kind == lineage.SelectClient && x == n:
				codes = append(codes, tb.CodeUnauthorizedClient)
			case c.open && (kind == lineage.SelectConnection || kind == lineage.SelectPath):
				codes = append(codes, tb.CodeInvalidTarget)
			case !c.open && m.now.Before(c.before) && !x.since.Before(c.before.Add(-leeway)):
				codes = append(codes, busy) // it is not older than the cut, but clocks may differ
			default:
				codes = append(codes, q.unacceptable())
			}
		}
	}
	return codes
}
