package lineagecli

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// trace prints the chain behind a record, root first, and whether it verifies.
func trace(c *command, args []string) int {
	return c.show(args, func(ctx context.Context, h history, e store.Entry) ([]store.Entry, []string, error) {
		above, err := h.Get(ctx, h.issuer, e.Record.Ancestors)
		if err != nil {
			return nil, nil, err
		}
		var notes []string
		for i, id := range e.Record.Ancestors {
			if above[i].Record.ID() != id {
				notes = append(notes, fmt.Sprintf("ancestor %s is not there: retention lets go of what is over", id))
			}
		}
		return append(above, e), notes, nil
	})
}

// maxTree bounds how many records are printed as one tree.
const maxTree = 10_000

// tree prints a record and what came from it.
func tree(c *command, args []string) int {
	most := c.Int("max", maxTree, "how many `records` to print at most")
	return c.show(args, func(ctx context.Context, h history, e store.Entry) (all []store.Entry, notes []string, err error) {
		all = []store.Entry{e}
		var ids []lineage.ID
		sel := lineage.Selector{Kind: lineage.SelectToken, Value: e.Record.ID().String()}
		for r, err := range h.Scan(ctx, h.issuer, sel, store.Position{}) {
			if err != nil {
				return nil, nil, err
			}
			if len(ids)+1 >= *most && r.ID() != e.Record.ID() {
				notes = append(notes, fmt.Sprintf("there is more: --max %d", *most))
				break
			}
			if r.ID() != e.Record.ID() {
				ids = append(ids, r.ID())
			}
		}
		for len(ids) > 0 && err == nil {
			n := min(len(ids), batchSize)
			var part []store.Entry
			part, err = h.Get(ctx, h.issuer, ids[:n])
			all, ids = append(all, part...), ids[n:]
		}
		return all, notes, err
	})
}

// show prints the records that with finds for the one that is named, and what is wrong with them.
func (c *command) show(args []string, with func(context.Context, history, store.Entry) ([]store.Entry, []string, error)) int {
	if code, ok := c.parse(args, "ID"); !ok {
		return code
	}
	id, err := named(c.Arg(0))
	if err != nil {
		return c.misuse(err.Error())
	}
	ctx := context.Background()
	h, err := c.open(ctx)
	if err != nil {
		return c.fail(err)
	}
	defer h.Close() //nolint:errcheck // only read
	found, err := h.Get(ctx, h.issuer, []lineage.ID{id})
	if err != nil {
		return c.fail(err)
	}
	if found[0].Record.ID() != id {
		return c.fail(fmt.Errorf("no record of %s has the id %s: another issuer's, or forgotten", h.issuer, id))
	}
	entries, notes, err := with(ctx, h, found[0])
	if err != nil {
		return c.fail(err)
	}
	nodes, err := c.nodes(ctx, h, entries)
	if err != nil {
		return c.fail(err)
	}
	wrong := doubts(nodes)
	if err := c.print(nodes, notes, wrong); err != nil {
		return c.fail(err)
	}
	if len(wrong) > 0 {
		return exitError
	}
	return exitOK
}

// nodes are the records that are there, with their states now and what was reported of their use.
func (c *command) nodes(ctx context.Context, h history, entries []store.Entry) ([]lineage.Node, error) {
	var nodes []lineage.Node
	var ids []lineage.ID
	for _, e := range entries {
		if id := e.Record.ID(); !id.IsZero() {
			nodes = append(nodes, lineage.Node{Record: e.Record, State: tokenboundary.StateOf(e, c.clock.Now())})
			ids = append(ids, id)
		}
	}
	usage, err := tokenboundary.UsageOf(ctx, h, h.issuer, ids)
	if err != nil {
		return nil, err
	}
	for i := range nodes {
		nodes[i].Usage = usage[i]
	}
	return nodes, nil
}

// doubts says what is wrong with records that are shown together.
func doubts(nodes []lineage.Node) (wrong []string) {
	known := map[lineage.ID]lineage.Record{}
	for _, n := range nodes {
		known[n.Record.ID()] = n.Record
	}
	for _, n := range nodes {
		_, err := lineage.VerifyLink(n.Record, func(id lineage.ID) (lineage.Record, bool) { r, ok := known[id]; return r, ok })
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("record %s %v", n.Record.ID(), err))
		}
	}
	return wrong
}

// node is a record as GET /lineage has it.
type node struct {
	ID      lineage.ID      `json:"id"`
	Raw     string          `json:"raw"`
	RawBody string          `json:"raw_body,omitempty"`
	Record  record          `json:"record"`
	State   lineage.State   `json:"state"`
	Usage   []lineage.Usage `json:"usage,omitempty"`
}

type record struct {
	lineage.Envelope
	*lineage.Body
	Erased bool `json:"erased,omitempty"`
}

func (c *command) print(nodes []lineage.Node, notes, wrong []string) error {
	if c.json {
		out := struct {
			Records []node   `json:"records"`
			Notes   []string `json:"notes,omitempty"`
			Wrong   []string `json:"wrong,omitempty"`
		}{[]node{}, notes, wrong}
		for _, n := range nodes {
			r := n.Record
			out.Records = append(out.Records, node{
				r.ID(), base64.RawURLEncoding.EncodeToString(r.Raw()), base64.RawURLEncoding.EncodeToString(r.RawBody()),
				record{r.Envelope, r.Body, r.Body == nil}, n.State, n.Usage,
			})
		}
		printJSON(c.stdout, out)
		return nil
	}
	if err := lineage.WriteTree(c.stdout, nodes); err != nil {
		return err
	}
	say(c.stdout, "\n")
	for _, n := range nodes {
		say(c.stdout, n.Record.ID().String()+"  "+string(n.Record.Kind)+"\n")
	}
	for _, note := range notes {
		say(c.stdout, note+"\n")
	}
	for _, w := range wrong {
		say(c.stdout, "does not verify: "+w+"\n")
	}
	if len(wrong) == 0 {
		say(c.stdout, "each verifies against those above it\n")
	}
	return nil
}

// printJSON writes v as one line.
func printJSON(w io.Writer, v any) {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
}
