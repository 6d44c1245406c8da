package endpoint

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// Bounds of one answer of the feed.
const (
	maxWait    = 60 * time.Second
	maxEntries = 1000
)

// serveCut revokes by selector, or ends a block.
func (h *Handler) serveCut(c *call) error {
	by, err := h.authenticateHeader(c)
	if err != nil {
		return err
	}
	order, wrong := readOrder(c.r)
	if wrong != nil {
		order = lineage.Revocation{}
	}
	ctx := c.r.Context()
	entry, err := h.g.Revoke(ctx, by, order)
	if wrong != nil || err != nil {
		return malformed(wrong, err)
	}
	out := struct {
		lineage.Revocation
		Closure *closure `json:"closure,omitempty"`
	}{Revocation: entry}
	if order.Action != lineage.Lift {
		counted, err := h.closure(ctx, by, order.Selector, lineage.ID{})
		if err != nil { // it is cut all the same
			h.cfg.Logger.WarnContext(ctx, "what a revocation has cut could not be counted", "cause", err)
		}
		out.Closure = &counted
	}
	return c.json(http.StatusCreated, out)
}

// readOrder reads {"selector", "reason", "block", "lift"}.
func readOrder(r *http.Request) (lineage.Revocation, error) {
	var out lineage.Revocation
	members, err := exchange.ReadObject(r)
	if err != nil {
		return out, err
	}
	var selector string
	var block, lift bool
	err = read(members, map[string]any{"selector": &selector, "reason": &out.Reason, "block": &block, "lift": &lift})
	if err != nil {
		return out, err
	}
	if out.Selector, err = lineage.ParseSelector(selector); err != nil {
		return out, bad("selector is missing, malformed or of an unknown kind")
	}
	switch {
	case block && lift:
		return out, bad("block and lift exclude each other")
	case block:
		out.Action = lineage.Block
	case lift:
		out.Action = lineage.Lift
	}
	return out, nil
}

// serveFeed answers with the entries behind a position, in order. Where there are none it waits for one, if asked to.
func (h *Handler) serveFeed(c *call) error {
	by, err := h.authenticateHeader(c)
	if err != nil {
		return err
	}
	after, wait, err := feedQuery(c.r.URL.RawQuery)
	if err != nil {
		return err
	}
	ctx := c.r.Context()
	entries, err := h.feed(ctx, by, after)
	if err == nil && len(entries) == 0 && wait > 0 {
		entries, err = h.await(ctx, by, after, wait)
	}
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, map[string]any{"entries": entries})
}

func (h *Handler) feed(ctx context.Context, by tokenboundary.Client, after uint64) ([]lineage.Revocation, error) {
	out := []lineage.Revocation{}
	for entry, err := range h.g.Revocations(ctx, by, after) {
		if err != nil {
			return nil, err
		}
		if out = append(out, entry); len(out) == maxEntries {
			break
		}
	}
	return out, nil
}

func (h *Handler) await(ctx context.Context, by tokenboundary.Client, after uint64, wait time.Duration) ([]lineage.Revocation, error) {
	limited, cancel := h.cfg.Clock.WithTimeout(ctx, wait)
	defer cancel()
	if err := h.g.AwaitRevocation(limited, after); err != nil && limited.Err() == nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	entries, err := h.feed(ctx, by, after)
	if errors.Is(err, tokenboundary.ErrUnauthenticated) {
		// The assertion was good when the wait began and is too old now. The client polls again with a new one, and
		// what is there by then is there at once.
		return []lineage.Revocation{}, nil
	}
	return entries, err
}

// feedQuery reads after, a sequence number, and wait, a duration of at most a minute.
func feedQuery(raw string) (after uint64, wait time.Duration, err error) {
	query, err := url.ParseQuery(raw)
	if err != nil || len(query["after"]) > 1 || len(query["wait"]) > 1 {
		return 0, 0, bad("the query is malformed")
	}
	if s := query.Get("after"); s != "" {
		if after, err = strconv.ParseUint(s, 10, 63); err != nil {
			return 0, 0, bad("after is not a sequence number")
		}
	}
	if s := query.Get("wait"); s != "" {
		if wait, err = time.ParseDuration(s); err != nil || wait < 0 {
			return 0, 0, bad("wait is not a duration")
		}
	}
	return after, min(wait, maxWait), nil
}
