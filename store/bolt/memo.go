package bolt

import (
	"bytes"

	"github.com/tokenboundary/tokenboundary/internal/recent"
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

// memoSize is how many records a memo keeps at least, if so many have been asked for.
const memoSize = 512

// maxKnown is how large a record may be, in bytes, to be kept.
const maxKnown = 16 << 10

// memo spares decoding the same bytes again. It answers what a record's bytes mean, and never which these are: they are
// read each time, and a record that has been erased or damaged since is not the one that is remembered. What was written
// about a record, its marks and heads, is not kept. Only what was decoded here is: a record that was handed in shares
// what it points to with whoever made it.
type memo struct {
	recent.Cache[lineage.ID, *known]
}

// decode returns what the value of the record with this id says. It keeps nothing of the value itself.
func (m *memo) decode(id lineage.ID, value []byte) (*known, error) {
	raw, body, err := splitRecord(value)
	if err != nil {
		return nil, err
	}
	if k, ok := m.Get(id); ok && bytes.Equal(k.record.Raw(), raw) && bytes.Equal(k.record.RawBody(), body) {
		return k, nil
	}
	r, err := decodeRecord(bytes.Clone(value))
	if err != nil {
		return nil, err
	}
	if r.ID() != id {
		return nil, errDamaged
	}
	k := know(r)
	if len(value) <= maxKnown {
		m.Put(id, k)
	}
	return k, nil
}
