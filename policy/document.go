package policy

import (
	"errors"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/internal/yamldoc"
)

// wildcard binds any client, connection or resource. It is never implied.
const wildcard = "*"

// document is one policy document, read but not yet compiled.
type document struct {
	file  string
	path  string // of a leaf, its policy path; of a guardrail, that of its directory with "/boundary"
	guard bool

	bind     binding
	bindLine int
	defaults []string
	defLine  int
	allow    []rule
	deny     []rule
	limits   limits
	controls []string

	interned bool // a set shares its texts, which do not change any more
}

// binding is the set of triples that a leaf is for: the product of its lists.
type binding struct{ clients, connections, resources []string }

// rule is one allow or deny rule. A set can have millions: what every decision reads of one is in one line of memory.
type rule struct {
	id   string // path#name, as verdicts name it
	prog *program

	// Of an allow rule:
	lifetime time.Duration // MaxLifetime where the rule says nothing
	recheck  time.Duration // zero: none
	refresh  bool          // what it grants can be refreshed
	deliver  bool          // a credential that is leased for what it grants may leave the broker
	row      int32         // the line of its condition
	*terms

	*draft // until the set is assembled
}

// terms are what few rules have: the others share noTerms.
type terms struct {
	resources   []string // nil: all that the leaf binds
	delegates   []string
	obligations []obligation
}

var noTerms = &terms{}

// draft is what is needed of a rule to check and compile it.
type draft struct {
	name   string
	line   int
	when   string
	scopes []string // sorted; of an allow rule
	named  int      // the line of its scopes
}

// parseDocument reads a document. It returns nil with problems, or a document without any.
func parseDocument(file, policyPath string, guard bool, data []byte) (*document, []Problem) {
	node, bad := yamldoc.Parse(data, yamlLimits)
	if bad != nil {
		return nil, []Problem{{File: file, Line: bad.Line, Message: bounded(bad.Message)}}
	}
	r := &reader{file: file}
	d := &document{file: file, path: policyPath, guard: guard, limits: noLimits}
	if guard {
		r.common(d, r.fields(node, path.Base(file), "deny", "limits", "controls"))
	} else {
		r.leaf(d, node)
	}
	if len(d.allow)+len(d.deny) > maxRules {
		r.fail(node, "more than %d rules", maxRules)
	}
	r.names(d)
	if len(r.problems) > 0 {
		return nil, r.problems
	}
	return d, nil
}

func (r *reader) leaf(d *document, node *yaml.Node) {
	f := r.fields(node, "document", "bind", "default_scopes", "allow", "deny", "limits", "controls")
	if f == nil {
		return
	}
	r.common(d, f)
	if n := f["bind"]; n != nil {
		r.binding(d, n)
	} else {
		r.fail(node, "bind: is required")
	}
	if n := f["default_scopes"]; n != nil {
		d.defaults, d.defLine = r.scopes(n, "default_scopes"), n.Line
	}
	if n := f["allow"]; n != nil {
		items := r.items(n, "allow")
		d.allow = make([]rule, 0, len(items))
		for _, item := range items {
			d.allow = append(d.allow, r.allowRule(d, item))
		}
	}
}

// common reads what guardrails and leaves share: all of it can only restrict.
func (r *reader) common(d *document, f map[string]*yaml.Node) {
	if n := f["deny"]; n != nil {
		items := r.items(n, "deny")
		d.deny = make([]rule, 0, len(items))
		for _, item := range items {
			rl, _ := r.ruleHead(d, item, "deny", "rule", "when")
			d.deny = append(d.deny, rl)
		}
	}
	if n := f["limits"]; n != nil {
		r.limits(d, n)
	}
	if n := f["controls"]; n != nil {
		d.controls = r.texts(n, "controls", canon.Name)
	}
}

func (r *reader) limits(d *document, n *yaml.Node) {
	f := r.fields(n, "limits", "lifetime", "depth", "derivations", "recheck")
	if v := f["lifetime"]; v != nil {
		d.limits.lifetime = r.duration(v, "limits: lifetime")
	}
	if v := f["depth"]; v != nil {
		d.limits.depth = r.number(v, "limits: depth", canon.MaxChain)
	}
	if v := f["derivations"]; v != nil {
		d.limits.derivations = uint64(r.number(v, "limits: derivations", math.MaxInt32))
	}
	if v := f["recheck"]; v != nil {
		d.limits.recheck = r.recheck(v, "limits: recheck")
	}
}

func (r *reader) binding(d *document, n *yaml.Node) {
	d.bindLine = n.Line
	f := r.fields(n, "bind", "client", "connection", "resource")
	if f == nil {
		return
	}
	read := func(key string, check func(string) (string, error)) []string {
		v := f[key]
		if v == nil {
			r.fail(n, "bind: %s is required (write %q for any)", key, wildcard)
			return nil
		}
		return r.bound(v, "bind: "+key, check)
	}
	d.bind.clients, d.bind.connections = read("client", nameOf), read("connection", nameOf)
	d.bind.resources = read("resource", resourceOf)
	if len(d.bind.clients)*len(d.bind.connections)*len(d.bind.resources) > maxBindings {
		r.fail(n, "bind: more than %d combinations", maxBindings)
	}
}

// bound reads one of a binding's lists, or the one value that may stand for a list.
func (r *reader) bound(n *yaml.Node, what string, check func(string) (string, error)) []string {
	list := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		list = r.items(n, what)
	}
	var out []string
	for _, item := range list {
		s := r.text(item, what)
		if s == "" {
			continue
		}
		if s == wildcard && len(list) > 1 {
			r.fail(item, "%s: %q stands alone", what, wildcard)
			continue
		}
		if s != wildcard {
			c, err := check(s)
			if err != nil {
				r.fail(item, "%s: %v", what, err)
				continue
			}
			s = c
		}
		if slices.Contains(out, s) {
			r.fail(item, "%s: %q twice", what, bounded(s))
			continue
		}
		out = append(out, s)
	}
	return out
}

func (r *reader) scopes(n *yaml.Node, what string) []string {
	list := r.texts(n, what, canon.Scope)
	if len(list) > canon.MaxScopes {
		r.fail(n, "%s: more than %d scopes", what, canon.MaxScopes)
	}
	slices.Sort(list)
	return list
}

// ruleHead reads what every rule has: a name and a condition.
func (r *reader) ruleHead(d *document, n *yaml.Node, what string, allowed ...string) (rule, map[string]*yaml.Node) {
	r.rule = nameHint(n)
	defer func() { r.rule = "" }()
	f := r.fields(n, what, allowed...)
	rl := rule{lifetime: MaxLifetime, terms: noTerms, draft: &draft{line: n.Line}}
	if f == nil {
		return rl, nil
	}
	if v := f["rule"]; v == nil {
		r.fail(n, "%s: a rule needs a name: rule", what)
	} else if rl.name = r.text(v, "rule"); rl.name != "" && !validName(rl.name) {
		r.fail(v, "rule: a name is made of letters, digits, and . _ - inside")
	}
	rl.id = d.path + "#" + rl.name
	if v := f["when"]; v == nil {
		r.fail(n, `when: is required (write "true" for always)`)
	} else if yamldoc.Is(v, "!!bool") {
		r.fail(v, `when: must be a string (write "true" for always)`)
	} else {
		rl.when, rl.line = strings.TrimSpace(r.text(v, "when")), v.Line
		if rl.when == "" && v.Value != "" {
			r.fail(v, "when: is blank")
		}
	}
	return rl, f
}

// nameHint returns the name of a rule that is about to be read, for messages about it.
func nameHint(n *yaml.Node) string {
	if name := yamldoc.Member(n, "rule"); name != nil && validName(name.Value) {
		return name.Value
	}
	return ""
}

// names refuses two rules of one name in one document.
func (r *reader) names(d *document) {
	seen := map[string]bool{}
	for _, list := range [][]rule{d.allow, d.deny} {
		for _, rl := range list {
			if rl.name != "" && seen[rl.name] {
				r.problems = append(r.problems, Problem{
					File: r.file, Line: rl.line, Rule: rl.name, Message: "two rules of this name",
				})
			}
			seen[rl.name] = true
		}
	}
}

func nameOf(s string) (string, error) { return s, canon.Name(s) }

func resourceOf(s string) (string, error) {
	c, err := canon.Resource(s)
	if err != nil {
		return "", errors.New("not a usable resource indicator")
	}
	return c, nil
}

func seconds(n float64) string { return strconv.Itoa(int(n)) }

// obligation is what a rule asks for before its scopes may be released.
type obligation struct {
	kind string
	args map[string]string
}
