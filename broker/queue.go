package broker

import (
	"context"
	"sync"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// job is something that a provider has to do for a lease: renew it, where it is one of this process, or take it back.
type job struct {
	info  tokenboundary.Lease
	renew *Lease
}

// queue are the jobs of one provider, each lease in it once.
type queue struct {
	filled chan struct{} // there is a job

	mu    sync.Mutex
	jobs  []job
	taken map[lineage.ID]bool // waiting, or under way
}

// put adds a job, unless there is one of the lease already.
func (q *queue) put(j job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.taken[j.info.ID] {
		return
	}
	q.taken[j.info.ID] = true
	q.jobs = append(q.jobs, j)
	q.signal()
}

func (q *queue) signal() {
	select {
	case q.filled <- struct{}{}:
	default:
	}
}

// get takes the oldest job. It has to be given to done.
func (q *queue) get() (job, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.jobs) == 0 {
		return job{}, false
	}
	j := q.jobs[0]
	if q.jobs = q.jobs[1:]; len(q.jobs) > 0 {
		q.signal() // to another worker
	}
	return j, true
}

func (q *queue) done(j job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.taken, j.info.ID)
}

// work does the jobs of a queue until the context ends. One that was begun is finished.
func (b *Broker) work(ctx context.Context, q *queue) {
	for ctx.Err() == nil {
		if b.step(context.WithoutCancel(ctx), q) {
			continue
		}
		select {
		case <-ctx.Done():
		case <-q.filled:
		}
	}
}

// step does one job, and reports whether there was one.
func (b *Broker) step(ctx context.Context, q *queue) bool {
	j, ok := q.get()
	if !ok {
		return false
	}
	defer q.done(j)
	if j.renew != nil {
		b.renew(ctx, j.renew)
	} else {
		b.takeBack(ctx, j.info)
	}
	return true
}
