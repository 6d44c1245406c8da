package policy

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// inputs are what the variables of one evaluation are read from.
type inputs struct {
	facts    tokenboundary.Facts
	catalog  *catalog // of the leaf
	resource string   // the one being decided
	scopes   []string // requested, or the leaf's default
}

// variable is one name that an expression can use. A name with a dot is one flat variable: a misspelt member is
// then an unknown name when the set is loaded, and reading it costs one look-up.
type variable struct {
	name string
	typ  *cel.Type
	doc  string
	most int // the largest size of the value: bytes of a string, entries of a list
	elem int // the largest size of an entry
	box  func(*inputs) ref.Val
}

var (
	stringList = cel.ListType(cel.StringType)
	dynMap     = cel.MapType(cel.StringType, cel.DynType)
)

// name and list are the variables of the two commonest shapes.
func name(n, doc string, get func(*tokenboundary.Facts) string) variable {
	return variable{n, cel.StringType, doc, canon.MaxName, 0, func(in *inputs) ref.Val { return text(get(&in.facts)) }}
}

func list(n, doc string, most, elem int, get func(*inputs) []string) variable {
	return variable{n, stringList, doc, most, elem, func(in *inputs) ref.Val { return texts(get(in), most) }}
}

// data is a map of values of any type; a nil one is empty.
func data(n, doc string, get func(*tokenboundary.Facts) map[string]any) variable {
	return variable{n, dynMap, doc, maxDynItems, 0, func(in *inputs) ref.Val { return dynamic(get(&in.facts)) }}
}

func instant(n, doc string, box func(*inputs) ref.Val) variable {
	return variable{n, cel.TimestampType, doc, 1, 0, box}
}

func presence(n, doc string, get func(*tokenboundary.Facts) bool) variable {
	return variable{n, cel.BoolType, doc, 1, 0, func(in *inputs) ref.Val { return types.Bool(get(&in.facts)) }}
}

// facts is short for the root package's type in the table below.
type facts = tokenboundary.Facts

// variables is the table of everything an expression can name.
var variables = []variable{
	name("grant", "the grant: client_credentials, token_exchange, refresh_token or lease", func(f *facts) string { return string(f.Grant) }),
	name("connection", "the connection asked through", func(f *facts) string { return f.Connection }),
	{resourceVariable, cel.StringType, "the resource being decided", canon.MaxResource, 0,
		func(in *inputs) ref.Val { return text(in.resource) }},
	instant("now", "the time of the decision", func(in *inputs) ref.Val { return moment(in.facts.Now, "time") }),

	name("client.id", "the authenticated client", func(f *facts) string { return f.Client.ID }),
	name("client.kind", "its registered kind", func(f *facts) string { return f.Client.Kind }),
	list("client.groups", "its groups", maxDynItems, canon.MaxName, func(in *inputs) []string { return in.facts.Client.Groups }),
	data("client.attributes", "its attributes, set by signals", func(f *facts) map[string]any { return f.Attributes.Client }),
	name("subject.id", "whose authority is used", func(f *facts) string { return f.Subject.ID }),
	name("subject.issuer", "who vouches for the subject", func(f *facts) string { return f.Subject.Issuer }),
	name("subject.kind", "human, agent or workload", func(f *facts) string { return f.Subject.Kind }),
	data("subject.attributes", "its attributes, set by signals", func(f *facts) map[string]any { return f.Attributes.Subject }),
	name("actor.id", "who acts now; the subject where nobody else does", func(f *facts) string { return f.Actor.ID }),
	name("actor.issuer", "who vouches for the actor", func(f *facts) string { return f.Actor.Issuer }),
	name("actor.kind", "human, agent or workload", func(f *facts) string { return f.Actor.Kind }),
	data("actor.attributes", "its attributes, set by signals", func(f *facts) map[string]any { return f.Attributes.Actor }),
	{"chain", cel.ListType(partyType), "the actor chain, the current actor first; entries have id, issuer and kind",
		canon.MaxChain, canon.MaxName, func(in *inputs) ref.Val { return parties(in.facts.Chain) }},

	list(scopesVariable, "the requested scopes, or the default where none were requested, and what the catalog says they imply at the resource "+
		"being decided", canon.MaxScopes, canon.MaxScope,
		func(in *inputs) []string { return in.catalog.resource(in.resource).withImplied(in.scopes) }),
	{sensitivityVariable, cel.StringType, "the highest sensitivity that the catalog gives the requested scopes at the resource being decided, " +
		"and what they imply: low, medium or high; unknown where it says nothing", canon.MaxName, 0,
		func(in *inputs) ref.Val {
			return types.String(in.catalog.resource(in.resource).sensitivity(in.scopes).String())
		}},
	{"request.lifetime", cel.DurationType, "the requested lifetime; zero for none in particular", 1, 0,
		func(in *inputs) ref.Val { return types.Duration{Duration: in.facts.Lifetime} }},
	{"request.details", cel.ListType(cel.DynType), "the requested authorization_details", maxDynItems, 0,
		func(in *inputs) ref.Val { return jsonValue(in.facts.Details, []any{}) }},

	presence("task.present", "whether there is a task", func(f *facts) bool { return f.Task != nil }),
	ofTask("task.id", "the task; empty while it is being started", func(t *tokenboundary.TaskFacts) ref.Val { return text(t.ID) }),
	ofTask("task.purpose", "what it is for", func(t *tokenboundary.TaskFacts) ref.Val { return text(t.Purpose) }),
	as(dynMap, maxDynItems, 0, ofTask("task.context", "the JSON object given with it",
		func(t *tokenboundary.TaskFacts) ref.Val { return jsonValue(t.Context, map[string]any{}) })),
	as(cel.TimestampType, 1, 0, ofTask("task.deadline", "when it ends",
		func(t *tokenboundary.TaskFacts) ref.Val { return moment(t.Deadline, "task deadline") })),

	presence("parent.present", "whether a token of the boundary is being derived from", func(f *facts) bool { return f.Parent != nil }),
	ofParent("parent.id", "that token", func(p *tokenboundary.ParentFacts) ref.Val { return text(p.ID) }),
	ofParent("parent.client", "the client it was issued to", func(p *tokenboundary.ParentFacts) ref.Val { return text(p.Client) }),
	as(stringList, canon.MaxChain, canon.MaxName, ofParent("parent.paths", "the policy paths that decided it",
		func(p *tokenboundary.ParentFacts) ref.Val { return texts(p.Paths, canon.MaxChain) })),
	as(stringList, maxHeld, canon.MaxScope, ofParent("parent.scopes", "the scopes it holds",
		func(p *tokenboundary.ParentFacts) ref.Val { return texts(p.Scopes, maxHeld) })),
	ofParent("parent.purpose", "the purpose of the task it belongs to; empty where it belongs to none",
		func(p *tokenboundary.ParentFacts) ref.Val { return text(p.Purpose) }),
	as(cel.TimestampType, 1, 0, ofParent("parent.expires", "when it expires",
		func(p *tokenboundary.ParentFacts) ref.Val { return moment(p.Expires, "parent expiry") })),
	as(cel.IntType, 1, 0, ofParent("parent.depth", "how many further actors it lets join",
		func(p *tokenboundary.ParentFacts) ref.Val { return types.Int(p.Depth) })),

	name("session.kind", "who sits behind the subject: human, agent or workload", func(f *facts) string { return f.Session.Kind }),
	name("session.id", "the identity provider's session", func(f *facts) string { return f.Session.ID }),
	instant("session.auth_time", "when the subject last authenticated", func(in *inputs) ref.Val { return moment(in.facts.Session.AuthTime, "auth_time") }),
	name("session.acr", "the authentication context stated by the credential, or by a signal since; empty where none was", func(f *facts) string { return f.Session.ACR }),
	list("session.amr", "the authentication methods stated with it", canon.MaxChain, canon.MaxName, func(in *inputs) []string { return in.facts.Session.AMR }),
	data("session.attributes", "its attributes, set by signals", func(f *facts) map[string]any { return f.Attributes.Session }),

	name("risk.level", "the highest that signals have set on session, subject, actor or client: low, medium or high; unknown where none is set", func(f *facts) string {
		if f.Risk == "" {
			return "unknown"
		}
		return f.Risk
	}),
	data("env", "facts set by configuration and signals", func(f *facts) map[string]any { return f.Env }),
}

// The variables that can differ between the resources of one request.
const (
	resourceVariable    = "resource"
	scopesVariable      = "request.scopes"
	sensitivityVariable = "request.sensitivity"
)

var targetVariables = []string{resourceVariable, scopesVariable, sensitivityVariable}

func ofTask(n, doc string, get func(*tokenboundary.TaskFacts) ref.Val) variable {
	return variable{n, cel.StringType, doc, canon.MaxName, 0, func(in *inputs) ref.Val {
		if in.facts.Task == nil {
			return absent("task")
		}
		return get(in.facts.Task)
	}}
}

func ofParent(n, doc string, get func(*tokenboundary.ParentFacts) ref.Val) variable {
	return variable{n, cel.StringType, doc, canon.MaxName, 0, func(in *inputs) ref.Val {
		if in.facts.Parent == nil {
			return absent("parent")
		}
		return get(in.facts.Parent)
	}}
}

func as(t *cel.Type, most, elem int, v variable) variable {
	v.typ, v.most, v.elem = t, most, elem
	return v
}

// slotOf finds a variable's place in the table.
var slotOf = func() map[string]int {
	out := make(map[string]int, len(variables))
	for i, v := range variables {
		out[v.name] = i
	}
	return out
}()

var targetSlots = [...]int{slotOf[resourceVariable], slotOf[scopesVariable], slotOf[sensitivityVariable]}

// slots holds the boxed values of one evaluation. A value is boxed when an expression first reads it, and once. It is
// the evaluator's activation and is for one goroutine.
type slots struct {
	inputs
	values []ref.Val
}

func newSlots() *slots { return &slots{values: make([]ref.Val, len(variables))} }

// slots returns the slots of a request that the leaf decides.
func (l *leaf) slots(f *tokenboundary.Facts, scopes []string) *slots {
	s := newSlots()
	s.facts, s.catalog, s.scopes = *f, l.catalog, scopes
	return s
}

// ResolveName implements cel.Activation.
func (s *slots) ResolveName(name string) (any, bool) {
	i, ok := slotOf[name]
	if !ok {
		return nil, false
	}
	return s.value(i), true
}

// value returns the value of a variable by its place in the table.
func (s *slots) value(i int) ref.Val {
	if s.values[i] == nil {
		s.values[i] = variables[i].box(&s.inputs)
	}
	return s.values[i]
}

// Parent implements cel.Activation: there is nothing above.
func (s *slots) Parent() cel.Activation { return nil }

// turn makes the slots speak of another resource.
func (s *slots) turn(resource string) {
	if s.resource == resource {
		return
	}
	s.resource = resource
	for _, i := range targetSlots {
		s.values[i] = nil
	}
}

// Variable describes a name that conditions can use.
type Variable struct {
	Name string // as it is written in a condition
	Type string // its CEL type
	Doc  string
}

// Variables lists everything that conditions can name, in the order of the table.
func Variables() []Variable {
	out := make([]Variable, len(variables))
	for i, v := range variables {
		out[i] = Variable{v.name, cel.FormatCELType(v.typ), v.doc}
	}
	return out
}
