package bolt

import (
	"bytes"
	"sync"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// known is a decoded record and where the marks and heads of its selectors lie.
type known struct {
	record       lineage.Record
	marks, heads []digest // by selector, in order
}

func know(r lineage.Record) *known {
	sels := r.Selectors()
	k := &known{r, make([]digest, len(sels)), make([]digest, len(sels))}
	for i, sel := range sels {
		k.marks[i], k.heads[i] = hashSelector(sel), hashText(sel)
	}
	return k
}

// memoSize is how many records a memo keeps at least, if so many have been asked for; it keeps twice as many at most.
const memoSize = 512

// memo spares decoding the same bytes again. It answers what a record's bytes mean, and never which these are: they are
// read each time, and a record that has been erased or damaged since is not the one that is remembered. What was written
// about a record, its marks and heads, is not kept.
type memo struct {
	mu       sync.Mutex
	new, old map[lineage.ID]*known
}

// decode returns what the value of the record with this id says.
func (m *memo) decode(id lineage.ID, value []byte) (*known, error) {
	raw, body, err := splitRecord(value)
	if err != nil {
		return nil, err
	}
	if k := m.get(id); k != nil && bytes.Equal(k.record.Raw(), raw) && bytes.Equal(k.record.RawBody(), body) {
		return k, nil
	}
	r, err := decodeRecord(value)
	if err != nil {
		return nil, err
	}
	if r.ID() != id {
		return nil, errDamaged
	}
	k := know(r)
	m.put(k)
	return k, nil
}

func (m *memo) get(id lineage.ID) *known {
	m.mu.Lock()
	k, again := m.new[id], m.old[id]
	m.mu.Unlock()
	if k == nil && again != nil {
		m.put(again)
		return again
	}
	return k
}

// put keeps k. What was not asked for while the newer half filled up is let go of.
func (m *memo) put(k *known) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.new == nil || len(m.new) == memoSize {
		m.new, m.old = make(map[lineage.ID]*known, memoSize), m.new
	}
	m.new[k.record.ID()] = k
}
