package policy

import (
	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
)

const noPath = "no policy path"

// resolve finds the one leaf that decides the request, and the resources it decides. Where there is none it says why.
func (s *Set) resolve(f *tokenboundary.Facts) (l *leaf, resources []string, why string) {
	client, connection := f.Client.ID, f.Connection
	if !definite(client) || !definite(connection) {
		return nil, f.Resources, noPath
	}
	resources = f.Resources
	if len(resources) == 0 {
		one, why := s.only(client, connection)
		if why != "" {
			return nil, nil, why
		}
		resources = []string{one}
	}
	if len(resources) > canon.MaxResources {
		return nil, nil, "too many resources"
	}
	for _, r := range resources {
		found := s.find(client, connection, r)
		if (found == nil || found.anyResource) && !canonical(r) { // what a leaf names is in canonical form
			return nil, resources, "a resource is not in canonical form"
		}
		switch {
		case found == nil:
			return nil, resources, noPath
		case l != nil && found != l:
			return nil, resources, "the resources are bound to different policy paths: " + l.path + " and " + found.path
		}
		l = found
	}
	return l, resources, ""
}

// definite reports whether a name in the facts can match a binding. Nothing can match by being the wildcard.
func definite(name string) bool { return name != "" && name != wildcard }

// find looks a triple up: an exact name goes before the wildcard, of the client first, then of the connection, then of
// the resource.
func (s *Set) find(client, connection, resource string) *leaf {
	if l := s.clients.of(client).leaf(connection, resource); l != nil {
		return l
	}
	return s.anyClient.leaf(connection, resource)
}

func canonical(resource string) bool {
	c, err := canon.Resource(resource)
	return err == nil && c == resource
}

// only returns the one resource that is bound by name for the client and connection.
func (s *Set) only(client, connection string) (resource, why string) {
	for _, bound := range [2]targets{s.clients.of(client), s.anyClient} {
		for _, n := range [2]string{connection, wildcard} {
			switch named, others := bound.named(n); {
			case named == "":
			case others || resource != "" && named != resource:
				return "", "several resources are bound for this client and connection: one must be named"
			default:
				resource = named
			}
		}
	}
	if resource == "" {
		return "", noPath + ": no resource is bound for this client and connection"
	}
	return resource, ""
}
