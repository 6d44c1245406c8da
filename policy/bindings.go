package policy

import (
	"hash/maphash"
	"math/bits"
	"slices"
	"strings"
)

// target is a connection and a resource that are bound for a client, and the leaf that decides them.
type target struct {
	connection, resource string // either may be the wildcard
	leaf                 *leaf
}

func (b target) compare(connection, resource string) int {
	if c := strings.Compare(b.connection, connection); c != 0 {
		return c
	}
	return strings.Compare(b.resource, resource)
}

// targets are all that is bound for a client, sorted by connection and resource.
type targets []target

// search returns where the first target is that does not come before the connection and resource, and whether it is them.
func (t targets) search(connection, resource string) (int, bool) {
	return slices.BinarySearchFunc(t, resource, func(b target, r string) int { return b.compare(connection, r) })
}

// exact returns the leaf for exactly this connection and resource.
func (t targets) exact(connection, resource string) *leaf {
	if len(t) > 4 {
		if at, found := t.search(connection, resource); found {
			return t[at].leaf
		}
		return nil
	}
	for i := range t { // so few are compared sooner than ordered
		if t[i].connection == connection && t[i].resource == resource {
			return t[i].leaf
		}
	}
	return nil
}

// leaf finds the leaf for a connection and resource: an exact name goes before the wildcard, of the connection first.
func (t targets) leaf(connection, resource string) *leaf {
	for _, n := range [2]string{connection, wildcard} {
		for _, r := range [2]string{resource, wildcard} {
			if l := t.exact(n, r); l != nil {
				return l
			}
		}
	}
	return nil
}

// named returns the first resource that is bound by name for exactly this connection, and whether there are others.
func (t targets) named(connection string) (resource string, others bool) {
	at, _ := t.search(connection, "")
	for ; at < len(t) && t[at].connection == connection; at++ {
		switch {
		case t[at].resource == wildcard:
		case resource != "":
			return resource, true
		default:
			resource = t[at].resource
		}
	}
	return resource, false
}

// clientIndex finds what is bound for a client by name. What a decision among very many clients costs beyond one among few is
// waiting for memory: a hash table of its own waits three times, for the slot, for the name, and for the targets.
type clientIndex struct {
	seed  maphash.Seed
	slots []slot  // half of them empty or more: looking on from the one that a hash leads to comes to an empty one
	all   targets // those of each client in one piece; clients for which the same is bound share it
}

// slot is a client and where its targets are. A client has some: an empty slot has none.
type slot struct {
	client         string
	hash, from, to uint32
}

// of returns what is bound for a client by name.
func (x *clientIndex) of(client string) targets {
	hash := maphash.String(x.seed, client)
	for at := x.place(hash); ; at = x.after(at) {
		switch s := &x.slots[at]; {
		case s.to == 0:
			return nil
		case s.hash == uint32(hash) && s.client == client:
			return x.all[s.from:s.to]
		}
	}
}

func (x *clientIndex) add(client string, from, to int) {
	hash := maphash.String(x.seed, client)
	at := x.place(hash)
	for x.slots[at].to != 0 {
		at = x.after(at)
	}
	x.slots[at] = slot{client, uint32(hash), uint32(from), uint32(to)}
}

// place returns where to begin to look for a hash.
func (x *clientIndex) place(hash uint64) int {
	at, _ := bits.Mul64(hash, uint64(len(x.slots)))
	return int(at)
}

func (x *clientIndex) after(at int) int {
	if at++; at < len(x.slots) {
		return at
	}
	return 0
}
