// Package cases lists what is measured of the boundary, and the bare operations that it is compared with. The peers are in
// package peers.
package cases

import "github.com/tokenboundary/tokenboundary/bench/suite"

// All returns the cases of the boundary, in the order of the table.
func All() []suite.Case {
	var all []suite.Case
	for _, group := range [][]suite.Case{bare(), decisions(), bindings(), engines(), exchanges(), handlers(), durable()} {
		all = append(all, group...)
	}
	return all
}

// The groups, in the order of the table.
const (
	GroupBare     = "bare crypto"
	GroupDecision = "decision"
	GroupBindings = "bindings"
	GroupEngines  = "policy engines"
	GroupExchange = "exchange in process, memory store"
	GroupHandler  = "POST /token, memory store"
	GroupDurable  = "durable"
)

// VerifyAndSign and SignOnly are the full names of the bases: what no token service can do without.
const (
	VerifyAndSign = GroupBare + "/P-256 verify + sign"
	SignOnly      = GroupBare + "/P-256 sign"
)
