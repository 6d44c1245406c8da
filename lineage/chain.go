package lineage

import (
	"errors"
	"fmt"
	"slices"
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
		if err := verifyLink(r, seen); err != nil {
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

// verifyLink checks r against the records above it, all of which must have been seen.
func verifyLink(r Record, above map[ID]Record) error {
	for _, a := range r.Ancestors {
		up, ok := above[a]
		switch {
		case !ok:
			return fmt.Errorf("ancestor %s is missing or below", a)
		case up.Issuer != r.Issuer:
			return errors.New("an ancestor of another issuer")
		case up.Kind == KindDenial, up.Kind == KindApproval:
			return errors.New("descends from a denial or an approval, which nothing does")
		case up.Kind == KindLease && r.Kind != KindDenial: // which says that it would not be granted any more
			return errors.New("descends from a lease, which nothing does")
		case r.Kind != KindDenial && r.ExpiresAt.After(up.ExpiresAt):
			return errors.New("outlives an ancestor")
		}
	}
	var line []ID // what Envelope.Ancestors must be
	for i, p := range r.Parents {
		parent := above[p]
		if i == 0 && parent.Root() != r.Root() {
			return errors.New("its parent belongs to another grant")
		}
		for _, a := range append(slices.Clip(parent.Ancestors), p) {
			if !slices.Contains(line, a) {
				line = append(line, a)
			}
		}
		if err := verifyBody(r, parent, i == 0); err != nil {
			return err
		}
	}
	if !slices.Equal(line, r.Ancestors) {
		return errors.New("its ancestors are not those of its parents")
	}
	return nil
}

func verifyBody(child, parent Record, subject bool) error {
	if child.Body == nil || parent.Body == nil {
		return nil
	}
	held := child.Selectors()
	for _, s := range parent.Selectors() {
		if _, found := slices.BinarySearchFunc(held, s, compareSelectors); !found {
			return errors.New("lost a selector of its parent")
		}
	}
	if !subject || child.Kind == KindDenial {
		return nil
	}
	if parent.Body.Bound != "" && child.Body.Bound == "" {
		return errors.New("is not bound to a key as its parent is")
	}
	from := parent.Derivable()
	if child.Kind == KindLease { // which is a use of the token, and no derivation
		from = parent.Body.Granted
	}
	for _, to := range []Authority{child.Body.Granted, child.Derivable()} {
		to.Details = nil
		if !from.Covers(to) {
			return errors.New("exceeds the authority of its parent")
		}
	}
	return nil
}
