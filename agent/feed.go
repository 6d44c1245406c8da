package agent

import (
	"errors"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// Bounds of how long it is waited before a feed that failed, or had nothing, is asked again.
const (
	minFeedPause = time.Second
	maxFeedPause = time.Minute
)

// follow reads the revocation feed until the session ends. The feed only makes the session ask sooner: what is dead the
// boundary and the resources know without it, so a feed that is away changes nothing else.
func (s *Session) follow() {
	var after uint64
	pause := minFeedPause
	for s.live.Err() == nil {
		news, err := s.read(&after)
		switch {
		case errors.Is(err, tokenboundary.ErrGone): // entries were missed
			after = 0
			s.tokens.drop(all)
		case err != nil && s.live.Err() == nil:
			s.cfg.Logger.WarnContext(s.live, "the revocation feed could not be read", "task", s.id, "cause", err)
		}
		if err == nil {
			pause = minFeedPause
		}
		if err == nil && news {
			continue
		}
		s.pause(s.live, pause)
		if err != nil {
			pause = min(2*pause, maxFeedPause)
		}
	}
}

// read applies what the feed has behind a position, and moves that. News is true where there was any.
func (s *Session) read(after *uint64) (news bool, err error) {
	for r, err := range s.cfg.Revocations(s.live, *after) {
		if err != nil {
			return news, err
		}
		switch {
		case r.Seq <= *after: // told before
			continue
		case *after != 0 && r.Seq != *after+1: // entries were missed
			s.tokens.drop(all)
		}
		*after, news = r.Seq, true
		s.heed(r)
	}
	return news, nil
}

// heed does what an entry of the feed asks for.
func (s *Session) heed(r lineage.Revocation) {
	own := r.Selector == lineage.Selector{Kind: lineage.SelectTask, Value: s.id.String()}
	switch {
	case r.Action == lineage.Lift, r.Action == lineage.Resume: // nothing dies by it
	case own && r.Action == lineage.Cut: // a task never comes back
		s.end()
	default:
		s.tokens.drop(func(n names) bool { return n.concerns(r.Selector) })
	}
}
