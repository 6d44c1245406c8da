package policy

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
)

// binder collects what leaves bind.
type binder struct {
	clients  []string // by name, in the order in which they were met
	claims   map[string][]claim
	refused  map[*document]bool // a problem was told
	number   uint32
	problems []Problem
}

// claim is what one leaf binds for each of its clients.
type claim struct {
	number  uint32
	d       *document
	targets targets
}

func newBinder() *binder {
	return &binder{claims: map[string][]claim{}, refused: map[*document]bool{}}
}

func (b *binder) add(d *document, l *leaf) {
	b.number++
	c := claim{b.number, d, make(targets, 0, len(d.bind.connections)*len(d.bind.resources))}
	for _, n := range d.bind.connections {
		for _, r := range d.bind.resources {
			c.targets = append(c.targets, target{n, r, l})
		}
	}
	c.targets.sort()
	for _, client := range d.bind.clients {
		if client != wildcard && b.claims[client] == nil {
			b.clients = append(b.clients, client)
		}
		b.claims[client] = append(b.claims[client], c)
	}
}

func (t targets) sort() {
	slices.SortStableFunc(t, func(x, y target) int { return x.compare(y.connection, y.resource) })
}

// index returns what is bound for each client by name, and for all clients.
func (b *binder) index() (named *clientIndex, all targets) {
	x := &clientIndex{seed: maphash.MakeSeed(), slots: make([]slot, 2*len(b.clients)+1)}
	names, at := strings.Join(b.clients, ""), 0 // in one piece, too
	known := map[string]int{}                   // where the targets of the same leaves are
	for _, c := range b.clients {
		claims := b.claims[c]
		key := keyOf(claims)
		from, ok := known[key]
		if !ok {
			from = len(x.all)
			known[key] = from
			x.all = append(x.all, b.targets(c, claims)...)
		}
		x.add(names[at:at+len(c)], from, from+count(claims))
		at += len(c)
	}
	x.all = slices.Clone(x.all)
	return x, b.targets(wildcard, b.claims[wildcard])
}

// keyOf tells claims of different leaves apart.
func keyOf(claims []claim) string {
	key := make([]byte, 0, 4*len(claims))
	for _, c := range claims {
		key = binary.LittleEndian.AppendUint32(key, c.number)
	}
	return string(key)
}

func count(claims []claim) int {
	n := 0
	for _, c := range claims {
		n += len(c.targets)
	}
	return n
}

// targets puts together what claims of one client bind.
func (b *binder) targets(client string, claims []claim) targets {
	if len(claims) == 1 {
		return claims[0].targets
	}
	var out targets
	for _, c := range claims {
		out = append(out, c.targets...)
	}
	out.sort()
	for i := 1; i < len(out); i++ {
		if out[i].compare(out[i-1].connection, out[i-1].resource) == 0 {
			b.twice(client, claims, out[i-1], out[i])
		}
	}
	return out
}

// twice refuses a leaf that binds what another one does: a mistake that no order of precedence may hide.
func (b *binder) twice(client string, claims []claim, first, second target) {
	at := slices.IndexFunc(claims, func(c claim) bool { return c.d.file == second.leaf.file })
	d := claims[at].d
	if b.refused[d] {
		return
	}
	b.refused[d] = true
	b.problems = append(b.problems, Problem{File: d.file, Line: d.bindLine, Message: fmt.Sprintf(
		"bind: client %q, connection %q, resource %q is bound by %s already",
		bounded(client), bounded(second.connection), bounded(second.resource), first.leaf.file)})
}
