package policy

import (
	"errors"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// allowRule reads one rule that grants.
func (r *reader) allowRule(d *document, n *yaml.Node) rule {
	rl, f := r.ruleHead(d, n, "allow", "rule", "when", "scopes", "resources", "lifetime", "recheck", "delegates", "refresh",
		"deliver", "require")
	if f == nil {
		return rl
	}
	r.rule = rl.name
	defer func() { r.rule = "" }()
	if v := f["scopes"]; v != nil {
		rl.scopes, rl.named = r.scopes(v, "scopes"), v.Line
	} else {
		r.fail(n, "scopes: is required")
	}
	if v := f["lifetime"]; v != nil {
		rl.lifetime = r.duration(v, "lifetime")
	}
	if v := f["recheck"]; v != nil {
		rl.recheck = r.recheck(v, "recheck")
	}
	if v := f["refresh"]; v != nil {
		rl.refresh = r.flag(v, "refresh")
	}
	if v := f["deliver"]; v != nil {
		rl.deliver = r.flag(v, "deliver")
	}
	if f["resources"] != nil || f["delegates"] != nil || f["require"] != nil {
		rl.terms = r.terms(d, f)
	}
	return rl
}

func (r *reader) terms(d *document, f map[string]*yaml.Node) *terms {
	t := &terms{}
	if v := f["resources"]; v != nil {
		t.resources = r.ruleResources(d, v)
	}
	if v := f["delegates"]; v != nil {
		t.delegates = r.texts(v, "delegates", delegateOf)
		slices.Sort(t.delegates)
	}
	if v := f["require"]; v != nil {
		t.obligations = r.obligations(v)
	}
	return t
}

// ruleResources reads the resources that a rule is confined to: some of those that its leaf binds.
func (r *reader) ruleResources(d *document, n *yaml.Node) []string {
	var out []string
	for _, item := range r.items(n, "resources") {
		s := r.text(item, "resources")
		if s == "" {
			continue
		}
		c, err := resourceOf(s)
		switch {
		case err != nil:
			r.fail(item, "resources: %v", err)
		case !slices.Contains(d.bind.resources, c) && !slices.Contains(d.bind.resources, wildcard):
			r.fail(item, "resources: %q is not bound by this document", bounded(c))
		case slices.Contains(out, c):
			r.fail(item, "resources: %q twice", bounded(c))
		default:
			out = append(out, c)
		}
	}
	return out
}

func (r *reader) obligations(n *yaml.Node) []obligation {
	f := r.fields(n, "require", "approval", "step_up")
	if f != nil && len(n.Content) == 0 {
		r.fail(n, "require: is empty")
	}
	var out []obligation
	if v := f["approval"]; v != nil {
		g := r.fields(v, "require: approval", "by")
		if g["by"] == nil {
			r.fail(v, "require: approval: by is required")
		} else {
			by := r.name(g["by"], "require: approval: by")
			out = append(out, obligation{"approval", map[string]string{"by": by}})
		}
	}
	if v := f["step_up"]; v != nil {
		g := r.fields(v, "require: step_up", "acr", "max_age")
		args := map[string]string{}
		if g["acr"] != nil {
			args["acr"] = r.name(g["acr"], "require: step_up: acr")
		}
		if g["max_age"] != nil {
			args["max_age"] = seconds(r.duration(g["max_age"], "require: step_up: max_age").Seconds())
		}
		if len(args) == 0 {
			r.fail(v, "require: step_up: needs acr or max_age")
		}
		out = append(out, obligation{"step_up", args})
	}
	return out
}

func delegateOf(s string) error {
	if s == wildcard {
		return errors.New("a delegate is one client, by its id")
	}
	return canon.Name(s)
}
