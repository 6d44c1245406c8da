package lineage

import "time"

// Usage is what one resource has reported of the use of a token. It is what that resource said, added up, and says nothing
// of uses that it did not report.
type Usage struct {
	Resource string `json:"resource"`
	// First and Last are when the token was used there, as far as is known.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	// Count is how many uses were reported; Unscoped how many of them without the scopes that they needed; Revoked how
	// many that were made when the token was revoked already.
	Count    uint64 `json:"count"`
	Unscoped uint64 `json:"unscoped,omitempty"`
	Revoked  uint64 `json:"revoked,omitempty"`
	// Scopes says how often each scope was needed, and when last.
	Scopes map[string]ScopeUse `json:"scopes,omitempty"`
}

// ScopeUse is how often a scope was needed, and when last.
type ScopeUse struct {
	Count uint64    `json:"count"`
	Last  time.Time `json:"last"`
}

// Add counts n further uses at a time that needed the scopes; none, where they are not known.
func (u *Usage) Add(at time.Time, scopes []string, n uint64) {
	if u.Count == 0 || at.Before(u.First) {
		u.First = at
	}
	if at.After(u.Last) {
		u.Last = at
	}
	u.Count = sum(u.Count, n)
	if len(scopes) == 0 {
		u.Unscoped = sum(u.Unscoped, n)
	}
	if u.Scopes == nil && len(scopes) > 0 {
		u.Scopes = map[string]ScopeUse{}
	}
	for _, s := range scopes {
		one := u.Scopes[s]
		one.Count = sum(one.Count, n)
		if at.After(one.Last) {
			one.Last = at
		}
		u.Scopes[s] = one
	}
}

// sum adds counts. One that is too large to be told stays at the largest.
func sum(a, b uint64) uint64 {
	if a+b < a {
		return ^uint64(0)
	}
	return a + b
}
