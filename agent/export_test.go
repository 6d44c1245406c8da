package agent

// Kept returns how many calls something is kept of.
func (s *Session) Kept() int {
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	return len(s.tokens.all)
}
