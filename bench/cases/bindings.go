package cases

import (
	"fmt"
	"strings"
	"testing/fstest"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/bench/suite"
	"github.com/tokenboundary/tokenboundary/policy"
)

// A document binds so many agents, and each request is of another of them, so that what it needs is rarely in a cache of the
// processor. Where it always is the same, what is left is the search itself.
const perDocument, fewBindings, manyBindings = 100, 100, 100_000

// stride visits all bindings in an order without neighbours: it is prime to their number.
const stride = 7919

func bindings() []suite.Case {
	few, most := GroupBindings+"/100 bindings", []suite.Target{suite.AtMost(suite.Ratio, 1.2)}
	return []suite.Case{
		{Group: GroupBindings, Name: "100 bindings", Base: VerifyAndSign, Lasting: true,
			Open: func(string) (*suite.Instance, error) { return openBindings(fewBindings, stride) }},
		{Group: GroupBindings, Name: "100,000 bindings", Base: few, Lasting: true, Targets: most,
			Open: func(string) (*suite.Instance, error) { return openBindings(manyBindings, stride) }},
		{Group: GroupBindings, Name: "100,000 bindings, always the same", Base: few, Lasting: true, Targets: most,
			Open: func(string) (*suite.Instance, error) { return openBindings(manyBindings, 0) }},
	}
}

func openBindings(n, stride int) (*suite.Instance, error) {
	docs := fstest.MapFS{"boundary.yaml": {Data: []byte("deny:\n  - {rule: frozen, when: '" + denials[0] + "'}\n")}}
	clients := make([]string, n)
	for i := range clients {
		clients[i] = fmt.Sprintf("agent-%d", i)
	}
	for at := 0; at < n; at += perDocument {
		text := "bind: {client: [" + strings.Join(clients[at:at+perDocument], ", ") + "], connection: prod, resource: " + crm + "}\nallow:\n" +
			"  - {rule: a, when: '" + conditions[0] + " && " + conditions[1] + "', scopes: [" + scope(0) + "], lifetime: 5m}\n"
		docs[fmt.Sprintf("agents/d%d/leaf.yaml", at/perDocument)] = &fstest.MapFile{Data: []byte(text)}
	}
	set, err := policy.Load(docs)
	if err != nil {
		return nil, err
	}
	v := &visitors{clients: clients, stride: stride, f: facts("", scope(0))}
	i := decider(set, v.next, scopes(1))
	i.Prepare = v.prepare
	return i, nil
}

// visitors are the clients that ask, in the order in which they come.
type visitors struct {
	clients []string
	stride  int
	order   []string
	at      int
	f       tb.Facts
}

// prepare writes down the names of the next n, one behind the other: a request has its client's name at hand, and only what
// the decision itself has to look for is far away.
func (v *visitors) prepare(n int) error {
	var text strings.Builder
	ends := make([]int, n)
	for i := range n {
		text.WriteString(v.clients[i*v.stride%len(v.clients)])
		ends[i] = text.Len()
	}
	v.order = make([]string, n)
	for i, start := 0, 0; i < n; i, start = i+1, ends[i] {
		v.order[i] = text.String()[start:ends[i]]
	}
	v.at = 0
	return nil
}

func (v *visitors) next() tb.Facts {
	v.f.Client.ID = v.order[v.at%len(v.order)]
	v.at++
	return v.f
}
