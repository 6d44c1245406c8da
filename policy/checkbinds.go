package policy

import (
	"fmt"
	"strings"
)

// unbound is a name that nothing binds exactly: it has a control character.
const unbound = "\x00"

// Limits on what is looked at and told of one document.
const (
	maxRivals = 16
	maxTold   = 3
)

// rival is a binding that can win requests from others that are more exact in a later field.
type rival struct {
	triple
	file string
}

// rivals are the bindings that can win, by what they have in common with those that lose to them.
type rivals struct {
	anywhere []rival            // client, *, *
	resource map[string][]rival // client, *, resource: by resource
	everyRes []rival            // the same, in one list
	link     map[string][]rival // client, connection, *: by connection
	everyCon []rival            // the same, in one list
	client   map[string][]rival // the same, by client
}

// binds reports the documents that lose requests to others that are less exact in a later field: an exact client goes before
// the wildcard whatever the other fields say, and then an exact connection. Losing to what is exact in all that the document
// is exact in is what precedence is for, and not reported.
func (c *checker) binds() {
	all := rivals{resource: map[string][]rival{}, link: map[string][]rival{}, client: map[string][]rival{}}
	for _, d := range c.docs {
		d.triples(func(t triple) { all.add(rival{t, d.file}) })
	}
	for _, d := range c.docs {
		if !d.guard && c.dead(d) {
			c.add(Finding{File: d.file, Line: d.bindLine, Kind: ShadowedBind, Message: "nothing is decided here: for each client that " +
				"the catalog gives these connections to, another document decides"}, "bind")
			continue
		}
		if lost, more := c.lost(d, &all); len(lost) > 0 {
			if more {
				lost = append(lost, "and others")
			}
			c.add(Finding{File: d.file, Line: d.bindLine, Kind: ShadowedBind, Message: "requests named here are decided elsewhere, " +
				"since an exact client goes before an exact connection, and that before an exact resource: " + strings.Join(lost, ", ")},
				"bind")
		}
	}
}

// triples calls f for each triple that a leaf binds.
func (d *document) triples(f func(triple)) {
	for _, c := range d.bind.clients {
		for _, n := range d.bind.connections {
			for _, r := range d.bind.resources {
				f(triple{c, n, r})
			}
		}
	}
}

func (a *rivals) add(r rival) {
	switch {
	case r.client == wildcard || r.connection != wildcard && r.resource != wildcard:
	case r.connection != wildcard:
		a.link[r.connection] = append(a.link[r.connection], r)
		a.client[r.client] = append(a.client[r.client], r)
		a.everyCon = append(a.everyCon, r)
	case r.resource != wildcard:
		a.resource[r.resource] = append(a.resource[r.resource], r)
		a.everyRes = append(a.everyRes, r)
	default:
		a.anywhere = append(a.anywhere, r)
	}
}

// against returns those that can win requests from a binding.
func (a *rivals) against(t triple) [][]rival {
	connection, resource := t.connection != wildcard, t.resource != wildcard
	switch {
	case t.client != wildcard && !connection && resource:
		return [][]rival{a.client[t.client]}
	case t.client != wildcard:
		return nil
	case connection && resource:
		return [][]rival{a.anywhere, a.resource[t.resource], a.link[t.connection]}
	case connection:
		return [][]rival{a.anywhere, a.everyRes}
	case resource:
		return [][]rival{a.anywhere, a.everyCon}
	}
	return nil
}

// lost says what a document loses and to which, up to a few, and whether there may be more.
func (c *checker) lost(d *document, all *rivals) (lost []string, more bool) {
	looked := 0
	seen := map[string]bool{}
	d.triples(func(t triple) {
		for _, list := range all.against(t) {
			for _, r := range list {
				if looked++; looked > maxRivals || len(lost) == maxTold {
					more = true
					return
				}
				if r.file == d.file || !c.wins(r, t) {
					continue
				}
				if text := r.beats(t); !seen[text] {
					seen[text] = true
					lost = append(lost, text)
				}
			}
		}
	})
	return lost, more
}

// wins reports whether there can be a request that both bindings name, and the rival decides it.
func (c *checker) wins(r rival, t triple) bool {
	client, connection, resource := r.or(t)
	l := c.set.find(client, connection, resource)
	if l.file != r.file {
		return false
	}
	if connection == unbound || resource == unbound {
		return true
	}
	_, why := l.catalog.refuses(client, connection, []string{resource})
	return why == ""
}

// dead reports whether a document decides nothing: it binds connections of a catalog for any client, and other documents
// decide for each client that owns them.
func (c *checker) dead(d *document) bool {
	known := c.leaf(d).catalog
	if known == nil || !known.gives {
		return false
	}
	alive := 0
	d.triples(func(t triple) {
		o := known.connection(t.connection)
		if t.client != wildcard || o == nil {
			alive++
			return
		}
		for _, client := range o.clients {
			if alive > 0 || c.set.find(rival{triple: t}.of(client)).file == d.file {
				alive++
				return
			}
		}
	})
	return alive == 0
}

// of returns a request of the client that the binding names.
func (r rival) of(client string) (string, string, string) {
	return rival{triple: triple{client, r.connection, r.resource}}.or(r.triple)
}

// or returns a request that both bindings name.
func (r rival) or(t triple) (client, connection, resource string) {
	pick := func(a, b string) string {
		switch {
		case a != wildcard:
			return a
		case b != wildcard:
			return b
		}
		return unbound
	}
	return pick(r.client, t.client), pick(r.connection, t.connection), pick(r.resource, t.resource)
}

// beats says which requests of t the rival decides.
func (r rival) beats(t triple) string {
	var b strings.Builder
	for _, f := range []struct{ name, rival, own string }{
		{"client", r.client, t.client}, {"connection", r.connection, t.connection}, {"resource", r.resource, t.resource},
	} {
		if f.rival != wildcard && f.own == wildcard {
			fmt.Fprintf(&b, "%s %q ", f.name, bounded(f.rival))
		}
	}
	return b.String() + "by " + r.file
}
