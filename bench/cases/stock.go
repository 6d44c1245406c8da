package cases

import (
	"errors"
	"sync/atomic"

	tb "github.com/tokenboundary/tokenboundary"
)

// stock is what the operations of a slice take their subject tokens from: each another one, or all from the same few, one
// for each task.
type stock struct {
	*supply
	seen   bool
	tokens []tb.Credential
	next   atomic.Int64
}

// prepare makes the tokens for n operations.
func (s *stock) prepare(n int) (err error) {
	if s.seen {
		if len(s.tokens) > 0 {
			return nil
		}
		n = tasks
	}
	s.next.Store(0)
	s.tokens, err = s.more(n)
	return err
}

// take returns the subject token of the next operation.
func (s *stock) take(caller int) (tb.Credential, error) {
	if s.seen {
		return s.tokens[caller%tasks], nil
	}
	i := s.next.Add(1) - 1
	if i >= int64(len(s.tokens)) {
		return tb.Credential{}, errors.New("there is no token left that was not seen")
	}
	return s.tokens[i], nil
}
