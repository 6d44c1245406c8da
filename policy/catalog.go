package policy

import (
	"slices"
	"strings"
	"time"
)

// sensitivity is how much harm a scope can do, in the order in which the highest of several is found. One that nothing is
// said of may be anything: among others it counts as more than low and medium, so that a condition that asks for these
// does not hold.
type sensitivity uint8

const (
	none sensitivity = iota // of no scope at all
	low
	medium
	unstated
	high
)

// String returns the sensitivity as request.sensitivity has it.
func (s sensitivity) String() string {
	return [...]string{none: "unknown", low: "low", medium: "medium", unstated: "unknown", high: "high"}[s]
}

// catalogFile is one catalog.yaml.
type catalogFile struct {
	file        string
	resources   map[string]*catalogResource
	connections map[string]*catalogConnection
}

// catalogResource is a resource as a catalog describes it. A nil one is a resource of which no catalog says anything.
type catalogResource struct {
	id     string
	line   int
	scopes []catalogScope // sorted by name
}

// catalogScope is a scope of a resource.
type catalogScope struct {
	name        string
	line        int
	sensitivity sensitivity   // the highest of it and of all that it implies
	lifetime    time.Duration // of a token that holds it, at most; zero: the catalog says nothing
	implies     []uint8       // all that it implies, by their places among the scopes of the resource
}

// catalogConnection is a connection and the clients that own it.
type catalogConnection struct {
	file    string
	line    int
	clients []string // sorted
	legacy  limits   // of what is reached through it; noLimits where it is no legacy connection
}

// scope returns a scope of the resource; nil where it has none of that name.
func (d *catalogResource) scope(name string) *catalogScope {
	if at, found := slices.BinarySearchFunc(d.scopes, name, compareName); found {
		return &d.scopes[at]
	}
	return nil
}

func compareName(s catalogScope, name string) int { return strings.Compare(s.name, name) }

// lacks reports whether the catalog describes the resource and does not have the scope.
func (d *catalogResource) lacks(scope string) bool { return d != nil && d.scope(scope) == nil }

// withImplied returns the scopes and what they imply at the resource. Conditions are about both: a rule that denies a scope
// denies what would bring it along.
func (d *catalogResource) withImplied(scopes []string) []string {
	out := scopes
	if d == nil {
		return out
	}
	for _, name := range scopes {
		s := d.scope(name)
		if s == nil {
			continue
		}
		for _, i := range s.implies {
			if more := d.scopes[i].name; !slices.Contains(out, more) {
				out = append(slices.Clip(out), more)
			}
		}
	}
	return out
}

// sensitivity returns the highest of the scopes that the resource has.
func (d *catalogResource) sensitivity(scopes []string) sensitivity {
	out := none
	if d == nil {
		return out
	}
	for _, name := range scopes {
		if s := d.scope(name); s != nil {
			out = max(out, s.sensitivity)
		}
	}
	return out
}

// catalog is what the catalogs from the root down to a directory say together. A nil one says nothing. It is shared by
// all leaves for which it is the same, and does not change.
type catalog struct {
	*catalogFile
	above *catalog // what those above say

	lists bool            // it lists resources: others do not exist
	gives bool            // it gives connections to clients: others have none
	names map[string]bool // scopes of its file's resources
	known string          // some of what it lists, for messages; made when one is due
}

// resource returns what the catalog says of a resource; nil where it says nothing.
func (c *catalog) resource(id string) *catalogResource {
	for ; c != nil; c = c.above {
		if d := c.resources[id]; d != nil {
			return d
		}
	}
	return nil
}

// connection returns who owns a connection; nil where the catalog does not have it.
func (c *catalog) connection(name string) *catalogConnection {
	for ; c != nil; c = c.above {
		if o := c.connections[name]; o != nil {
			return o
		}
	}
	return nil
}

// anywhere reports whether some resource has the scope.
func (c *catalog) anywhere(scope string) bool {
	for ; c != nil; c = c.above {
		if c.names[scope] {
			return true
		}
	}
	return false
}

// owns reports whether the connection is the client's.
func (o *catalogConnection) owns(client string) bool {
	if o == nil {
		return false
	}
	_, found := slices.BinarySearch(o.clients, client)
	return found
}

// legacy returns the limits of what is reached through the connection.
func (c *catalog) legacy(connection string) limits {
	if o := c.connection(connection); o != nil {
		return o.legacy
	}
	return noLimits
}

// refuses says why the catalog does not let the client ask for the resources through the connection, and the resource
// that it is about; empty where it does. Leaves that name all of these were checked when they were loaded.
func (c *catalog) refuses(client, connection string, resources []string) (resource, why string) {
	if c == nil {
		return "", ""
	}
	if c.gives && !c.connection(connection).owns(client) {
		return "", "the catalog does not give the connection to this client"
	}
	if c.lists {
		for _, r := range resources {
			if c.resource(r) == nil {
				return r, "the catalog does not have this resource"
			}
		}
	}
	return "", ""
}
