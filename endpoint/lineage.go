package endpoint

import (
	"bufio"
	"encoding/base64"
	"net/http"

	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// maxTree bounds the records of one answer.
const maxTree = 10_000

// node is a record in an answer.
type node struct {
	ID lineage.ID `json:"id"`
	// Raw is the envelope, which ID is the hash of, and RawBody the body, which the envelope commits to: both as the
	// exact bytes, in unpadded base64url.
	Raw     string        `json:"raw"`
	RawBody string        `json:"raw_body,omitempty"`
	Record  record        `json:"record"`
	State   lineage.State `json:"state"`
	// Usage is what resources have reported of the use of a token, one entry per resource.
	Usage []lineage.Usage `json:"usage,omitempty"`
}

// record is the content of a record, for reading: the members of the envelope and of the body side by side.
type record struct {
	lineage.Envelope
	*lineage.Body      // absent once erased
	Erased        bool `json:"erased,omitempty"`
}

func nodeOf(n lineage.Node) node {
	r := n.Record
	return node{
		ID: r.ID(), State: n.State, Usage: n.Usage,
		Raw:     base64.RawURLEncoding.EncodeToString(r.Raw()),
		RawBody: base64.RawURLEncoding.EncodeToString(r.RawBody()),
		Record:  record{r.Envelope, r.Body, r.Body == nil},
	}
}

// serveLineage answers with the chain of a token, root first.
func (h *Handler) serveLineage(c *call) error {
	by, id, err := h.named(c)
	if err != nil {
		return err
	}
	nodes, err := h.g.Lineage(c.r.Context(), by, id)
	if err != nil {
		return err
	}
	out := make([]node, 0, len(nodes))
	for _, n := range nodes {
		out = append(out, nodeOf(n))
	}
	return c.json(http.StatusOK, map[string]any{"records": out})
}

// serveTree answers with everything that came from a record, in time order, as it is read. Beyond maxTree records it
// stops and says so. An error after the first record cuts the connection, so that a part is not taken for the whole.
func (h *Handler) serveTree(c *call) error {
	by, id, err := h.named(c)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(c, 32<<10)
	n, truncated := 0, false
	for next, err := range h.g.Descendants(c.r.Context(), by, id) {
		if err != nil {
			return err
		}
		if n == h.tree {
			truncated = true
			break
		}
		body, err := marshal(nodeOf(next))
		if err != nil {
			return err
		}
		separator := ","
		if n == 0 {
			exchange.Headers(c.Header())
			separator = `{"records":[`
		}
		n++
		if _, err := out.WriteString(separator); err != nil {
			return nil // nobody reads
		}
		if _, err := out.Write(body); err != nil {
			return nil
		}
	}
	switch {
	case n == 0:
		return c.raw(http.StatusOK, []byte(`{"records":[]}`))
	case truncated:
		_, _ = out.WriteString(`],"truncated":true}`)
	default:
		_, _ = out.WriteString(`]}`)
	}
	_ = out.Flush() // the client is gone if this fails
	return nil
}
