// Package recent remembers what was used lately, in bounded memory.
package recent

import "sync"

// Cache maps keys to values that can be had again at some cost. It keeps at least Size entries that were used lately, if so
// many were, and at most twice as many. The zero Cache with a Size is ready for use, and safe for concurrent use.
type Cache[K comparable, V any] struct {
	Size int

	mu         sync.Mutex
	young, old map[K]V // old is what was young before; what is used moves to young
}

// Get returns the value that was put for the key, if it is still there.
func (c *Cache[K, V]) Get(key K) (value V, found bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if value, found = c.young[key]; found {
		return value, true
	}
	if value, found = c.old[key]; found {
		c.put(key, value)
	}
	return value, found
}

// Put remembers the value.
func (c *Cache[K, V]) Put(key K, value V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(key, value)
}

// put makes room by letting go of what was not used while the young filled up.
func (c *Cache[K, V]) put(key K, value V) {
	if c.young == nil || len(c.young) >= c.Size {
		c.young, c.old = make(map[K]V, len(c.young)), c.young // it is going to be as large
	}
	c.young[key] = value
}

// Len returns how many entries there are.
func (c *Cache[K, V]) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.young) + len(c.old)
}
