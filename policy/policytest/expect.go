package policytest

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/yamldoc"
)

// expectation is what a test states. What it does not state is nil, or empty.
type expectation struct {
	effect      tokenboundary.Effect
	code        string
	path        string
	rule        string
	controls    *[]string
	scopes      *[]string           // at each resource
	perResource map[string][]string // or by resource
	dropped     *[]string
	lifetime    *time.Duration
	recheck     *time.Duration
	depth       *int
	derivations *int
	obligations *[]obligation
	delegates   map[string][]string
	refresh     marked
	deliver     marked
	rules       map[string]string
}

// marked is what is stated of which scopes a right goes with. The zero value states nothing.
type marked struct {
	scopes *[]string // exactly these
	all    *bool     // all that are granted, or none
}

// obligation is an obligation as a test states it.
type obligation struct {
	kind   string
	args   map[string]string
	scopes *[]string
}

// ofDenial and ofAllow are the keys that say something of only one of the effects.
var (
	ofDenial = []string{"code", "rule"}
	ofAllow  = []string{
		"scopes", "lifetime", "recheck", "depth", "derivations", "obligations", "delegates", "refresh", "deliver", "rules",
	}
)

const maxEntries = 256

func (r *reader) expectation(v yamldoc.Value) *expectation {
	x := &expectation{}
	found := r.Object(v, yamldoc.Fields{
		"effect": func(v yamldoc.Value) {
			if r.Choice(v, "allow", "deny") == "allow" {
				x.effect = tokenboundary.Allow
			}
		},
		"code": func(v yamldoc.Value) {
			x.code = r.Choice(v, string(tokenboundary.CodeInvalidScope), string(tokenboundary.CodeInvalidTarget))
		},
		"path":        func(v yamldoc.Value) { x.path = r.path(v) },
		"rule":        func(v yamldoc.Value) { x.rule = r.ruleName(v, r.known.deny) },
		"rules":       func(v yamldoc.Value) { x.rules = r.ruleNames(v) },
		"controls":    r.list(&x.controls),
		"scopes":      func(v yamldoc.Value) { r.scopes(v, x) },
		"dropped":     r.list(&x.dropped),
		"lifetime":    func(v yamldoc.Value) { x.lifetime = ref(r.Duration(v, false)) },
		"recheck":     func(v yamldoc.Value) { x.recheck = ref(r.Duration(v, true)) },
		"depth":       func(v yamldoc.Value) { x.depth = ref(r.Int(v, math.MaxInt32)) },
		"derivations": func(v yamldoc.Value) { x.derivations = ref(r.Int(v, math.MaxInt32)) },
		"obligations": func(v yamldoc.Value) {
			x.obligations = &[]obligation{}
			r.List(v, maxEntries, func(v yamldoc.Value) { *x.obligations = append(*x.obligations, r.obligation(v)) })
		},
		"delegates": func(v yamldoc.Value) { x.delegates = r.lists(v) },
		"refresh":   r.marked(&x.refresh),
		"deliver":   r.marked(&x.deliver),
	}.Optional())
	maps.DeleteFunc(found, func(_ string, v yamldoc.Value) bool { return v.Null() })
	r.fits(v, x.effect, found)
	if x.rule != "" && x.code == string(tokenboundary.CodeInvalidScope) {
		r.Fail(found["rule"], "does not go with code: %s; a deny rule denies the target: %s", x.code, tokenboundary.CodeInvalidTarget)
	}
	return x
}

// fits refuses an expectation without an effect, and one that can only be met with the other effect.
func (r *reader) fits(v yamldoc.Value, effect tokenboundary.Effect, found map[string]yamldoc.Value) {
	if _, ok := found["effect"]; !ok {
		r.Fail(v, "effect: is required: allow or deny")
	}
	wrong := ofDenial
	if effect != tokenboundary.Allow {
		wrong = ofAllow
	}
	for _, key := range wrong {
		if e, ok := found[key]; ok {
			r.Fail(e, "does not go with effect: %s", effect)
		}
	}
}

// noPath states that no policy path is bound; a path begins with a slash.
const noPath = "none"

func (r *reader) path(v yamldoc.Value) string {
	s := r.Name(v)
	if s != noPath && !strings.HasPrefix(s, "/") {
		r.Fail(v, "must be a policy path such as /agents/bot, or none")
	}
	return s
}

func ref[T any](v T) *T { return &v }

// list reads a list of names into to, sorted.
func (r *reader) list(to **[]string) func(yamldoc.Value) {
	return func(v yamldoc.Value) {
		out := r.Names(v, maxEntries)
		slices.Sort(out)
		*to = &out
	}
}

// marked reads a list of scopes, or whether it is all of them.
func (r *reader) marked(to *marked) func(yamldoc.Value) {
	return func(v yamldoc.Value) {
		if v.List() {
			r.list(&to.scopes)(v)
		} else {
			to.all = ref(r.Bool(v))
		}
	}
}

// lists reads lists of names by key.
func (r *reader) lists(v yamldoc.Value) map[string][]string {
	out := map[string][]string{}
	if r.mapping(v); r.Bad != nil {
		return out
	}
	for k, n := range yamldoc.Pairs(v.Node) {
		var one *[]string
		r.list(&one)(v.At(k.Value, n))
		out[k.Value] = *one
	}
	return out
}

func (r *reader) scopes(v yamldoc.Value, x *expectation) {
	if v.Mapping() {
		x.perResource = r.lists(v)
		return
	}
	r.list(&x.scopes)(v)
	if len(*x.scopes) == 0 {
		r.Fail(v, "is empty: where no scope is granted, the effect is deny")
	}
}

func (r *reader) ruleNames(v yamldoc.Value) map[string]string {
	out := map[string]string{}
	if r.mapping(v); r.Bad != nil {
		return out
	}
	for k, n := range yamldoc.Pairs(v.Node) {
		out[k.Value] = r.ruleName(v.At(k.Value, n), r.known.allow)
	}
	return out
}

// ruleName reads the name of a rule, which must be one of those.
func (r *reader) ruleName(v yamldoc.Value, among []string) string {
	s := r.Name(v)
	if s != "" && !listed(among, s) {
		r.Fail(v, "the set has no such rule: %q", s)
	}
	return s
}

// obligation reads what is stated of an obligation, with the arguments that a rule writes under require.
func (r *reader) obligation(v yamldoc.Value) obligation {
	o := obligation{args: map[string]string{}}
	arg := func(key string) func(yamldoc.Value) {
		return func(v yamldoc.Value) { o.args[key] = r.Name(v) }
	}
	r.Object(v, yamldoc.Fields{
		"kind": func(v yamldoc.Value) { o.kind = r.Choice(v, "approval", "step_up") },
		"by":   arg("by"), "acr": arg("acr"),
		"max_age": func(v yamldoc.Value) { o.args["max_age"] = strconv.Itoa(int(r.Duration(v, false).Seconds())) },
		"scopes":  r.list(&o.scopes),
	})
	if o.kind == "" {
		r.Fail(v, "kind: is required")
	}
	return o
}
