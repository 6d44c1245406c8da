package policy

import (
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"

	"github.com/tokenboundary/tokenboundary"
)

var partyKinds = oneOfTexts("human", "agent", "workload")

// domains are what variables can be at all, where that is a closed list.
var domains = map[string]constraint{
	"grant": oneOfTexts(
		string(tokenboundary.Exchange), string(tokenboundary.ClientCredentials), string(tokenboundary.Refresh), string(tokenboundary.Leased),
	),
	// The kinds of client that can be granted something.
	"client.kind":       oneOfTexts(string(tokenboundary.KindAgent), string(tokenboundary.KindWorkload), string(tokenboundary.KindHumanApp)),
	"subject.kind":      partyKinds,
	"session.kind":      partyKinds,
	"actor.kind":        oneOfTexts("human", "agent", "workload", ""), // of a chain from elsewhere nothing is known
	sensitivityVariable: oneOfTexts("low", "medium", "high", "unknown"),
	"risk.level":        oneOfTexts("low", "medium", "high", "unknown"),
}

// parts are the least and the greatest that the parts of a time can be.
var parts = map[string][2]types.Int{
	"getHours": {0, 23}, "getMinutes": {0, 59}, "getSeconds": {0, 59}, "getMonth": {0, 11}, "getDate": {1, 31},
	"getDayOfMonth": {0, 30}, "getDayOfWeek": {0, 6}, "getDayOfYear": {0, 365},
}

// domain is what e can be at all.
func (t analysis) domain(e ast.Expr) constraint {
	switch e.Kind() {
	case ast.IdentKind:
		return domains[t.name(e)]
	case ast.CallKind:
		call := e.AsCall()
		if call.FunctionName() == "size" {
			return constraint{low: types.Int(0)}
		}
		p, ok := parts[call.FunctionName()]
		if ok && t.typeOf(arguments(call)[0]).Kind() == types.TimestampKind {
			return constraint{low: p[0], high: p[1]}
		}
	}
	return constraint{}
}
