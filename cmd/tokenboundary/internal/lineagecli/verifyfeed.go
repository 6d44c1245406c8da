package lineagecli

import (
	"context"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// entry looks at an entry of the feed, which is dense, and not from the future.
func (v *verifier) entry(ctx context.Context, r lineage.Revocation) error {
	v.summary.Revocations++
	switch {
	case r.Seq <= v.last:
		v.found("feed", lineage.ID{}, "entry %d stands behind entry %d", r.Seq, v.last)
	case r.Seq > v.last+1:
		v.found("feed", lineage.ID{}, "the entries from %d to %d are missing", v.last+1, r.Seq-1)
	}
	v.last = max(v.last, r.Seq)
	switch {
	case r.Check() != nil:
		v.found("feed", lineage.ID{}, "entry %d is not one that the store takes", r.Seq)
	case r.Before.Before(r.At):
		v.found("feed", lineage.ID{}, "entry %d does not reach the moment at which it was asked for", r.Seq)
	case v.stands && r.At.After(v.clock.Time):
		v.found("feed", lineage.ID{}, "entry %d is of %s, after the store time %s", r.Seq, moment(r.At), moment(v.clock.Time))
	}
	if v.revocations = append(v.revocations, r); len(v.revocations) == batchSize {
		return v.flushFeed(ctx)
	}
	return nil
}

// flushFeed compares entries with the marks of their selectors.
func (v *verifier) flushFeed(ctx context.Context) error {
	sels := make([]lineage.Selector, len(v.revocations))
	for i, r := range v.revocations {
		sels[i] = r.Selector
	}
	marks := map[lineage.Selector]lineage.Mark{}
	found, err := v.Revoked(ctx, v.issuer, lineage.Union(sels))
	switch {
	case err != nil && ctx.Err() != nil:
		return err
	case err != nil:
		v.found("marks", lineage.ID{}, "those of the entries from %d to %d cannot be read: %v", v.revocations[0].Seq, v.last, err)
	default:
		for _, m := range found {
			marks[m.Selector] = m
		}
		for _, r := range v.revocations {
			v.effect(r, marks[r.Selector])
		}
	}
	v.revocations = v.revocations[:0]
	return nil
}

// effect looks at what an entry has left of itself.
func (v *verifier) effect(r lineage.Revocation, m lineage.Mark) {
	if r.Action == lineage.Suspend || r.Action == lineage.Resume {
		return // the head of the task says which
	}
	if m.Seq == r.Seq {
		v.current++
	}
	if r.Action == lineage.Lift {
		delete(v.unlocked, r.Selector)
		if m.Seq == r.Seq && m.Blocked {
			v.found("marks", lineage.ID{}, "that of entry %d blocks, although it was lifted", r.Seq)
		}
		return
	}
	switch dead := m.Cut || !r.Selector.Absolute() && !m.Before.Before(r.Before); {
	case m.Seq < r.Seq || !dead:
		v.found("marks", lineage.ID{}, "what entry %d has revoked is not dead", r.Seq)
	case r.Action == lineage.Block && !m.Blocked:
		v.unlocked[r.Selector] = r.Seq
	}
}

// endFeed is called when the feed is over.
func (v *verifier) endFeed(ctx context.Context) error {
	if v.feedOver {
		return nil
	}
	v.feedOver = true
	if len(v.revocations) > 0 {
		if err := v.flushFeed(ctx); err != nil {
			return err
		}
	}
	if v.stands && v.last < v.clock.Seq {
		v.found("feed", lineage.ID{}, "the entries from %d to %d are missing", v.last+1, v.clock.Seq)
	}
	if v.stands && v.last > v.clock.Seq {
		v.found("feed", lineage.ID{}, "there are entries up to %d, but the newest is %d", v.last, v.clock.Seq)
	}
	for _, seq := range v.unlocked {
		v.found("marks", lineage.ID{}, "what entry %d has blocked is not blocked, although nothing has lifted it", seq)
	}
	return nil
}

// mark looks at a mark by itself.
func (v *verifier) mark(m lineage.Mark) {
	v.summary.Marks++
	_, err := lineage.ParseSelector(m.Selector.String())
	absolute := m.Selector.Absolute()
	switch {
	case err != nil:
		v.found("marks", lineage.ID{}, "one is of no selector")
	case v.stands && m.Seq > v.clock.Seq:
		v.found("marks", lineage.ID{}, "one was changed by entry %d, which is not in the feed", m.Seq)
	case m.Cut != absolute || m.Blocked && absolute:
		v.found("marks", lineage.ID{}, "one is of another kind than its selector")
	case !m.Kills(time.Time{}) && m.Before.IsZero():
		v.found("marks", lineage.ID{}, "one kills nothing")
	}
	if m.Seq >= v.clock.Oldest && m.Seq > 0 {
		v.marked++
	}
}

// moment writes a time for people.
func moment(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
