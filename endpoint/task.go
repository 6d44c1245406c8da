package endpoint

import (
	"net/http"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// named authenticates the client and returns the id in the path. What is no id names nothing.
func (h *Handler) named(c *call) (tokenboundary.Client, lineage.ID, error) {
	by, err := h.authenticateHeader(c)
	if err != nil {
		return by, lineage.ID{}, err
	}
	id, err := lineage.ParseID(c.id)
	if err != nil {
		return by, id, tokenboundary.ErrNotFound
	}
	return by, id, nil
}

func (h *Handler) serveTask(c *call) error {
	by, id, err := h.named(c)
	if err != nil {
		return err
	}
	task, err := h.g.Task(c.r.Context(), by, id)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, task)
}

// serveComplete ends a task. The path says everything: a body is not read.
func (h *Handler) serveComplete(c *call) error {
	by, id, err := h.named(c)
	if err != nil {
		return err
	}
	task, err := h.g.SetTask(c.r.Context(), by, id, tokenboundary.TaskCompleted)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, task)
}
