package policy

import (
	"crypto/sha256"
	"slices"
)

// memory keeps the documents of the set in force as they were read: a set that comes after it then reads only those that have
// changed. What is in it is never changed. Sets are loaded with it one after the other. A nil memory keeps nothing.
type memory struct {
	known map[string]remembered // of the last set that loaded, by file
	next  map[string]remembered // of the set that is being loaded
}

// remembered is a document, and the digest of what it was read from.
type remembered struct {
	sum [sha256.Size]byte
	doc *document
}

// find returns the document that was read from the same file with the same bytes; nil where there is none.
func (m *memory) find(s *source) *document {
	if m == nil {
		return nil
	}
	if r := m.known[s.file]; r.sum == s.sum {
		return r.doc
	}
	return nil
}

// keep notes the documents that were read from what was found, some of which may not be there. In docs it leaves others with
// rules of their own.
func (m *memory) keep(found []source, docs []*document) {
	if m == nil {
		return
	}
	m.next = make(map[string]remembered, len(docs))
	for i, d := range docs {
		if d != nil {
			m.next[d.file] = remembered{found[i].sum, d}
			docs[i] = d.apart()
		}
	}
}

// settle makes what was kept what is known: the set has loaded.
func (m *memory) settle() {
	if m == nil {
		return
	}
	for _, r := range m.next {
		r.doc.interned = true // while the set was put together
	}
	m.known, m.next = m.next, nil
}

// apart returns the document with rules that can be given programs, and lose their drafts, while those of d stay as they are.
func (d *document) apart() *document {
	out := *d
	out.allow, out.deny = slices.Clone(d.allow), slices.Clone(d.deny)
	return &out
}
