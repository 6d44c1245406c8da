package postgres

// Remember lets the store take the number for that of the issuer, as if it had read it once.
func (s *Store) Remember(issuer string, number int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issuers[issuer] = number
}
