package broker

import (
	"context"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// MaxWaiting is how many uses a Proxy puts down at most.
const MaxWaiting = maxWaiting

// PutDown puts down a use of a token, of the first route.
func (p *Proxy) PutDown(token lineage.ID) error { return p.uses.add(token, p.routes[0]) }

// Sweep looks at the book once, and does all that is due before it returns.
func (b *Broker) Sweep(ctx context.Context) error {
	_, err := b.look(ctx)
	for _, q := range b.queues {
		for b.step(ctx, q) {
			continue
		}
	}
	return err
}
