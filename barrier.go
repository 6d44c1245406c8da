package tokenboundary

import (
	"context"
	"sync"
)

// barrier knows the decisions that are under way, so that one can wait until all of them have ended.
type barrier struct {
	mu      sync.Mutex
	current *sync.WaitGroup
	waiting chan struct{} // holds a token while somebody waits
}

func newBarrier() *barrier {
	return &barrier{current: new(sync.WaitGroup), waiting: make(chan struct{}, 1)}
}

// enter notes that a decision begins and returns what notes its end.
func (b *barrier) enter() (leave func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.current.Add(1)
	return b.current.Done
}

// pass returns when every decision that had begun has ended, or with the context's error. It holds nothing up.
func (b *barrier) pass(ctx context.Context) error {
	select {
	case b.waiting <- struct{}{}: // those that another waits for are waited for by waiting for it
	case <-ctx.Done():
		return ctx.Err()
	}
	b.mu.Lock()
	begun := b.current
	b.current = new(sync.WaitGroup)
	b.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		begun.Wait()
		<-b.waiting
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
