package crash

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// pick returns an operation that can succeed now, at random. Its result is called name.
func (m *model) pick(r *rand.Rand, name string) op {
	for {
		kind := kinds[r.IntN(len(kinds))]
		if o, ok := m.propose(r, kind); ok {
			o.Kind, o.Out = kind, name
			if o.Client == "" {
				o.Client = map[string]string{"approve": lead.ID, "refuse": lead.ID}[kind]
			}
			if o.Client == "" {
				o.Client = ops.ID
			}
			if r.IntN(2) == 0 && kind != "report" {
				o.Once = "once-" + name
			}
			if makesNothing[kind] {
				o.Out = ""
			}
			return o
		}
	}
}

var kinds = []string{
	"issue", "exchange", "exchange", "derive", "derive", "derive", "refresh", "refresh", "start", "defer", "approve", "refuse", "poll",
	"revoke", "revoke", "retire", "suspend", "resume", "complete", "signal", "report", "deny", "record",
}

var makesNothing = map[string]bool{
	"approve": true, "refuse": true, "revoke": true, "retire": true, "suspend": true, "resume": true, "complete": true, "signal": true,
	"report": true,
}

var people = []string{"alice", "bob", "carol", "dave", "erin"}

// propose returns an operation of a kind.
func (m *model) propose(r *rand.Rand, kind string) (o op, ok bool) {
	o.Scopes, o.Who = []string{"read"}, people[r.IntN(len(people))]
	if !m.risky[o.Who] && r.IntN(2) == 0 {
		o.Scopes = append(o.Scopes, "pay")
	}
	switch kind {
	case "issue":
		return op{Client: []string{"researcher", "tool"}[r.IntN(2)], Scopes: []string{"read"}}, true
	case "deny":
		return op{Client: agents[r.IntN(3)], Scopes: []string{"never"}}, true
	case "exchange":
		o.Client = agents[r.IntN(3)]
		return o, true
	case "start":
		return op{Client: "orchestrator", Who: o.Who, Scopes: []string{"read"}, Budget: uint64(r.IntN(4))}, true
	case "record":
		return op{Client: "tool", Who: o.Who, Scopes: []string{"read"}}, true
	case "defer":
		return op{Client: agents[r.IntN(3)], Who: o.Who, Scopes: []string{"write"}}, m.waits("pending") < 8
	case "signal":
		return op{Who: o.Who}, !m.risky[o.Who]
	case "derive":
		return m.proposeDerivation(r)
	}
	return m.proposeOn(r, kind)
}

// proposeDerivation: no actor comes twice, there are three at most, and the task has something left.
func (m *model) proposeDerivation(r *rand.Rand) (o op, ok bool) {
	o.Client, o.Scopes = agents[1+r.IntN(2)], []string{"read"}
	in, ok := m.some(r, func(i *item) bool {
		left := !slices.ContainsFunc(i.tasks, func(t string) bool { return m.items[t].derived >= m.items[t].budget })
		return m.active(i) && !i.minted && !m.risky[i.pays] && i.Token != "" && left && len(i.actors) > 0 && len(i.actors) < 3 && !slices.Contains(i.actors, o.Client) &&
			!i.approved
	})
	if ok && in.pays != "" && r.IntN(2) == 0 {
		o.Scopes = append(o.Scopes, "pay")
	}
	if ok {
		o.In = in.name
	}
	return o, ok
}

// proposeOn returns an operation of a kind that changes what is there.
func (m *model) proposeOn(r *rand.Rand, kind string) (o op, ok bool) {
	fits := map[string]func(*item) bool{
		"refresh": func(i *item) bool { return i.begins && i.Refresh != "" && !m.familyDead(i) },
		"retire":  func(i *item) bool { return i.begins && i.Refresh != "" && i.state == "" && !m.familyDead(i) },
		"approve": func(i *item) bool { return i.state == "pending" && !i.dead },
		"refuse":  func(i *item) bool { return i.state == "pending" && !i.dead },
		"poll":    func(i *item) bool { return i.state == "agreed" && !i.dead && i.Code != "" },
		"revoke":  func(i *item) bool { return i.kind == "token" && i.state == "" && !i.dead },
		"suspend": func(i *item) bool { return i.state == "active" && !i.ended },
		"resume":  func(i *item) bool { return i.state == "suspended" && !i.ended },
		"complete": func(i *item) bool {
			return (i.state == "active" || i.state == "suspended") && !i.ended
		},
		"report": func(i *item) bool { return m.active(i) && !i.minted && !i.approved },
	}[kind]
	if fits == nil {
		return o, false
	}
	in, ok := m.some(r, fits)
	if !ok {
		return o, false
	}
	o.In = in.name
	if slices.Contains([]string{"refresh", "retire", "poll"}, kind) {
		o.Client = in.client
	}
	return o, true
}

// some returns an item that fits, at random.
func (m *model) some(r *rand.Rand, fits func(*item) bool) (*item, bool) {
	var all []*item
	for _, name := range m.names {
		if i := m.items[name]; fits(i) {
			all = append(all, i)
		}
	}
	if len(all) == 0 {
		return nil, false
	}
	return all[r.IntN(len(all))], true
}

func (m *model) waits(state string) (n int) {
	for _, i := range m.items {
		if i.state == state {
			n++
		}
	}
	return n
}

// story returns operations that can succeed one after the other.
func (m *model) story(r *rand.Rand, n int, name string) []op {
	m = m.copy()
	var out []op
	for i := range n {
		o := m.pick(r, fmt.Sprintf("%s-%d", name, i+1))
		m.apply(o, made{Token: "?", Refresh: "?", Code: "?"})
		for name, i := range m.items {
			if i.doomed {
				m.kill("token:" + name)
			}
		}
		out = append(out, o)
	}
	return out
}
