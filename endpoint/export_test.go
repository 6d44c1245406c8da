package endpoint

// LimitTree bounds the records of a tree to n.
func LimitTree(h *Handler, n int) { h.tree = n }

// What reads the body of a signal and of a report of use, and what writes every answer.
var (
	ReadSignal = readSignal
	ReadUses   = readUses
	Marshal    = marshal
)
