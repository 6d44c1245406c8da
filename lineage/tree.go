package lineage

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// State is what a record amounts to at a moment.
type State string

// The states of a record. What descends from something revoked, and what belongs to a task that was ended, is revoked.
const (
	Active    State = "active"
	Expired   State = "expired"
	Revoked   State = "revoked"
	Suspended State = "suspended"
	Denied    State = "denied"
)

// Node is a record together with its state when it was read.
type Node struct {
	Record Record
	State  State
	// Usage is what resources have reported of the use of a token, by resource; nil where none has.
	Usage []Usage
}

// WriteTree renders nodes as an indented tree for people: each record under its first parent, with what it grants and
// the rule that allowed each scope. A record whose parent is not among the nodes stands at the top. Names that came
// from outside are escaped.
func WriteTree(w io.Writer, nodes []Node) error {
	known := map[ID]bool{}
	for _, n := range nodes {
		known[n.Record.ID()] = true
	}
	children := map[ID][]Node{}
	for _, n := range nodes {
		var parent ID
		if ps := n.Record.Parents; len(ps) > 0 && known[ps[0]] {
			parent = ps[0]
		}
		children[parent] = append(children[parent], n)
	}
	t := &treeWriter{w: w, children: children}
	for _, n := range children[ID{}] {
		t.node(n, "", "")
	}
	return t.err
}

type treeWriter struct {
	w        io.Writer
	children map[ID][]Node
	err      error
}

func (t *treeWriter) line(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, format+"\n", args...)
	}
}

// node writes n with first before its heading and rest before every further line.
func (t *treeWriter) node(n Node, first, rest string) {
	t.line("%s%s", first, heading(n))
	below := t.children[n.Record.ID()]
	bar := "   "
	if len(below) > 0 {
		bar = "│  "
	}
	for _, text := range explain(n.Record) {
		t.line("%s%s%s", rest, bar, text)
	}
	for i, c := range below {
		if i == len(below)-1 {
			t.node(c, rest+"└─ ", rest+"   ")
		} else {
			t.node(c, rest+"├─ ", rest+"│  ")
		}
	}
}

func heading(n Node) string {
	r := n.Record
	kind := string(r.Kind)
	if r.Kind == KindGrant {
		kind = "refresh family"
	}
	out := fmt.Sprintf("%s %.8s…  %s", kind, r.ID(), n.State)
	if !r.ExpiresAt.IsZero() {
		layout := time.TimeOnly
		if r.ExpiresAt.Sub(r.IssuedAt) >= 24*time.Hour {
			layout = time.DateTime
		}
		out += "  until " + r.ExpiresAt.Format(layout)
	}
	if r.Body == nil {
		return out + "  (erased)"
	}
	out += "  " + name(r.Body.Subject.ID)
	for _, a := range r.Body.Actors {
		out += " ← " + name(a.ID)
	}
	return out + "  via " + name(r.Body.Client)
}

func explain(r Record) []string {
	if r.Body == nil {
		return nil
	}
	var out []string
	switch t := r.Body.Task; {
	case r.Kind == KindTask:
		out = append(out, "purpose "+safe(t.Purpose))
	case (r.Kind == KindToken || r.Kind == KindGrant) && t != nil && t.Authority != nil && r.Body.Granted.Empty():
		return []string{"stands for the task, for deriving only"} // its reasons are the task's
	}
	if r.Kind == KindDenial {
		out = append(out, "refused: "+safe(r.Body.Code))
	}
	out = append(out, waits(r.Body)...)
	if l := r.Body.Lease; l != nil {
		out = append(out, leased(*l))
	}
	if a := r.Body.Approved; a != nil && !a.At.IsZero() {
		out = append(out, agreed(*a))
	}
	for _, x := range r.Body.Reasons {
		what := strings.TrimSpace(safe(x.Scope) + " @ " + safe(x.Resource))
		switch {
		case x.Scope == "":
			out = append(out, safe(x.Why))
		case x.Granted:
			out = append(out, fmt.Sprintf("%s  allowed by %s", what, safe(x.Rule)))
		default:
			out = append(out, fmt.Sprintf("%s  dropped: %s", what, safe(x.Why)))
		}
	}
	return out
}

// waits says what an approval waits for.
func waits(b *Body) []string {
	if b.Deferred == nil {
		return nil
	}
	var out []string
	if b.Deferred.Task != nil && b.Task != nil {
		out = append(out, "asks for a task, purpose "+safe(b.Task.Purpose))
	}
	for _, w := range b.Deferred.Wants {
		what := safe(w.Kind)
		for _, arg := range slices.Sorted(maps.Keys(w.Args)) {
			what += " " + safe(arg) + "=" + name(w.Args[arg])
		}
		out = append(out, "waits for "+what+"  "+safe(strings.Join(w.Scopes, " ")))
	}
	return out
}

// leased says who holds a credential.
func leased(l Lease) string {
	if l.Deliver {
		return "held by " + name(l.By) + ", to be delivered"
	}
	return "held by " + name(l.By)
}

func agreed(a Approved) string {
	if a.By == "" {
		return "released by a step-up at " + a.At.Format(time.TimeOnly)
	}
	out := "approved by " + name(a.By)
	if a.Person != "" {
		out += " for " + name(a.Person)
	}
	return out + " at " + a.At.Format(time.TimeOnly)
}

// name renders the name of somebody so that it cannot pass for two.
func name(s string) string {
	if strings.ContainsAny(s, " ←") {
		return strconv.QuoteToGraphic(s)
	}
	return safe(s)
}

// safe escapes what would let a name forge lines or colours on a terminal.
func safe(s string) string {
	q := strconv.QuoteToGraphic(s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}
