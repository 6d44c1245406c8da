package bolt

// LimitLog makes checkpoints more frequent. It must be called before the store is used.
func (s *Store) LimitLog(bytes int64) { s.limit = bytes }
