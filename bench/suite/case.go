// Package suite measures cases side by side: in rounds, one slice of each case after the other, so that whatever else the
// machine does falls on all of them. It takes the median of the rounds and sets it in proportion to that of a base.
//
// Nothing here asserts a speed. A case that fails ends the run.
package suite

import "time"

// Case is one thing to measure.
type Case struct {
	Group, Name string
	// Base is the full name (see ID) of the case that the ratio is taken to. Empty: there is no ratio.
	Base string
	// Wall says that the ratio is one of time on the clock. Otherwise it is one of processor time.
	Wall bool
	// Share says that the ratio is the throughput as a share of the base's.
	Share bool
	// Targets are what the project holds itself to.
	Targets []Target
	// Callers is how many callers ask at the same time. Zero: one.
	Callers int
	// Lasting says that one instance serves all rounds, because it takes long to open. Otherwise every slice gets a
	// fresh one, so that what an instance keeps does not become the others' heap.
	Lasting bool
	// Open makes an instance. It may write to dir, which is its own.
	Open func(dir string) (*Instance, error)
	// Step, where set, makes this row a difference of two others of the group; Open is then not used.
	Step *Step
}

// Step is the cost of one of several like things: the difference between two cases, divided by how many more the one has.
type Step struct {
	More, Less string // full names
	Count      float64
}

// ID is the full name of a case.
func (c Case) ID() string { return c.Group + "/" + c.Name }

// Instance is a case that is ready to run.
type Instance struct {
	// Op does one operation for a caller, numbered from zero. It returns an error where the operation did not come to what
	// the case is about, so that no error path is ever measured.
	Op func(caller int) error
	// Prepare, where set, makes what n operations use up. It is called before they are measured.
	Prepare func(n int) error
	// Check does one operation and verifies all of its result.
	Check func() error
	// Refuse asks for what must be refused, and returns an error where it was not, or for another reason.
	Refuse func() error
	// Close, where set, ends the instance.
	Close func() error
}

func (i *Instance) prepare(n int) error {
	if i.Prepare == nil {
		return nil
	}
	return i.Prepare(n)
}

func (i *Instance) close() error {
	if i.Close == nil {
		return nil
	}
	return i.Close()
}

// Sample is what one operation took.
type Sample struct {
	CPU, Wall time.Duration // processor time of the whole process, garbage collection included; time on the clock
	Allocs    float64
}

// Figure is what a target is about.
type Figure int

// The figures.
const (
	Ratio  Figure = iota // to the base; of a Share, in percent
	Micros               // processor time in microseconds
	Allocs               // allocations
)

// Target bounds a figure, from above unless AtLeast is set.
type Target struct {
	Of      Figure
	Value   float64
	AtLeast bool
}

// AtMost is a target that bounds a figure from above.
func AtMost(of Figure, value float64) Target { return Target{Of: of, Value: value} }

// AtLeast is a target that bounds a figure from below.
func AtLeast(of Figure, value float64) Target { return Target{Of: of, Value: value, AtLeast: true} }
