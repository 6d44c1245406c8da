package lineagecli

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/recent"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// summary is what verify has looked at.
type summary struct {
	Issuer      string                  `json:"issuer"`
	Records     uint64                  `json:"records"`
	Kinds       map[lineage.Kind]uint64 `json:"kinds"`
	Erased      uint64                  `json:"erased"`
	Pruned      uint64                  `json:"pruned"` // ancestors that records name and retention has let go of
	Revocations uint64                  `json:"revocations"`
	Marks       uint64                  `json:"marks"`
	Heads       uint64                  `json:"heads"`
	Findings    uint64                  `json:"findings"`
	Seconds     float64                 `json:"seconds"`
	Rate        float64                 `json:"records_per_second"`
}

// verify checks a whole store. It ends with exitOK if there was something to check and nothing was found.
func verify(c *command, args []string) int {
	if code, ok := c.parse(args); !ok {
		return code
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // memory is cheaper for this process than collecting garbage
	ctx := context.Background()
	h, err := c.open(ctx)
	if err != nil {
		return c.fail(err)
	}
	defer h.Close() //nolint:errcheck // only read
	v := newVerifier(h, c.report)
	began := c.clock.Now()
	err = v.run(ctx)
	s := v.summary
	if s.Seconds = c.clock.Since(began).Seconds(); s.Seconds > 0 {
		s.Rate = float64(s.Records) / s.Seconds
	}
	if c.json {
		printJSON(c.stdout, map[string]any{"summary": s})
	} else {
		say(c.stdout, s.String())
	}
	switch {
	case err != nil:
		return c.fail(err)
	case s.Findings > 0:
		return exitError
	case v.nothing():
		return c.fail(fmt.Errorf("nothing is kept of %s: is it exactly the issuer that wrote this store?", h.issuer))
	}
	return exitOK
}

// finding is something that is not as it has to be or, as a note, that is worth to know.
type finding struct {
	Note bool       `json:"note,omitempty"`
	In   string     `json:"in"`
	ID   lineage.ID `json:"id,omitzero"`
	What string     `json:"what"`
}

func (c *command) report(f finding) {
	switch {
	case c.json:
		printJSON(c.stdout, f)
	case f.Note:
		say(c.stdout, "note: "+f.String()+"\n")
	default:
		say(c.stdout, "finding: "+f.String()+"\n")
	}
}

func (f finding) String() string {
	if f.ID.IsZero() {
		return f.In + ": " + f.What
	}
	return f.In + ": " + f.ID.String() + ": " + f.What
}

func (s summary) String() string {
	return fmt.Sprintf("%d records (%d tokens, %d tasks, %d families, %d approvals, %d leases, %d denials; %d erased), %d revocations, %d marks, "+
		"%d heads\n%d findings; %d pruned ancestors; %s, %.0f records/s\n",
		s.Records, s.Kinds[lineage.KindToken], s.Kinds[lineage.KindTask], s.Kinds[lineage.KindGrant], s.Kinds[lineage.KindApproval],
		s.Kinds[lineage.KindLease], s.Kinds[lineage.KindDenial], s.Erased, s.Revocations, s.Marks, s.Heads, s.Findings, s.Pruned,
		time.Duration(s.Seconds*float64(time.Second)).Round(time.Millisecond), s.Rate)
}

// cached is how many records are remembered at least, so that most of what stands above one need not be read.
const cached = 2048

// verifier goes through a store. It holds a batch of each kind of thing, and some records.
type verifier struct {
	history
	report  func(finding)
	summary summary

	clock    store.Clock
	stands   bool // clock was there
	feedOver bool
	last     uint64 // of the feed
	current  uint64 // entries that were the last to change their mark
	marked   uint64 // marks that an entry that is kept was the last to change
	unlocked map[lineage.Selector]uint64

	revocations []lineage.Revocation
	named       []about1
	batch       []lineage.Record
	known       recent.Cache[lineage.ID, lineage.Record]
}

func newVerifier(h history, report func(finding)) *verifier {
	v := &verifier{history: h, unlocked: map[lineage.Selector]uint64{}}
	v.summary = summary{Issuer: h.issuer, Kinds: map[lineage.Kind]uint64{}}
	v.known.Size = cached
	v.report = func(f finding) {
		if !f.Note {
			v.summary.Findings++
		}
		report(f)
	}
	return v
}

func (v *verifier) found(in string, id lineage.ID, format string, args ...any) {
	v.report(finding{In: in, ID: id, What: fmt.Sprintf(format, args...)})
}

// nothing reports whether there was nothing at all.
func (v *verifier) nothing() bool {
	s := v.summary
	return !v.stands && s.Records+s.Revocations+s.Marks+s.Heads == 0
}

// run looks at everything once. An error is that of a store that does not answer.
func (v *verifier) run(ctx context.Context) error {
	for p, err := range v.Examine(ctx, v.issuer) {
		if err == nil {
			err = v.piece(ctx, p)
		}
		if err != nil {
			return err
		}
	}
	for _, flush := range []func(context.Context) error{v.endFeed, v.flushHeads, v.flushRecords} {
		if err := flush(ctx); err != nil {
			return err
		}
	}
	if v.marked != v.current {
		v.found("marks", lineage.ID{}, "%d marks were last changed by entries of the feed, but %d entries say so", v.marked, v.current)
	}
	if !v.stands && !v.nothing() {
		v.found("clock", lineage.ID{}, "the store time is missing")
	}
	return nil
}

// piece looks at one thing. What comes in great numbers is looked at in batches.
func (v *verifier) piece(ctx context.Context, p store.Piece) error {
	if p.Mark != nil || p.Head != nil || p.Record != nil {
		if err := v.endFeed(ctx); err != nil {
			return err
		}
	}
	switch {
	case p.Fault != nil:
		v.found(p.Fault.In, p.Fault.ID, "%s", p.Fault.What)
	case p.Clock != nil:
		v.clock, v.stands = *p.Clock, true
		v.last = v.clock.Oldest - 1
	case p.Revocation != nil:
		return v.entry(ctx, *p.Revocation)
	case p.Mark != nil:
		v.mark(*p.Mark)
	case p.Head != nil:
		return v.head(ctx, *p.Head)
	case p.Record != nil:
		v.summary.Records++
		v.summary.Kinds[p.Record.Kind]++
		if v.batch = append(v.batch, *p.Record); len(v.batch) == batchSize {
			return v.flushRecords(ctx)
		}
	}
	return nil
}
