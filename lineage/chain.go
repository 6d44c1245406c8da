package lineage

import (
	"errors"
	"fmt"
)

// ErrChain is wrapped by every error of VerifyChain.
var ErrChain = errors.New("lineage: chain does not verify")

// VerifyChain checks a chain from a token alone: id is the token's jti, chain the records that are claimed to stand
// behind it, root first and the token's own last. It reports the first thing that cannot be what was recorded: a
// record that is not the one named, one that is missing or does not belong, a child that outlives or exceeds its
// parent, a selector that was lost on the way down.
//
// Erased bodies are accepted; what only they could prove is then not checked. Coverage of authorization_details is
// not checked either: it is for the validator of their type.
func VerifyChain(id ID, chain []Record) error {
	seen := map[ID]Record{}
	order := make([]ID, 0, len(chain))
	for _, r := range chain {
		r, err := Decode(r.Raw(), r.RawBody())
		if err != nil {
			return fmt.Errorf("%w: %w", ErrChain, err)
		}
		missing, err := VerifyLink(r, func(id ID) (Record, bool) { up, ok := seen[id]; return up, ok })
		if err == nil && len(missing) > 0 {
			err = fmt.Errorf("ancestor %s is missing or below", missing[0])
		}
		if err != nil {
			return fmt.Errorf("%w: record %s: %w", ErrChain, r.ID(), err)
		}
		seen[r.ID()] = r
		order = append(order, r.ID())
	}
	if len(order) == 0 || id.IsZero() || order[len(order)-1] != id {
		return fmt.Errorf("%w: the last record is not the one named", ErrChain)
	}
	last := seen[id]
	if len(seen) != len(order) || len(order)-1 != len(last.Ancestors) {
		return fmt.Errorf("%w: records that are no ancestors", ErrChain)
	}
	for _, a := range last.Ancestors {
		if _, ok := seen[a]; !ok {
			return fmt.Errorf("%w: ancestor %s is missing", ErrChain, a)
		}
	}
	return nil
}
