package verify

import (
	"fmt"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// judgement is what the feed says of a token.
type judgement struct {
	// dead is why the token is not active; nil where nothing that is known says so.
	dead error
	// asked is the position as of which the boundary must have been asked about the token; zero where it need not be.
	asked uint64
}

// judge compares a verified token with all entries.
func (ix *index) judge(c *tokenboundary.Claims) judgement {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	j := judging{ix: ix, issued: time.Unix(c.IssuedAt, 0)}
	j.own(c)
	j.behind(c)
	return j.judgement
}

type judging struct {
	judgement
	ix     *index
	issued time.Time
}

// second is how much later than its iat says a token may have been issued: records have milliseconds.
const second = time.Second - time.Millisecond

// check compares with the entries of one selector that the record of the token carries.
func (j *judging) check(kind, value string) {
	mark, found := j.ix.marks[lineage.Selector{Kind: kind, Value: value}]
	switch {
	case !found || !mark.Kills(j.issued):
	case mark.Kills(j.issued.Add(second)):
		j.kill("revoked: " + kind)
	default: // issued within the second in which it was cut
		j.ask(mark.Seq)
	}
}

func (j *judging) kill(why string) {
	if j.dead == nil {
		j.dead = fmt.Errorf("%w: %s", ErrInactive, why)
	}
}

func (j *judging) ask(seq uint64) { j.asked = max(j.asked, seq) }

// own checks what the token says of itself.
func (j *judging) own(c *tokenboundary.Claims) {
	j.record(c.ID)
	for _, id := range c.Lineage {
		j.record(id)
	}
	if c.Task != nil {
		j.record(c.Task.ID)
	}
	j.check(lineage.SelectGrant, c.Grant)
	j.check(lineage.SelectSession, c.SessionID)
	j.check(lineage.SelectKey, c.Key)
	j.check(lineage.SelectSubject, c.Subject)
	j.check(lineage.SelectClient, c.ClientID)
	if c.Act == nil { // it acts for itself
		j.check(lineage.SelectActor, c.Subject)
	}
	for a := c.Act; a != nil; a = a.Act {
		j.check(lineage.SelectActor, a.Subject)
	}
}

// record checks the id of a record that the token came from: it may be a token, a refresh family or a task.
func (j *judging) record(id string) {
	j.check(lineage.SelectToken, id)
	j.check(lineage.SelectTask, id)
	if _, paused := j.ix.suspended[id]; paused {
		j.kill("its task is suspended")
	}
}

// behind finds the entries that the token may fall under without saying so.
func (j *judging) behind(c *tokenboundary.Claims) {
	derived := len(c.Lineage) > 0 || c.Act != nil // somebody else's client, key or actors may stand behind it
	for kind, e := range j.ix.unmatched {
		if derived || kind == lineage.SelectConnection || kind == lineage.SelectPath {
			j.within(e)
		}
	}
	j.within(j.ix.dropped)
}

func (j *judging) within(e extent) {
	if j.issued.Before(e.before) {
		j.ask(e.seq)
	}
}
