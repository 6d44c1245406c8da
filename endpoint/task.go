package endpoint

import (
	"net/http"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// named authenticates the client and returns the id in the path. What is no id names nothing: the zero ID, which no verb
// finds.
func (h *Handler) named(c *call) (tokenboundary.Client, lineage.ID, error) {
	by, err := h.authenticateHeader(c)
	if err != nil {
		return by, lineage.ID{}, err
	}
	id, _ := lineage.ParseID(c.id)
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

// setTask returns a handler that brings a task into a state. The path says everything: a body is not read.
func (h *Handler) setTask(to tokenboundary.TaskState) func(*call) error {
	return func(c *call) error {
		by, id, err := h.named(c)
		if err != nil {
			return err
		}
		task, err := h.g.SetTask(c.r.Context(), by, id, to)
		if err != nil {
			return err
		}
		return c.json(http.StatusOK, task)
	}
}
