package bolt

import (
	"encoding/binary"
	"fmt"
	"os"
)

// What a page of bbolt begins with: its number, what it is, how many elements it has, and how many pages it goes on for. An
// element of a branch page has a page below it; one of a leaf page has a key and a value, which may be a bucket.
const (
	pageHead    = 16
	elementSize = 16
	branchPage  = 1
	leafPage    = 2
	bucketFlag  = 1
	// nested is how deep the buckets of a store lie: those of an issuer are in its own, which is in that of all issuers.
	nested = 3
)

// outliner follows the pages of a file from one to those below it. bbolt takes for granted that this ends.
type outliner struct {
	file *os.File
	size int64 // of a page
	seen []uint64
	todo []below
}

// below is a page that another one, or a bucket, leads to.
type below struct {
	page  uint64
	level int // of the bucket that it belongs to
}

// outline makes sure that no page of the file is reached twice. What it cannot read it leaves alone: whoever reads that gets
// an error.
func outline(path string, pageSize int64, root uint64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	o := outliner{file: f, size: pageSize, seen: make([]uint64, info.Size()/pageSize/64+1), todo: []below{{root, 0}}}
	for len(o.todo) > 0 {
		last := len(o.todo) - 1
		at := o.todo[last]
		o.todo = o.todo[:last]
		if err := o.visit(at, uint64(info.Size()/pageSize)); err != nil {
			return err
		}
	}
	return nil
}

func (o *outliner) visit(at below, pages uint64) error {
	if at.page >= pages {
		return nil
	}
	word, bit := at.page/64, uint64(1)<<(at.page%64)
	if o.seen[word]&bit != 0 {
		return fmt.Errorf("%w: page %d is reached twice", errDamaged, at.page)
	}
	o.seen[word] |= bit
	head := o.read(int64(at.page)*o.size, pageHead)
	if head == nil {
		return nil
	}
	kind, count := binary.NativeEndian.Uint16(head[8:]), int(binary.NativeEndian.Uint16(head[10:]))
	if kind == branchPage || kind == leafPage && at.level < nested {
		start := int64(at.page)*o.size + pageHead
		elements := o.read(start, count*elementSize)
		for i := 0; i+elementSize <= len(elements); i += elementSize {
			o.follow(at, kind, start+int64(i), elements[i:i+elementSize])
		}
	}
	return nil
}

// follow notes what an element leads to, which lies at an offset of the file.
func (o *outliner) follow(at below, kind uint16, offset int64, element []byte) {
	number := func(i int) int64 { return int64(binary.NativeEndian.Uint32(element[i:])) }
	switch {
	case kind == branchPage:
		o.todo = append(o.todo, below{binary.NativeEndian.Uint64(element[8:]), at.level})
	case number(0)&bucketFlag != 0:
		if value := o.read(offset+number(4)+number(8), 8); value != nil && binary.NativeEndian.Uint64(value) != 0 {
			o.todo = append(o.todo, below{binary.NativeEndian.Uint64(value), at.level + 1})
		}
	}
}

// read returns n bytes at an offset; nil where they are not there.
func (o *outliner) read(at int64, n int) []byte {
	out := make([]byte, n)
	if _, err := o.file.ReadAt(out, at); err != nil {
		return nil
	}
	return out
}
