package endpoint

// LimitTree bounds the records of a tree to n.
func LimitTree(h *Handler, n int) { h.tree = n }

// What reads the body of a signal, and what writes every answer.
var (
	ReadSignal = readSignal
	Marshal    = marshal
)
