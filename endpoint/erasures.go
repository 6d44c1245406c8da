package endpoint

import (
	"errors"
	"net/http"
	"time"

	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// erasureTime is how long one answer erases. What is left then is for the same request again.
const erasureTime = 30 * time.Second

// serveErase takes the bodies out of the records of somebody, {"selector"}, and answers with what came of it.
func (h *Handler) serveErase(c *call) error {
	by, err := h.authenticateHeader(c)
	if err != nil {
		return err
	}
	sel, wrong := readErasure(c.r)
	if wrong != nil {
		sel = lineage.Selector{}
	}
	limited, cancel := h.cfg.Clock.WithTimeout(c.r.Context(), erasureTime)
	defer cancel()
	out, err := h.g.Erase(limited, by, sel)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return problem(http.StatusNotImplemented, "the store keeps everything")
	case wrong != nil || err != nil:
		return malformed(wrong, err)
	}
	return c.json(http.StatusOK, out)
}

func readErasure(r *http.Request) (lineage.Selector, error) {
	members, err := exchange.ReadObject(r)
	if err != nil {
		return lineage.Selector{}, err
	}
	var selector string
	if err := read(members, map[string]any{"selector": &selector}); err != nil {
		return lineage.Selector{}, err
	}
	sel, err := lineage.ParseSelector(selector)
	if err != nil {
		return lineage.Selector{}, bad("selector is missing, malformed or of an unknown kind")
	}
	return sel, nil
}
