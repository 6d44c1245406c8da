package bolt

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"sort"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// block is the encoding of a piece of the index: which of the records of a stretch of time carry which selectors. The
// selectors of a batch then lie in one value, at the end of the tree, and not in as many places as there are selectors.
//
// It holds the places of its records in order, then the digests of their selectors in order, each with the number of
// places listed for it and those before it, then the lists: indices into the places, in order.
type block []byte

// short is the beginning of a digest: as much of a selector as the index holds.
type short [16]byte

const (
	blockHead = 8  // number of places, number of selectors
	placeSize = 40 // issue time, id
	shortSize = len(short{})
	rowSize   = shortSize + 4
	// blockFull is how many records a block has at most, so that an index is one byte. A lone commit writes half of that
	// on average.
	blockFull = 32
)

func (b block) places() int         { return int(binary.BigEndian.Uint32(b)) }
func (b block) selectors() int      { return int(binary.BigEndian.Uint32(b[4:])) }
func (b block) place(i int) []byte  { return b[blockHead+i*placeSize:][:placeSize] }
func (b block) row(j int) []byte    { return b[blockHead+b.places()*placeSize+j*rowSize:][:rowSize] }
func (b block) digest(j int) []byte { return b.row(j)[:shortSize] }
func (b block) end(j int) int       { return int(binary.BigEndian.Uint32(b.row(j)[shortSize:])) }
func (b block) lists() []byte       { return b[blockHead+b.places()*placeSize+b.selectors()*rowSize:] }

// begin is where the list of row j begins in lists.
func (b block) begin(j int) int {
	if j == 0 {
		return 0
	}
	return b.end(j - 1)
}

// list returns the list of the selector in row j.
func (b block) list(j int) []byte { return b.lists()[b.begin(j):b.end(j)] }

// find returns the row of a selector among those from row i on, or where it would be.
func (b block) find(i int, digest []byte) (j int, found bool) {
	j = i + sort.Search(b.selectors()-i, func(k int) bool { return bytes.Compare(b.digest(i+k), digest) >= 0 })
	return j, j < b.selectors() && bytes.Equal(b.digest(j), digest)
}

// behind returns the places of the records that carry the selector and lie behind last.
func (b block) behind(digest, last []byte) (out [][]byte) {
	j, found := b.find(0, digest)
	if !found {
		return nil
	}
	for _, i := range b.list(j) {
		if p := b.place(int(i)); bytes.Compare(p, last) > 0 {
			out = append(out, p)
		}
	}
	return out
}

// check reports whether the parts of b fit its length.
func (b block) check() error {
	if len(b) < blockHead || b.places() < 1 || b.places() > blockFull || b.selectors() > len(b) {
		return errDamaged
	}
	fixed := blockHead + b.places()*placeSize + b.selectors()*rowSize
	if fixed > len(b) || b.selectors() > 0 && b.end(b.selectors()-1) != len(b)-fixed {
		return errDamaged
	}
	return nil
}

// entry is what the index has to know of a record. Of one that was taken out, it is that it is gone.
type entry struct {
	place     [placeSize]byte
	selectors []short
	gone      bool
}

func entryOf(r lineage.Record) entry {
	sels := r.Selectors()
	e := entry{place: placeOf(r), selectors: make([]short, len(sels))}
	for i, sel := range sels {
		d := hashSelector(sel)
		e.selectors[i] = short(d[:])
	}
	return e
}

func (e entry) compare(f entry) int { return bytes.Compare(e.place[:], f.place[:]) }

// entries returns what the block was made of.
func (b block) entries() []entry {
	out := make([]entry, b.places())
	for i := range out {
		out[i].place = [placeSize]byte(b.place(i))
	}
	for j := range b.selectors() {
		for _, i := range b.list(j) {
			out[i].selectors = append(out[i].selectors, short(b.digest(j)))
		}
	}
	return out
}

// blockOf makes a block of up to blockFull entries, which are in order, each place once.
func blockOf(entries []entry) block {
	type pair struct {
		a, b uint64 // the digest
		at   int
	}
	var pairs []pair
	var w writer
	for i, e := range entries {
		w.places = append(w.places, e.place[:]...)
		for _, d := range e.selectors {
			pairs = append(pairs, pair{binary.BigEndian.Uint64(d[:]), binary.BigEndian.Uint64(d[8:]), i})
		}
	}
	slices.SortFunc(pairs, func(p, q pair) int {
		return cmp.Or(cmp.Compare(p.a, q.a), cmp.Compare(p.b, q.b), cmp.Compare(p.at, q.at))
	})
	for i, p := range pairs {
		w.lists = append(w.lists, byte(p.at))
		if i+1 == len(pairs) || pairs[i+1].a != p.a || pairs[i+1].b != p.b {
			var d short
			binary.BigEndian.PutUint64(d[:], p.a)
			binary.BigEndian.PutUint64(d[8:], p.b)
			w.row(d[:])
		}
	}
	return w.block()
}

// add returns the block of b and c, which lies behind b. Both fit into one.
func (b block) add(c block) block {
	n, i := b.places(), 0
	w := writer{
		rows:  make([]byte, 0, (b.selectors()+c.selectors())*rowSize),
		lists: make([]byte, 0, len(b.lists())+len(c.lists())),
	}
	w.places = append(append(w.places, b[blockHead:][:n*placeSize]...), c[blockHead:][:c.places()*placeSize]...)
	for j := range c.selectors() {
		k, found := b.find(i, c.digest(j))
		w.rowsOf(b, i, k)
		if i = k; found {
			w.lists = append(w.lists, b.list(k)...)
			i++
		}
		for _, at := range c.list(j) {
			w.lists = append(w.lists, byte(n)+at)
		}
		w.row(c.digest(j))
	}
	w.rowsOf(b, i, b.selectors())
	return w.block()
}

// writer puts a block together: for each selector first its list and then its row.
type writer struct{ places, rows, lists []byte }

func (w *writer) row(digest []byte) {
	w.rows = binary.BigEndian.AppendUint32(append(w.rows, digest...), uint32(len(w.lists)))
}

// rowsOf copies the rows of b from i up to k.
func (w *writer) rowsOf(b block, i, k int) {
	if i == k {
		return
	}
	shift := len(w.lists) - b.begin(i)
	w.lists = append(w.lists, b.lists()[b.begin(i):b.end(k-1)]...)
	for ; i < k; i++ {
		w.rows = binary.BigEndian.AppendUint32(append(w.rows, b.digest(i)...), uint32(b.end(i)+shift))
	}
}

func (w *writer) block() block {
	out := make(block, 0, blockHead+len(w.places)+len(w.rows)+len(w.lists))
	out = binary.BigEndian.AppendUint32(out, uint32(len(w.places)/placeSize))
	out = binary.BigEndian.AppendUint32(out, uint32(len(w.rows)/rowSize))
	return append(append(append(out, w.places...), w.rows...), w.lists...)
}
