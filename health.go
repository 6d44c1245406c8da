package tokenboundary

import "context"

// Health says whether the boundary can decide.
type Health struct {
	Ready bool `json:"ready"`
	// Unauthenticated counts requests that were nobody's, Unrecorded denials that could not be recorded, since start.
	Unauthenticated uint64 `json:"unauthenticated"`
	Unrecorded      uint64 `json:"unrecorded_denials"`
}

// Health reports whether the store answers and a key can sign. It needs no client.
func (g *Governor) Health(ctx context.Context) Health {
	h := Health{Unauthenticated: g.unauthenticated.Load(), Unrecorded: g.unrecorded.Load()}
	_, err := g.cfg.Store.Heads(ctx, g.cfg.Issuer, []string{envKey})
	if err == nil && g.cfg.Minter != nil {
		_, err = g.cfg.Minter.Key(ctx)
	}
	h.Ready = err == nil
	return h
}
