package endpoint

import (
	"net/http"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// pending is an approval in an answer.
type pending struct {
	tokenboundary.Approval
	Lifetime int64 `json:"lifetime"` // seconds, like every duration on the wire
}

func pendingOf(a tokenboundary.Approval) pending { return pending{a, int64(a.Lifetime / time.Second)} }

// serveApprovals answers with what the operator may approve, oldest first.
func (h *Handler) serveApprovals(c *call) error {
	by, err := h.authenticateHeader(c)
	if err != nil {
		return err
	}
	waiting, err := h.g.Approvals(c.r.Context(), by)
	if err != nil {
		return err
	}
	out := make([]pending, 0, len(waiting))
	for _, a := range waiting {
		out = append(out, pendingOf(a))
	}
	return c.json(http.StatusOK, map[string]any{"approvals": out})
}

// serveApprove agrees to a pending request or refuses it. Nothing is agreed to by leaving something out.
func (h *Handler) serveApprove(c *call) error {
	by, id, err := h.named(c)
	if err != nil {
		return err
	}
	var agree bool
	members, wrong := exchange.ReadObject(c.r)
	if wrong == nil {
		wrong = read(members, map[string]any{"approve": &agree})
	}
	if wrong == nil && len(members) == 0 {
		wrong = bad("approve is missing")
	}
	if wrong != nil {
		id, agree = lineage.ID{}, false
	}
	decided, err := h.g.Approve(c.r.Context(), by, id, agree)
	if wrong != nil || err != nil {
		return malformed(wrong, err)
	}
	return c.json(http.StatusOK, pendingOf(decided))
}
