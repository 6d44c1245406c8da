package tokenboundary

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// grantDetails returns the requested entries that the verdict grants and the ceiling covers.
func (h *hop) grantDetails(v Verdict, ceiling *lineage.Authority) ([]json.RawMessage, error) {
	if len(h.req.Details) == 0 {
		return nil, nil
	}
	no := func(why string) ([]json.RawMessage, error) {
		return nil, refuse(CodeInvalidDetails, "authorization_details", why)
	}
	var entries []json.RawMessage
	if err := json.Unmarshal(h.req.Details, &entries); err != nil {
		return no("not an array")
	}
	var out []json.RawMessage
	for _, entry := range entries {
		t := h.g.cfg.Details[typeOf(entry)]
		if t == nil {
			return no("unknown type")
		}
		granted := slices.ContainsFunc(v.Details, func(d json.RawMessage) bool { return bytes.Equal(d, entry) })
		if granted && (ceiling == nil || covered(t, ceiling.Details, entry)) {
			out = append(out, entry)
		}
	}
	if len(out) == 0 {
		return no(whyNoDetails)
	}
	return out, nil
}

// covered reports whether one of the parent's entries of the child's type covers it. What cannot be decided is not.
func covered(t DetailType, parent []json.RawMessage, child json.RawMessage) bool {
	return slices.ContainsFunc(parent, func(p json.RawMessage) bool {
		if typeOf(p) != typeOf(child) {
			return false
		}
		ok, err := t.Covers(p, child)
		return ok && err == nil
	})
}

// typeOf returns the type of an authorization_details entry; empty where it has none.
func typeOf(entry json.RawMessage) string {
	var members map[string]json.RawMessage // a struct would match the name in any case
	var name string
	if json.Unmarshal(entry, &members) != nil || json.Unmarshal(members["type"], &name) != nil {
		return ""
	}
	return name
}
