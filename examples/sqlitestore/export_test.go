package sqlitestore

// Setting returns what a setting of SQLite is, on a connection of the store.
func (s *Store) Setting(name string) (value string, err error) {
	err = s.db.QueryRow("PRAGMA " + name).Scan(&value)
	return value, err
}
