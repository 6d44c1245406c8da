package endpoint

// LimitTree bounds the records of a tree to n.
func LimitTree(h *Handler, n int) { h.tree = n }
