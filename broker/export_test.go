package broker

import "context"

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
