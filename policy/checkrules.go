package policy

import (
	"fmt"
	"slices"
)

// condition is what is known of an expression.
type condition struct {
	holds, not cases // where it comes out true, and where false
	cost       uint64
	local      bool // it reads what a document or a rule confines
}

const (
	clientVariable     = "client.id"
	connectionVariable = "connection"
)

// conditions analyses each distinct condition, on all processors.
func (c *checker) conditions() error {
	env, err := environment()
	if err != nil {
		return fmt.Errorf("policy: environment: %w", err)
	}
	c.known, c.pairs = map[string]*condition{}, map[[2]*condition]bool{}
	var texts []string
	each(c.docs, func(_ *document, r *rule) {
		c.rules++
		if c.known[r.when] == nil {
			c.known[r.when] = &condition{}
			texts = append(texts, r.when)
		}
	})
	errs := make([]error, len(texts))
	atOnce().parallel(len(texts), func(i int) {
		checked, err := check(env, texts[i])
		if err != nil {
			errs[i] = err
			return
		}
		estimate, err := env.EstimateCost(checked, estimator{})
		if err != nil {
			errs[i] = err
			return
		}
		t, root, known := analysis{checked.NativeRep()}, checked.NativeRep().Expr(), c.known[texts[i]]
		known.holds, known.not, known.cost = t.comes(root, true), t.comes(root, false), estimate.Max
		confined := []string{clientVariable, connectionVariable, resourceVariable, scopesVariable, sensitivityVariable}
		known.local = known.holds.mentions(confined...) || known.not.mentions(confined...)
	})
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("policy: check: %w", err) // there is none: the set has been loaded
		}
	}
	return nil
}

// document looks at the rules of a document, and at each with those that go before it.
func (c *checker) document(d *document) {
	before := c.before(d)
	for i := range d.deny {
		c.deny(d, &d.deny[i], append(before[:len(before):len(before)], pointers(d.deny[:i])...))
	}
	if d.guard {
		return
	}
	for i := range d.allow {
		c.allow(d, &d.allow[i], before)
	}
	c.defaults(d)
}

func pointers(rules []rule) []*rule {
	out := make([]*rule, len(rules))
	for i := range rules {
		out[i] = &rules[i]
	}
	return out
}

// confines returns what the document and the rule themselves say of the requests that the rule is asked for.
func (c *checker) confines(d *document, r *rule) state {
	s := state{}
	if !d.guard && c.leaf(d).catalog == nil {
		s[sensitivityVariable] = oneOfTexts("unknown")
	}
	confine := func(key string, list []string) {
		if len(list) > 0 && !slices.Contains(list, wildcard) {
			s[key] = oneOfTexts(list...)
		}
	}
	confine(clientVariable, d.bind.clients)
	confine(connectionVariable, d.bind.connections)
	if confine(resourceVariable, d.bind.resources); r.resources != nil {
		confine(resourceVariable, r.resources)
	}
	if len(r.scopes) > 0 {
		s[scopesVariable] = constraint{some: r.scopes}
	}
	return s
}

// costly reports a condition near the bound.
func (c *checker) costly(d *document, r *rule) {
	if cost := c.known[r.when].cost; cost > maxCost/2 {
		c.of(d, r, Costly, fmt.Sprintf("the condition may cost %d in the worst case; more than %d is refused", cost, maxCost))
	}
}

func (c *checker) deny(d *document, r *rule, before []*rule) {
	c.costly(d, r)
	known, in := c.known[r.when], c.confines(d, r)
	if other := slices.IndexFunc(before, func(b *rule) bool { return b.when == r.when }); other >= 0 {
		c.of(d, r, Redundant, "rule "+before[other].id+", which goes before it, has the same condition")
		return
	}
	switch {
	case known.holds.never(in):
		c.of(d, r, NeverMatches, "the condition is true for no request")
	case known.not.never(in):
		c.of(d, r, AlwaysDenied, "the condition is false for no request: everything here is denied")
	}
}

func (c *checker) allow(d *document, r *rule, above []*rule) {
	c.costly(d, r)
	known, in := c.known[r.when], c.confines(d, r)
	if known.holds.never(in) {
		c.of(d, r, NeverMatches, "the condition is true for no request")
		return
	}
	for _, deny := range above {
		if c.known[deny.when].not.never() || c.denied(d, r, deny, in) {
			return // the former is reported itself
		}
	}
	for i := range d.deny {
		if deny := &d.deny[i]; c.known[deny.when].not.never(c.confines(d, deny)) || c.denied(d, r, deny, in) {
			return
		}
	}
}

// denied reports an allow rule of which the deny rule denies every request.
func (c *checker) denied(d *document, r, deny *rule, in state) bool {
	if !c.excludes(c.known[r.when], c.known[deny.when], in) {
		return false
	}
	c.of(d, r, AlwaysDenied, "each request that it allows is denied by rule "+deny.id+
		", whose condition is then true or cannot be evaluated")
	return true
}

// excludes reports whether the deny rule's condition is false for no request for which the allow rule's is true.
func (c *checker) excludes(allow, deny *condition, in state) bool {
	if len(allow.holds)*len(deny.not) > maxCases*maxCases {
		return false
	}
	if allow.local || deny.local {
		return excluded(allow.holds, deny.not, in)
	}
	pair := [2]*condition{allow, deny}
	known, ok := c.pairs[pair]
	if !ok {
		known = excluded(allow.holds, deny.not, nil)
		c.pairs[pair] = known
	}
	return known
}

func excluded(allow, deny cases, in state) bool {
	for _, s := range allow {
		if met, ok := s.with(in); ok && !deny.never(met) {
			return false
		}
	}
	return true
}

// before returns the deny rules of the guardrails above a leaf.
func (c *checker) before(d *document) []*rule {
	if d.guard {
		return nil
	}
	return c.leaf(d).guard.denies
}

// leaf returns what the set has made of a document.
func (c *checker) leaf(d *document) *leaf {
	return c.set.find(d.bind.clients[0], d.bind.connections[0], d.bind.resources[0])
}
