package policy

import (
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/tokenboundary/tokenboundary"
)

// edit is one thing to change in the facts of a request.
type edit struct {
	path  []string // a variable and members of it
	value ref.Val  // nil: it is taken away
	any   bool     // any value will do: this one stands for all
	but   ref.Val  // any but this will do: the value stands for all
	wait  bool     // a later time, to be found
}

func (e edit) name() string { return strings.Join(e.path, ".") }

// same reports whether two edits of one path come to the same.
func (e edit) same(o edit) bool { return e.wait == o.wait && e.to() == o.to() }

// impliedBy reports whether the other edit brings this one about, which only asks that there is something.
func (e edit) impliedBy(other edit) bool {
	switch {
	case e.any && !other.any && other.value != nil:
		return len(other.path) >= len(e.path) && slices.Equal(other.path[:len(e.path)], e.path)
	case e.name() == "task.present" && e.value == types.True:
		return other.path[0] != e.path[0] && strings.HasPrefix(other.path[0], "task.")
	}
	return false
}

// to says what becomes of it.
func (e edit) to() string {
	switch {
	case e.value == nil:
		return noValue
	case e.any:
		return "any value"
	case e.but != nil:
		return "anything but " + jsonText(e.but)
	}
	return jsonText(e.value)
}

// Who can bring a change about, from the nearest: who asks, the person behind the session, who sends signals, nobody
// but time, and nobody at all, because it would be a request of somebody else.
const (
	byRequest = iota
	bySession
	bySignal
	byWaiting
	byOthers
)

// changeable is how a variable can be changed. The set function works on a copy of the facts of which everything that
// is not a plain field is still shared; it returns false where the value does not fit.
type changeable struct {
	by  int
	how string
	set func(f *tokenboundary.Facts, path []string, v ref.Val) bool
}

// changeables is what a change can be about. The parent and the ids of what the boundary has issued are not here.
var changeables = map[string]changeable{
	"grant":            {byRequest, "", setText(func(f *facts, s string) { f.Grant = tokenboundary.Grant(s) })},
	"connection":       {byRequest, "", setText(func(f *facts, s string) { f.Connection = s })},
	"resource":         {byRequest, "", setResource},
	"request.scopes":   {byRequest, "", setTexts(func(f *facts, list []string) { f.Scopes = list })},
	"request.lifetime": {byRequest, "", setLifetime},
	"task.present":     {byRequest, "", setPresent},
	"task.purpose":     {byRequest, "", setText(func(f *facts, s string) { task(f).Purpose = s })},
	"task.context":     {byRequest, "", setContext},
	"task.deadline":    {byRequest, "", setTime(func(f *facts, t time.Time) { task(f).Deadline = t })},

	"session.acr":       {bySession, "step up", setText(func(f *facts, s string) { f.Session.ACR = s })},
	"session.amr":       {bySession, "step up", setTexts(func(f *facts, list []string) { f.Session.AMR = list })},
	"session.auth_time": {bySession, "step up", setTime(func(f *facts, t time.Time) { f.Session.AuthTime = t })},

	"risk.level":         {bySignal, "by a signal", setText(func(f *facts, s string) { f.Risk = s })},
	"env":                {bySignal, "by a signal", setMember(func(f *facts) *map[string]any { return &f.Env })},
	"client.attributes":  {bySignal, "by a signal", setMember(func(f *facts) *map[string]any { return &f.Attributes.Client })},
	"subject.attributes": {bySignal, "by a signal", setMember(func(f *facts) *map[string]any { return &f.Attributes.Subject })},
	"actor.attributes":   {bySignal, "by a signal", setMember(func(f *facts) *map[string]any { return &f.Attributes.Actor })},
	"session.attributes": {bySignal, "by a signal", setMember(func(f *facts) *map[string]any { return &f.Attributes.Session })},
	"client.groups":      {bySignal, "by its registration", setTexts(func(f *facts, list []string) { f.Client.Groups = list })},

	"now": {byWaiting, "wait", setNow},

	"client.kind":    {byOthers, "another client", setText(func(f *facts, s string) { f.Client.Kind = s })},
	"subject.id":     {byOthers, "another subject", setText(func(f *facts, s string) { f.Subject.ID = s })},
	"subject.issuer": {byOthers, "another subject", setText(func(f *facts, s string) { f.Subject.Issuer = s })},
	"subject.kind":   {byOthers, "another subject", setText(func(f *facts, s string) { f.Subject.Kind = s })},
	"actor.id":       {byOthers, "another actor", setText(func(f *facts, s string) { f.Actor.ID = s })},
	"actor.issuer":   {byOthers, "another actor", setText(func(f *facts, s string) { f.Actor.Issuer = s })},
	"actor.kind":     {byOthers, "another actor", setText(func(f *facts, s string) { f.Actor.Kind = s })},
	"session.kind":   {byOthers, "another session", setText(func(f *facts, s string) { f.Session.Kind = s })},
}

// apply makes the edit on a copy of the facts.
func (e edit) apply(f *tokenboundary.Facts) bool {
	c, ok := changeables[e.path[0]]
	return ok && c.set(f, e.path[1:], e.value)
}
