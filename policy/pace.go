package policy

import (
	"runtime"
	"time"
)

// How loading beside decisions is spread: some work, then rest, until it has rested for so long.
const (
	stretch  = 20 * time.Microsecond
	rest     = time.Millisecond
	mostRest = 2 * time.Second
)

// pace spreads work, so that what is done meanwhile waits for it rarely. Where there are few processors, a goroutine that goes from
// one call of the operating system to the next, or makes work for the garbage collector, delays others by several
// milliseconds however often it yields. The price is at most two seconds. A nil pace hurries, and only yields. It is for one
// goroutine.
type pace struct {
	since time.Time     // it began, or has last rested
	left  time.Duration // that it may rest
}

func newPace() *pace { return &pace{time.Now(), mostRest} }

// turn is called between two pieces of work.
func (p *pace) turn() {
	if p == nil || p.left <= 0 {
		runtime.Gosched()
		return
	}
	if now := time.Now(); now.Sub(p.since) >= stretch {
		time.Sleep(rest)
		p.since = time.Now()
		p.left -= p.since.Sub(now)
	}
}
