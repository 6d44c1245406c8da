package policy

import (
	"runtime"
	"sync"
)

// loading is how a set is loaded.
type loading struct {
	workers int                 // how many processors it may take
	known   map[string]*program // what need not be compiled again, by the text of the condition
	memory  *memory             // of what need not be read again
	pace    *pace               // nil: everything waits for it
}

// atOnce loads a set for which everything waits.
func atOnce() loading { return loading{workers: runtime.GOMAXPROCS(0)} }

// beside loads the set that comes after this one while this one decides: on one processor and at a pace, of the documents only
// those that have changed since, and of the conditions only those that this one does not have.
func (s *Set) beside(m *memory, p *pace) loading {
	how := loading{workers: 1, known: map[string]*program{}, memory: m, pace: p}
	s.eachLeaf(func(l *leaf) {
		for r := range l.denyRules() {
			how.known[r.prog.text] = r.prog
		}
		for i := range l.allows {
			how.known[l.allows[i].prog.text] = l.allows[i].prog
		}
	})
	return how
}

// parallel calls f for 0 … n-1 and returns when all calls have.
func (how loading) parallel(n int, f func(int)) {
	workers := min(how.workers, n)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				f(i)
				how.pace.turn(aDocument)
			}
		})
	}
	wg.Wait()
}
