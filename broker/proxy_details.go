package broker

import (
	"encoding/json"
	"errors"
	"slices"

	"github.com/tokenboundary/tokenboundary"
)

// HTTPRequestType is the type of the authorization_details that a Proxy understands.
const HTTPRequestType = "http_request"

// HTTPRequests is what authorization_details of the type http_request mean (RFC 9396), for Config.Details of the boundary. An
// entry names requests, by the common members locations (resources) and actions (methods), and paths, as in Route.Path:
//
//	{"type":"http_request","locations":["https://erp.example/"],"actions":["GET"],"paths":["/v1/invoices/*"]}
//
// Each of the three is required, and one that is empty names nothing. An entry with any other member is not understood, and
// permits nothing. A token that has entries of the type is let through a Proxy only with requests that one of them names, and
// of which the routes and the scopes permit as much as without.
type HTTPRequests struct{}

var _ tokenboundary.DetailType = HTTPRequests{}

// Covers implements tokenboundary.DetailType: what child names, parent names too.
func (HTTPRequests) Covers(parent, child json.RawMessage) (bool, error) {
	p, err := readDetail(parent)
	if err != nil {
		return false, err
	}
	c, err := readDetail(child)
	if err != nil {
		return false, err
	}
	covered := func(want pattern) bool {
		return slices.ContainsFunc(p.patterns, func(have pattern) bool { return have.covers(want) })
	}
	for _, want := range c.patterns {
		if !covered(want) {
			return false, nil
		}
	}
	return within(c.Locations, p.Locations) && within(c.Actions, p.Actions), nil
}

// detail is an entry of authorization_details.
type detail struct {
	Type      string   `json:"type"`
	Locations []string `json:"locations"`
	Actions   []string `json:"actions"`
	Paths     []string `json:"paths"`

	patterns []pattern
}

var errDetail = errors.New("broker: not an entry of authorization_details that names requests")

func readDetail(raw json.RawMessage) (d detail, err error) {
	var members map[string]json.RawMessage // by their exact names
	if json.Unmarshal(raw, &members) != nil || len(members) != 4 {
		return detail{}, errDetail
	}
	for _, name := range []string{"type", "locations", "actions", "paths"} {
		if members[name] == nil {
			return detail{}, errDetail
		}
	}
	if json.Unmarshal(raw, &d) != nil || d.Type != HTTPRequestType || len(d.Locations) == 0 || len(d.Actions) == 0 || len(d.Paths) == 0 ||
		slices.ContainsFunc(d.Actions, badMethod) {
		return detail{}, errDetail
	}
	for _, path := range d.Paths {
		p, err := readPattern(path)
		if err != nil {
			return detail{}, errDetail
		}
		d.patterns = append(d.patterns, p)
	}
	return d, nil
}

func within(some, all []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool { return !slices.Contains(all, s) })
}

// named reports whether the granted details permit a request at the resource. Where none is of the type, they say nothing
// about it.
func named(details []json.RawMessage, resource string, t target) bool {
	permitted := true
	for _, raw := range details {
		if !isHTTPRequest(raw) {
			continue
		}
		d, err := readDetail(raw)
		if err == nil && slices.Contains(d.Locations, resource) && slices.Contains(d.Actions, t.method) &&
			slices.ContainsFunc(d.patterns, func(p pattern) bool { return p.fits(t.path) }) {
			return true
		}
		permitted = false
	}
	return permitted
}

func isHTTPRequest(raw json.RawMessage) bool {
	var members map[string]json.RawMessage
	var name string
	return json.Unmarshal(raw, &members) == nil && json.Unmarshal(members["type"], &name) == nil && name == HTTPRequestType
}
