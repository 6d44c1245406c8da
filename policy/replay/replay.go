package replay

import (
	"context"
	"iter"
	"runtime"

	"github.com/tokenboundary/tokenboundary"
)

// Options are what Run can be told. The zero value is usable.
type Options struct {
	// Baseline, if set, is what the candidate is compared with, in place of what was recorded.
	Baseline tokenboundary.Policy
	// Examples is how many decisions are named for each group. Zero: 3; below zero: none.
	Examples int
}

// chunk is how many decisions one worker takes at a time.
const chunk = 64

// Run decides again under the candidate and reports what would change. It uses all processors, and both policies are asked
// concurrently. The report follows from the decisions, their order and the policies alone, and what is held in memory does
// not grow with their number. An error is that of the decisions or of the context; a decision that a policy could not make
// is in the report.
func Run(
	ctx context.Context, decisions iter.Seq2[tokenboundary.Past, error], candidate tokenboundary.Policy, o Options,
) (Report, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	workers := runtime.GOMAXPROCS(0)
	todo, inOrder := make(chan *job), make(chan *job, 2*workers)
	var failed error
	go func() {
		defer close(inOrder)
		defer close(todo)
		failed = deal(ctx, decisions, todo, inOrder)
	}()
	for range workers {
		go func() {
			for j := range todo {
				j.done <- compareAll(ctx, j.past, candidate, o.Baseline)
			}
		}()
	}
	t := tally{groups: map[group]*Group{}, examples: o.Examples}
	if t.examples == 0 {
		t.examples = 3
	}
	for j := range inOrder {
		t.add(<-j.done)
	}
	if failed == nil {
		failed = context.Cause(ctx)
	}
	return t.done(), failed
}

// job is some decisions, and where what is found goes.
type job struct {
	past []tokenboundary.Past
	done chan result
}

// deal hands the decisions out, each part to a worker and, in order, to whoever adds up what they find.
func deal(ctx context.Context, decisions iter.Seq2[tokenboundary.Past, error], todo, inOrder chan<- *job) error {
	hand := func(past []tokenboundary.Past) error {
		j := &job{past, make(chan result, 1)}
		select {
		case todo <- j:
		case <-ctx.Done():
			return ctx.Err()
		}
		inOrder <- j // there is always somebody who takes it, in the end
		return nil
	}
	past := make([]tokenboundary.Past, 0, chunk)
	for p, err := range decisions {
		if err != nil {
			return err
		}
		if past = append(past, p); len(past) < chunk {
			continue
		}
		if err := hand(past); err != nil {
			return err
		}
		past = make([]tokenboundary.Past, 0, chunk)
	}
	return hand(past)
}
