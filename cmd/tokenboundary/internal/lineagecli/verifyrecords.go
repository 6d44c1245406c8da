package lineagecli

import (
	"context"
	"slices"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// flushRecords looks at a batch of records, and at those above them.
func (v *verifier) flushRecords(ctx context.Context) error {
	batch := v.batch
	v.batch = v.batch[:0]
	here := make(map[lineage.ID]lineage.Record, 2*len(batch))
	for _, r := range batch {
		here[r.ID()] = r
	}
	var missing []lineage.ID
	for _, r := range batch {
		for _, a := range r.Ancestors {
			if _, ok := here[a]; ok {
				continue
			}
			up, ok := v.known.Get(a)
			if here[a] = up; !ok {
				missing = append(missing, a)
			}
		}
	}
	above, err := v.read(ctx, missing)
	if err != nil {
		return err
	}
	for _, id := range missing {
		if up, ok := above[id]; ok {
			here[id] = up
			v.known.Put(id, up)
		} else {
			delete(here, id)
		}
	}
	for _, r := range batch {
		v.record(r, here)
		v.known.Put(r.ID(), r)
	}
	return v.tasks(ctx, batch)
}

// read returns the records that are there. One that is there and cannot be read is a finding, and an empty record.
func (v *verifier) read(ctx context.Context, ids []lineage.ID) (map[lineage.ID]lineage.Record, error) {
	out := make(map[lineage.ID]lineage.Record, len(ids))
	if len(ids) == 0 {
		return out, nil
	}
	entries, err := v.Get(ctx, v.issuer, ids)
	for i := 0; err != nil && i < len(ids); i++ {
		if ctx.Err() != nil {
			return nil, err
		}
		one, err := v.Get(ctx, v.issuer, ids[i:i+1])
		if err != nil {
			v.found("records", ids[i], "cannot be read with what is known of it: %v", err)
			out[ids[i]] = lineage.Record{}
			continue
		}
		entries = append(entries, one...)
	}
	for _, e := range entries {
		if id := e.Record.ID(); !id.IsZero() {
			out[id] = e.Record
		}
	}
	return out, nil
}

// record looks at one record among those above it.
func (v *verifier) record(r lineage.Record, here map[lineage.ID]lineage.Record) {
	id := r.ID()
	if r.Body == nil {
		v.summary.Erased++
	}
	if r.Issuer != v.issuer {
		v.found("records", id, "is of another issuer")
	}
	if v.stands && r.IssuedAt.After(v.clock.Time) {
		v.found("records", id, "was issued at %s, after the store time %s", moment(r.IssuedAt), moment(v.clock.Time))
	}
	missing, err := lineage.VerifyLink(r, func(a lineage.ID) (lineage.Record, bool) {
		up, ok := here[a]
		return up, ok && !up.ID().IsZero()
	})
	if err != nil {
		v.found("records", id, "%v", err)
	}
	for _, a := range missing {
		if _, unread := here[a]; !unread { // else it is there, and that was said
			v.gone(r, a)
		}
	}
	for _, s := range lacks(r) {
		v.found("records", id, "cannot be cut by its %s", s.Kind)
	}
}

// gone looks at an ancestor that is not there: retention lets go of it when it has ended, and so has what is below it.
func (v *verifier) gone(r lineage.Record, a lineage.ID) {
	over := r.Kind == lineage.KindDenial || r.ExpiresAt.Before(v.clock.Time.Add(-v.keep))
	switch {
	case v.all:
		v.found("records", r.ID(), "its ancestor %s is not there, and the configuration keeps everything", a)
	case !over:
		v.found("records", r.ID(), "its ancestor %s is not there, and cannot be over", a)
	default:
		v.summary.Pruned++
		v.report(finding{Note: true, In: "records", ID: r.ID(), What: "its ancestor " + a.String() + " is not there any more: it was over"})
	}
}

// lacks returns the selectors that a record should carry by what it says, and does not.
func lacks(r lineage.Record) (out []lineage.Selector) {
	b := r.Body
	if b == nil {
		return nil
	}
	held := r.Selectors()
	need := func(kind, value string) {
		if s := (lineage.Selector{Kind: kind, Value: value}); value != "" && !slices.Contains(held, s) {
			out = append(out, s)
		}
	}
	need(lineage.SelectClient, b.Client)
	need(lineage.SelectSubject, b.Subject.ID)
	need(lineage.SelectConnection, b.Connection)
	need(lineage.SelectSession, b.Session.ID)
	need(lineage.SelectKey, b.Key)
	for _, a := range b.Actors {
		need(lineage.SelectActor, a.ID)
	}
	for _, p := range b.Paths {
		for _, s := range lineage.PathSelectors(p) {
			need(s.Kind, s.Value)
		}
	}
	if r.Kind != lineage.KindDenial {
		need(lineage.SelectTask, r.TaskID().String())
	}
	return out
}

// tasks looks for the states of tasks, without which nothing under them lives.
func (v *verifier) tasks(ctx context.Context, batch []lineage.Record) error {
	var ids []lineage.ID
	var keys []string
	for _, r := range batch {
		if r.Kind == lineage.KindTask {
			ids = append(ids, r.ID())
			keys = append(keys, lineage.Selector{Kind: lineage.SelectTask, Value: r.ID().String()}.String())
		}
	}
	if len(keys) == 0 {
		return nil
	}
	heads, err := v.Heads(ctx, v.issuer, keys)
	if err != nil && ctx.Err() == nil {
		v.found("heads", lineage.ID{}, "the states of tasks cannot be read: %v", err)
		return nil
	}
	for i, h := range heads {
		if h.Version == 0 {
			v.found("heads", ids[i], "the state of the task is missing")
		}
	}
	return err
}
