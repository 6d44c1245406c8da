package lineagecli

import (
	"context"
	"slices"
	"strings"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// about1 is a head that is about one record.
type about1 struct {
	id   lineage.ID
	what string       // the kind of head, for people
	kind lineage.Kind // of the record; empty: any
}

// about are the heads that live no longer than the record that they are about, by the beginning of their key.
var about = map[string]about1{
	"task:":            {what: "the state of a task", kind: lineage.KindTask},
	"token:":           {what: "the state of a lease, or the count of a denial,"},
	prefix("family"):   {what: "the state of a refresh family", kind: lineage.KindGrant},
	prefix("approval"): {what: "the state of a deferred request", kind: lineage.KindApproval},
	prefix("decision"): {what: "the handle of a host's decision"},
	prefix("usage"):    {what: "the usage of a token", kind: lineage.KindToken},
}

// prefix is what the key of a head begins with that is about a record, up to the id.
func prefix(kind string) string {
	const id = "0123456789012345678901234567890123456789012"
	return strings.TrimSuffix(canon.Key(kind, id), id)
}

// taskStates are what the head of a task can say.
var taskStates = []string{
	string(tokenboundary.TaskActive), string(tokenboundary.TaskSuspended), string(tokenboundary.TaskCompleted), string(tokenboundary.TaskRevoked),
}

// head looks at a head that says something of a record.
func (v *verifier) head(ctx context.Context, h store.Head) error {
	v.summary.Heads++
	if !h.Expires.IsZero() && h.Expires.Before(v.clock.Time) {
		return nil // it does not count any more
	}
	for before, n := range about {
		text, ok := strings.CutPrefix(h.Key, before)
		if !ok {
			continue
		}
		id, err := lineage.ParseID(text)
		if n.id = id; err != nil {
			v.found("heads", lineage.ID{}, "%s names no record", n.what)
			continue
		}
		if before == "task:" && !slices.Contains(taskStates, h.State) {
			v.found("heads", id, "a task is in an unknown state")
		}
		if v.named = append(v.named, n); len(v.named) == batchSize {
			return v.flushHeads(ctx)
		}
	}
	return nil
}

// flushHeads looks for the records that heads are about.
func (v *verifier) flushHeads(ctx context.Context) error {
	ids := make([]lineage.ID, len(v.named))
	for i, n := range v.named {
		ids[i] = n.id
	}
	records, err := v.read(ctx, ids)
	for _, n := range v.named {
		switch r, ok := records[n.id]; {
		case !ok:
			v.found("heads", n.id, "%s is there, and its record is not", n.what)
		case n.kind != "" && r.Kind != n.kind && !r.ID().IsZero():
			v.found("heads", n.id, "%s is there, but its record is a %s", n.what, r.Kind)
		}
	}
	v.named = v.named[:0]
	return err
}
