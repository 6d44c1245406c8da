package policycli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/requestdoc"
	"github.com/tokenboundary/tokenboundary/internal/yamldoc"
)

// question is the request that is asked about: what the file says, and what the flags say instead.
type question struct {
	file string
	over yamldoc.Value
}

// stdin is what "-" reads.
var stdin io.Reader = os.Stdin

// flags defines the flags that describe a request.
func (q *question) flags(f *flag.FlagSet) {
	f.StringVar(&q.file, "request", "", "read the request from `FILE`, in YAML or JSON; - reads it from standard input")
	one := func(name, what string, key ...string) {
		f.Func(name, what, func(s string) error { q.set(text(s), key...); return nil })
	}
	many := func(name, what, key string) {
		list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		f.Func(name, what, func(s string) error {
			list.Content = append(list.Content, text(s))
			q.set(list, key)
			return nil
		})
	}
	one("client", "the `ID` of the client", "client", "id")
	one("grant", "the `GRANT`: client_credentials, token_exchange or refresh_token", "grant")
	one("connection", "the `NAME` of the connection", "connection")
	many("resource", "a requested `URI`; can be repeated", "resource")
	many("scope", "a requested `SCOPE`; can be repeated", "scopes")
	one("purpose", "the `PURPOSE` of the task", "task", "purpose")
	one("now", "the `TIME` of the decision, as in 2026-03-02T12:00:00Z", "now")
	f.Func("set", "any variable of a condition, as `NAME=VALUE` with the value in YAML; can be repeated", q.variable)
}

// set says that something of the request is so.
func (q *question) set(v *yaml.Node, path ...string) {
	for i := len(path) - 1; i >= 0; i-- {
		v = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: []*yaml.Node{text(path[i]), v}}
	}
	q.over = yamldoc.Merge(q.over, yamldoc.Value{Node: v})
}

func text(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }

// null takes away what the file says.
var null = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}

// renamed says where a request has what a condition knows by another name.
var renamed = [][2]string{
	{"request.scopes", "scopes"}, {"request.lifetime", "lifetime"}, {"request.details", "details"}, {"risk.level", "risk"},
	{"client.attributes", "attributes.client"}, {"subject.attributes", "attributes.subject"},
	{"actor.attributes", "attributes.actor"}, {"session.attributes", "attributes.session"},
}

// instead is what else a request can say of the same moment.
var instead = map[string]string{
	"session.auth_time": "session.auth_age", "task.deadline": "task.expires_in", "parent.expires": "parent.expires_in",
}

// variable sets a variable as it is named in conditions, or in a request.
func (q *question) variable(s string) error {
	name, value, ok := strings.Cut(s, "=")
	if !ok || name == "" {
		return errors.New("must be NAME=VALUE")
	}
	node := null
	if value != "" {
		v, bad := yamldoc.Parse([]byte(value), requestdoc.Limits)
		if bad != nil {
			return errors.New(bad.Message)
		}
		node = v
	}
	if what, ok := strings.CutSuffix(name, ".present"); ok && (what == "task" || what == "parent") {
		if node.Value != "false" {
			return fmt.Errorf("say what the %s is, as in --set %s.purpose=triage", what, what)
		}
		q.set(null, what)
		return nil
	}
	for _, r := range renamed {
		if rest, ok := strings.CutPrefix(name, r[0]); ok && (rest == "" || rest[0] == '.') {
			name = r[1] + rest
			break
		}
	}
	if other := instead[name]; other != "" {
		q.set(null, strings.Split(other, ".")...)
	}
	q.set(node, strings.Split(name, ".")...)
	return nil
}

// facts returns the request.
func (q *question) facts() (f tokenboundary.Facts, err error) {
	base := yamldoc.Value{Node: &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: 1}}
	name := "request"
	if q.file != "" {
		data, err := q.read()
		if err != nil {
			return f, err
		}
		node, bad := yamldoc.Parse(data, requestdoc.Limits)
		if bad != nil {
			return f, problem(q.file, bad)
		}
		base.Node, name = node, q.file
	}
	facts, bad := requestdoc.Read(yamldoc.Merge(spelledOut(base), q.over))
	if bad != nil {
		return f, problem(name, bad)
	}
	return facts, nil
}

// read reads the file, and not more of it than a request can have.
func (q *question) read() ([]byte, error) {
	in := stdin
	if q.file != "-" {
		f, err := os.Open(q.file)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	return io.ReadAll(io.LimitReader(in, int64(requestdoc.Limits.Bytes)+1))
}

func problem(file string, p *yamldoc.Problem) error {
	place := file
	if p.Line > 0 {
		place = fmt.Sprintf("%s:%d", file, p.Line)
	}
	return errors.New(place + ": " + p.String())
}

// spelledOut writes a party that is only named as one with an id, so that more can be said of it.
func spelledOut(v yamldoc.Value) yamldoc.Value {
	for _, key := range []string{"client", "subject", "actor"} {
		for k, n := range yamldoc.Pairs(v.Node) {
			if k.Value == key && n.Kind == yaml.ScalarNode && !yamldoc.Is(n, "!!null") {
				id := *n
				*n = yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: n.Line, Content: []*yaml.Node{text("id"), &id}}
			}
		}
	}
	return v
}
