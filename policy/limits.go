package policy

import (
	"math"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/internal/yamldoc"
)

// MaxLifetime is the longest lifetime that a document may grant, and what a verdict says where neither a rule nor a
// limit says less. The Governor bounds it further by its own configuration.
const MaxLifetime = 24 * time.Hour

// Limits on documents. They are checked before work that grows with the input.
const (
	maxFile        = 256 << 10 // bytes of one document
	maxFiles       = 250_000   // documents of one set
	maxSet         = 512 << 20 // bytes of one set
	maxPath        = canon.MaxName
	maxRules       = 256     // rules of one document
	maxList        = 256     // entries of one list
	maxCatalog     = 4096    // resources, connections, or clients of one, in a catalog
	maxRuleName    = 128     // bytes
	maxBindings    = 4096    // triples bound by one document
	maxExpressions = 131_072 // distinct expressions of one set
	maxProblems    = 100     // reported at once
	maxMessage     = 200     // bytes of a reported message
)

var yamlLimits = yamldoc.Limits{Bytes: maxFile, Depth: 16, Nodes: 20_000}

// Limits on expressions and on the values they see, on which the cost estimate rests.
const (
	maxExpression = 4 << 10 // bytes
	maxExprNodes  = 1000
	maxExprDepth  = 32
	maxCost       = 100_000 // the worst case of one evaluation, in units of the estimate
	maxPattern    = 128     // bytes of a regular expression
	maxProgram    = 256     // instructions of a compiled regular expression

	maxDynNodes = 4096 // values in one variable of any type: env, task.context, attributes, …
	maxDynItems = 256  // entries of one list or map there
	maxDynText  = 4096 // bytes of one string there
	maxHeld     = canon.MaxScopes * canon.MaxResources
)

// limits bound a verdict. Every field is in force; the loosest value of each is in noLimits.
type limits struct {
	lifetime    time.Duration
	depth       int
	derivations uint64
	recheck     time.Duration // zero: none
}

// everyUse is how a document says that nothing is relied on from one use to the next, and oneUse how a verdict does: records
// tell no less time apart.
const (
	everyUse = "call"
	oneUse   = time.Millisecond
)

var noLimits = limits{lifetime: MaxLifetime, depth: canon.MaxChain, derivations: math.MaxInt32}

func (l limits) meet(o limits) limits {
	return limits{
		min(l.lifetime, o.lifetime), min(l.depth, o.depth), min(l.derivations, o.derivations), sooner(l.recheck, o.recheck),
	}
}

// sooner returns the smaller of two intervals. Zero is none, and not the smallest.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
