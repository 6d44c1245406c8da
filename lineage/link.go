package lineage

import (
	"errors"
	"slices"
)

// VerifyLink checks a record against those above it, for whoever goes through more records than fit into memory: that it
// belongs to what they belong to, and neither outlives nor exceeds any of them. It trusts that each record was decoded by
// Decode, and that above returns the one with the id, or reports that there is none.
//
// Missing are the ancestors that are not there. What only they could prove is then not checked, and neither is what only an
// erased body could. Coverage of authorization_details is for the validator of their type.
func VerifyLink(r Record, above func(ID) (Record, bool)) (missing []ID, err error) {
	known := make(map[ID]Record, len(r.Ancestors))
	for _, a := range r.Ancestors {
		up, ok := above(a)
		if !ok {
			missing = append(missing, a)
			continue
		}
		known[a] = up
		if err := verifyAncestor(r, up); err != nil {
			return missing, err
		}
	}
	if err := verifyParents(r, known); err != nil {
		return missing, err
	}
	for _, a := range r.Ancestors {
		if up, ok := known[a]; ok {
			if err := verifyBody(r, up, len(r.Parents) == 1 || a == r.Parents[0]); err != nil {
				return missing, err
			}
		}
	}
	return missing, nil
}

// verifyAncestor checks an envelope against one above it.
func verifyAncestor(r, up Record) error {
	switch {
	case up.Issuer != r.Issuer:
		return errors.New("an ancestor of another issuer")
	case up.Kind == KindDenial, up.Kind == KindApproval:
		return errors.New("descends from a denial or an approval, which nothing does")
	case up.Kind == KindLease && r.Kind != KindDenial: // which says that it would not be granted any more
		return errors.New("descends from a lease, which nothing does")
	case r.Kind != KindDenial && r.ExpiresAt.After(up.ExpiresAt):
		return errors.New("outlives an ancestor")
	}
	return nil
}

// verifyParents checks that a record has the ancestors of its parents, as far as these are known.
func verifyParents(r Record, known map[ID]Record) error {
	whole := true
	var line []ID // what Envelope.Ancestors must be
	for i, p := range r.Parents {
		parent, ok := known[p]
		if whole = whole && ok; !ok {
			continue
		}
		if i == 0 && parent.Root() != r.Root() {
			return errors.New("its parent belongs to another grant")
		}
		for _, a := range append(slices.Clip(parent.Ancestors), p) {
			if !slices.Contains(line, a) {
				line = append(line, a)
			}
		}
	}
	if whole && !slices.Equal(line, r.Ancestors) {
		return errAncestors
	}
	for _, up := range known {
		for _, a := range up.Ancestors {
			if !slices.Contains(r.Ancestors, a) {
				return errAncestors
			}
		}
	}
	return nil
}

var errAncestors = errors.New("its ancestors are not those of its parents")

// verifyBody checks what a record says against what one above it says. From is whether it narrows from there.
func verifyBody(r, up Record, from bool) error {
	if r.Body == nil || up.Body == nil {
		return nil
	}
	held := r.Selectors()
	for _, s := range up.Selectors() {
		if _, found := slices.BinarySearchFunc(held, s, compareSelectors); !found {
			return errors.New("lost a selector of its parent")
		}
	}
	if !from || r.Kind == KindDenial {
		return nil
	}
	if up.Body.Bound != "" && r.Body.Bound == "" {
		return errors.New("is not bound to a key as its parent is")
	}
	most := up.Derivable()
	if r.Kind == KindLease && slices.Contains(r.Parents, up.ID()) { // which is a use of the token, and no derivation
		most = up.Body.Granted
	}
	for _, to := range []Authority{r.Body.Granted, r.Derivable()} {
		to.Details = nil
		if !most.Covers(to) {
			return errors.New("exceeds the authority of its parent")
		}
	}
	return nil
}
