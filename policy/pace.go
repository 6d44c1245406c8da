package policy

import (
	"context"
	"runtime"
	"time"
)

// How loading beside decisions is spread: so much work, then a rest, until there were so many.
const (
	aLook     = 1 // at a name in a directory, some microseconds
	aDocument = 2 // that is read, or a condition that is compiled: some tens
	aParse    = 6 // of a document
	stretch   = 8
	rest      = time.Millisecond
	maxRests  = 2000
)

// pace spreads work, so that what is done meanwhile waits for it rarely. Where there are few processors, a goroutine that goes from
// one call of the operating system to the next, or makes work for the garbage collector, delays others by several
// milliseconds however often it yields. The price is a second for a thousand documents, and no more than some four. A nil pace
// hurries, and only yields; so does one whose context has ended. It is for one goroutine.
type pace struct {
	ctx   context.Context
	work  int // since the last rest
	rests int
}

// turn is called after a piece of work.
func (p *pace) turn(work int) {
	if p == nil || p.rests >= maxRests || p.ctx.Err() != nil {
		runtime.Gosched()
		return
	}
	if p.work += work; p.work >= stretch {
		ctx, done := context.WithTimeout(p.ctx, rest)
		<-ctx.Done()
		done()
		p.work = 0
		p.rests++
	}
}
