package crash

import (
	"slices"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// apply says what is true after an operation has succeeded with this result; without one, where nobody got it.
func (m *model) apply(o op, out made) {
	in := m.items[o.In]
	if o.Once != "" {
		m.spent[o.Once] = o.Client
	}
	switch o.Kind {
	case "issue", "exchange", "start", "record":
		m.root(o, out)
	case "derive":
		i := m.add(o, "token", out, append(slices.Clone(in.carries), "client:"+o.Client), in.tasks)
		i.family, i.actors = in.family, append([]string{o.Client}, in.actors...)
		if slices.Contains(o.Scopes, "pay") {
			i.pays = in.pays
		}
		for _, t := range in.tasks {
			m.items[t].derived++
		}
	case "refresh":
		first := m.items[in.family]
		i := m.add(o, "token", out, first.familyCarries(), first.tasks)
		i.family, i.pays, i.actors = in.family, in.pays, first.actors
		first.last, first.Refresh = first.Refresh, out.Refresh
	case "defer":
		m.add(o, "approval", out, []string{"client:" + o.Client, "subject:" + o.Who}, nil).state = "pending"
	case "deny":
		if out.Unrecorded { // there was no evidence, and the answer is the refusal all the same
			return
		}
		m.add(o, "denial", out, nil, nil)
	case "poll":
		in.state = "released"
		m.add(o, "token", out, without(in.carries, "token:"+in.name), nil).approved = true
	case "report":
		in.uses += 6
	default:
		m.change(o, in)
	}
}

// root adds what begins a lineage.
func (m *model) root(o op, out made) {
	carries := []string{"client:" + o.Client}
	if o.Who != "" {
		carries = append(carries, "subject:"+o.Who)
	}
	var tasks []string
	if o.Kind == "start" {
		carries, tasks = append(carries, "task:"+o.Out), []string{o.Out}
	}
	begins := o.Client == "orchestrator"
	if begins {
		carries = append(carries, "family:"+o.Out)
	}
	i := m.add(o, "token", out, carries, tasks)
	i.minted = o.Kind == "record"
	if o.Who != "" {
		i.actors = []string{o.Client}
	}
	if begins {
		i.begins, i.family = true, o.Out
	}
	if o.Kind == "start" {
		i.state, i.budget = "active", o.Budget
	}
	if slices.Contains(o.Scopes, "pay") {
		i.pays = o.Who
	}
}

// familyCarries is what cuts every token of the family that began with the item.
func (i *item) familyCarries() []string { return without(i.carries, "token:"+i.name) }

func without(list []string, s string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(x string) bool { return x == s })
}

// change is apply of what makes nothing.
func (m *model) change(o op, in *item) {
	switch o.Kind {
	case "revoke":
		if o.Who != "" {
			m.cut("subject:"+o.Who, lineage.Cut)
			return
		}
		m.cut("token:"+o.In, lineage.Cut)
	case "retire":
		m.cut("family:"+in.family, lineage.Cut)
	case "suspend":
		in.state = "suspended"
		m.feed = append(m.feed, entry{"task:" + o.In, lineage.Suspend})
	case "resume":
		in.state = "active"
		m.feed = append(m.feed, entry{"task:" + o.In, lineage.Resume})
	case "complete":
		in.state = "completed"
		m.cut("task:"+o.In, lineage.Cut)
	case "approve":
		in.state = "agreed"
	case "refuse":
		in.state = "refused"
	case "signal":
		m.risky[o.Who] = true
		for _, i := range m.items {
			i.doomed = i.doomed || i.pays == o.Who && m.active(i)
		}
	}
}

// cut kills everything that carries a name, and says so in the feed.
func (m *model) cut(name string, action lineage.Action) {
	m.feed = append(m.feed, entry{name, action})
	m.kill(name)
}

func (m *model) kill(name string) {
	for _, i := range m.items {
		if slices.Contains(i.carries, name) {
			i.dead = true
			i.ended = i.ended || name != "token:"+i.name && name != "family:"+i.name
		}
	}
}

// consequences takes over from the feed what signals have revoked. Of tokens that would not be issued now, it does not matter
// whether each is named or what it came from.
func (m *model) consequences(found []lineage.Revocation) {
	byID := map[string]*item{}
	for _, i := range m.items {
		if m.risky[i.pays] {
			byID[i.ID.String()] = i
		}
	}
	var all []entry
	rest := m.feed
	for _, r := range found {
		i := byID[r.Selector.Value]
		switch {
		case len(rest) > 0 && m.selector(rest[0]) == r.Selector.String():
			all, rest = append(all, rest[0]), rest[1:]
		case i != nil && r.Selector.Kind == lineage.SelectToken && r.Action == lineage.Cut:
			all = append(all, entry{"token:" + i.name, lineage.Cut})
			m.kill("token:" + i.name)
		}
	}
	m.feed = append(all, rest...)
}
