package crash

import (
	"fmt"
	"maps"
	"slices"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// model is what must be true, as far as operations were answered. It knows nothing of how anything is stored.
type model struct {
	items map[string]*item
	names []string // of the items, in order
	feed  []entry
	spent map[string]string   // the single-use ids that were used, and whose
	fresh map[string]string   // those that must not count as used
	risky map[string]bool     // persons
	why   map[lineage.ID]bool // the records of why a signal has revoked
}

// item is something that was made: a token, with the task or the refresh family that began with it; a request that waits;
// a denial.
type item struct {
	made
	name, kind string // kind is of its record
	client     string
	actors     []string
	carries    []string // what cuts it, if it is cut
	tasks      []string // in which it lives
	dead       bool
	doomed     bool   // a signal must have revoked it
	ended      bool   // and with it the task that began with it
	state      string // of a task or a request that waits
	derived    uint64
	budget     uint64
	minted     bool // by a host
	approved   bool // for "write", which nothing here derives
	begins     bool // a refresh family
	family     string
	familyID   lineage.ID
	last       string // the refresh token before the present one
	uses       uint64
	pays       string // the person for whom it can pay
}

// entry is one of the feed.
type entry struct {
	selector string // as a kind and the name of an item, or the text of a selector
	action   lineage.Action
}

func newModel() *model {
	return &model{items: map[string]*item{}, spent: map[string]string{}, risky: map[string]bool{}, why: map[lineage.ID]bool{}}
}

// copy returns a model that can be changed without changing m.
func (m *model) copy() *model {
	out := newModel()
	out.names, out.feed = slices.Clone(m.names), slices.Clone(m.feed)
	out.spent, out.risky = maps.Clone(m.spent), maps.Clone(m.risky)
	out.why = maps.Clone(m.why)
	for name, i := range m.items {
		c := *i
		out.items[name] = &c
	}
	return out
}

// held is what the clients hold.
func (m *model) held() map[string]made {
	out := map[string]made{}
	for name, i := range m.items {
		out[name] = i.made
	}
	return out
}

func (m *model) add(o op, kind string, out made, carries, tasks []string) *item {
	i := &item{made: out, name: o.Out, kind: kind, client: o.Client, carries: append(slices.Clone(carries), "token:"+o.Out), tasks: tasks}
	m.items[o.Out], m.names = i, append(m.names, o.Out)
	return i
}

// active reports whether an item is good now.
func (m *model) active(i *item) bool {
	asleep := func(task string) bool { return m.items[task].state != "active" }
	return i.kind == "token" && !i.dead && !slices.ContainsFunc(i.tasks, asleep)
}

// selector returns the text of what an entry of the feed names.
func (m *model) selector(e entry) string {
	var kind, name string
	for i, r := range e.selector {
		if r == ':' {
			kind, name = e.selector[:i], e.selector[i+1:]
			break
		}
	}
	i := m.items[name]
	switch kind {
	case "token":
		return fmt.Sprintf("token:%s", i.ID)
	case "family":
		return fmt.Sprintf("token:%s", i.familyID)
	case "task":
		return fmt.Sprintf("task:%s", i.Task)
	}
	return e.selector
}
