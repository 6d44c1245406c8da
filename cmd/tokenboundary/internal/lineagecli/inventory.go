package lineagecli

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// batchSize is how many records are asked about at once.
const batchSize = 256

// group is what is alive of one kind, and what is counted together.
type group struct {
	Kind       lineage.Kind  `json:"kind"`
	State      lineage.State `json:"state"`
	Client     string        `json:"client"`
	Connection string        `json:"connection,omitempty"`
	Path       string        `json:"path,omitempty"`
}

// counted is a group with how many there are, and when the first and the last were issued.
type counted struct {
	group
	Count  uint64    `json:"count"`
	Oldest time.Time `json:"oldest"`
	Newest time.Time `json:"newest"`
}

// inventory counts what is alive, suspended included.
func inventory(c *command, args []string) int {
	var sel lineage.Selector
	c.Func("selector", "only what carries this `KIND:VALUE`, such as client:support-bot", func(s string) (err error) {
		sel, err = lineage.ParseSelector(s)
		return err
	})
	if code, ok := c.parse(args); !ok {
		return code
	}
	ctx := context.Background()
	h, err := c.open(ctx)
	if err != nil {
		return c.fail(err)
	}
	defer h.Close() //nolint:errcheck // only read
	found, err := c.count(ctx, h, sel)
	if err != nil {
		return c.fail(err)
	}
	if c.json {
		printJSON(c.stdout, map[string]any{"live": found})
		return exitOK
	}
	say(c.stdout, table(found))
	return exitOK
}

// count counts what is alive now.
func (c *command) count(ctx context.Context, h history, sel lineage.Selector) ([]counted, error) {
	now := c.clock.Now()
	since, err := tokenboundary.LiveSince(ctx, h, h.issuer, now)
	if err != nil {
		return nil, err
	}
	from := store.Position{}
	if !since.IsZero() {
		from.Since = since.Add(-time.Hour) // by whatever clock
	}
	groups := map[group]*counted{}
	var batch []lineage.ID
	flush := func() error {
		entries, err := h.Get(ctx, h.issuer, batch)
		batch = batch[:0]
		for _, e := range entries {
			if state := tokenboundary.StateOf(e, now); state == lineage.Active || state == lineage.Suspended {
				add(groups, e.Record, state)
			}
		}
		return err
	}
	for r, err := range candidates(ctx, h, sel, from) {
		if err != nil {
			return nil, err
		}
		if r.Body == nil || r.Kind == lineage.KindDenial || !now.Before(r.ExpiresAt) {
			continue
		}
		if batch = append(batch, r.ID()); len(batch) == batchSize {
			if err := flush(); err != nil {
				return nil, err
			}
		}
	}
	if err := flush(); err != nil {
		return nil, err
	}
	return inOrder(groups), nil
}

// candidates are the records that carry the selector, or all where there is none.
func candidates(ctx context.Context, h history, sel lineage.Selector, from store.Position) iter.Seq2[lineage.Record, error] {
	if sel == (lineage.Selector{}) {
		return h.Records(ctx, h.issuer, from)
	}
	return h.Scan(ctx, h.issuer, sel, from)
}

func add(groups map[group]*counted, r lineage.Record, state lineage.State) {
	key := group{r.Kind, state, r.Body.Client, r.Body.Connection, strings.Join(r.Body.Paths, " ")}
	n := groups[key]
	if n == nil {
		n = &counted{group: key, Oldest: r.IssuedAt}
		groups[key] = n
	}
	n.Count++
	if r.IssuedAt.Before(n.Oldest) {
		n.Oldest = r.IssuedAt
	}
	if r.IssuedAt.After(n.Newest) {
		n.Newest = r.IssuedAt
	}
}

// inOrder returns the largest groups first.
func inOrder(groups map[group]*counted) []counted {
	out := make([]counted, 0, len(groups))
	for _, n := range groups {
		out = append(out, *n)
	}
	slices.SortFunc(out, func(a, b counted) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.State, b.State), cmp.Compare(a.Client, b.Client),
			cmp.Compare(a.Connection, b.Connection), cmp.Compare(a.Path, b.Path))
	})
	return out
}

// table writes groups for people.
func table(found []counted) string {
	var b strings.Builder
	total := uint64(0)
	for _, n := range found {
		total += n.Count
		fmt.Fprintf(&b, "%8d  %s %s  %s via %s  %s  %s – %s\n", n.Count, n.Kind, n.State, shown(n.Client), shown(n.Connection), shown(n.Path),
			n.Oldest.Format(time.RFC3339), n.Newest.Format(time.RFC3339))
	}
	fmt.Fprintf(&b, "%d alive\n", total)
	return b.String()
}

// shown returns a text that is one line and shows exactly what is there.
func shown(s string) string {
	if quoted := strconv.QuoteToASCII(s); s == "" || quoted[1:len(quoted)-1] != s {
		return quoted
	}
	return s
}
