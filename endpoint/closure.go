package endpoint

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// closureTime is how long one answer counts what a revocation has cut.
const closureTime = time.Second

// closure is what a revocation keeps dead, as far as it is counted.
type closure struct {
	*tokenboundary.Closure        // nil where nothing is known
	Status                 string `json:"status"` // complete, partial, or unknown
}

// closure counts what the revocation of a selector has cut, from behind the record after.
func (h *Handler) closure(ctx context.Context, by tokenboundary.Client, sel lineage.Selector, after lineage.ID) (closure, error) {
	limited, cancel := h.cfg.Clock.WithTimeout(ctx, closureTime)
	defer cancel()
	n, err := h.g.Closure(limited, by, sel, after)
	if err != nil {
		return closure{Status: "unknown"}, err
	}
	out := closure{&n, "complete"}
	if !n.Complete {
		out.Status = "partial"
	}
	return out, nil
}

// serveClosure answers with what the revocation of the selector in the path has cut.
func (h *Handler) serveClosure(c *call) error {
	by, err := h.authenticateHeader(c)
	if err != nil {
		return err
	}
	name, err := url.PathUnescape(c.id)
	if err != nil {
		return bad("selector is malformed")
	}
	sel, err := lineage.ParseSelector(name)
	if err != nil {
		return bad("selector is malformed or of an unknown kind")
	}
	after, err := closureQuery(c.r.URL.RawQuery)
	if err != nil {
		return err
	}
	counted, err := h.closure(c.r.Context(), by, sel, after)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, counted)
}

// closureQuery reads after, the id that an earlier answer ended with.
func closureQuery(raw string) (after lineage.ID, err error) {
	query, err := url.ParseQuery(raw)
	if err != nil || len(query["after"]) > 1 {
		return after, bad("the query is malformed")
	}
	if after.UnmarshalText([]byte(query.Get("after"))) != nil {
		return after, bad("after is not an id")
	}
	return after, nil
}
