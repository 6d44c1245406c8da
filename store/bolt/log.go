package bolt

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"
)

// The log is a file beside the store's: what was committed since the last checkpoint, one frame for each commit. To commit
// is then one synced write at the end of it, and the pages of the store are written once for many commits.
//
// Nothing is ever taken out of the log. A checkpoint begins another generation of frames at its beginning: the store names
// the only one that counts, and what is left of those before it is ignored. The store also names the one that the log begins
// with until then, so that the log of another store, or of another time, is not taken for one in which nothing counts.

// logSuffix is what the name of the log has more than that of the store.
const logSuffix = "-wal"

// logLimit is how long the log becomes before a checkpoint, in bytes: about a thousand exchanges. It bounds what Open has to
// do after a crash, how long a checkpoint takes, and what is held in memory: where each entry lies in another page of the
// store, some thirty times as much.
const logLimit = 4 << 20

// generation tells the frames since one checkpoint from all others. It is random, so that nobody can have it written into
// the log by a value. The zero one means that nothing in the log counts.
type generation [16]byte

func newGeneration() (g generation) {
	_, _ = rand.Read(g[:]) // never fails
	return g
}

// A frame is its generation, its number in it (four bytes), its length (four bytes), its content, and a checksum of all.
const (
	frameHead = len(generation{}) + 8
	frameSum  = 4
)

// file is what a log needs of an [os.File]; tests put disks that fail in its place.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Sync() error
	Name() string
}

// logFile is an open log.
type logFile struct {
	file
	generation generation
	first      generation // of the frame that it begins with; zero where no whole one is there
	frames     uint32     // how many were written
	size       int64      // where the next one goes
	room       []byte     // for the next one
}

// begin starts another generation at the beginning of the file. The store must have been told.
func (l *logFile) begin(g generation) { l.generation, l.frames, l.size = g, 0, 0 }

// append writes a frame. When it returns nil, the frame is durable.
func (l *logFile) append(content []byte) error {
	frame := append(l.room[:0], l.generation[:]...)
	frame = binary.BigEndian.AppendUint32(frame, l.frames)
	frame = appendBytes(frame, content)
	frame = binary.BigEndian.AppendUint32(frame, crc32.Checksum(frame, castagnoli))
	l.room = frame
	if _, err := l.WriteAt(frame, l.size); err != nil {
		return err
	}
	l.first = l.generation
	l.frames++
	l.size += int64(len(frame))
	return l.Sync()
}

// read returns the contents of the frames that count, in order.
func (l *logFile) read() ([][]byte, error) {
	data, err := io.ReadAll(io.NewSectionReader(l, 0, math.MaxInt64))
	if err != nil {
		return nil, err
	}
	l.first = firstGeneration(data)
	if l.generation == (generation{}) {
		return nil, nil
	}
	return readFrames(data, l.generation)
}

// firstGeneration returns the generation of the frame that data begins with; zero where there is no whole one.
func firstGeneration(data []byte) (g generation) {
	copy(g[:], data)
	if _, _, rest := readFrame(data, g); rest == nil {
		return generation{}
	}
	return g
}

// readFrames returns the contents of the frames of a generation, in order. The last one may have been written in part: that
// commit was not acknowledged, and is not there. One that is damaged with another behind it was.
func readFrames(data []byte, g generation) (contents [][]byte, err error) {
	for {
		content, number, rest := readFrame(data, g)
		if rest == nil || number != uint32(len(contents)) {
			break
		}
		contents, data = append(contents, content), rest
	}
	for at := bytes.Index(data, g[:]); at >= 0; at = bytes.Index(data, g[:]) {
		if _, _, rest := readFrame(data[at:], g); rest != nil {
			return nil, fmt.Errorf("%w: its log", errDamaged)
		}
		data = data[at+1:]
	}
	return contents, nil
}

// readFrame reads the frame that data begins with, and returns what follows; nil if there is no whole one.
func readFrame(data []byte, g generation) (content []byte, number uint32, rest []byte) {
	if len(data) < frameHead+frameSum || !bytes.HasPrefix(data, g[:]) {
		return nil, 0, nil
	}
	number = binary.BigEndian.Uint32(data[len(g):])
	n := uint64(binary.BigEndian.Uint32(data[len(g)+4:]))
	if n > uint64(len(data)-frameHead-frameSum) {
		return nil, 0, nil
	}
	end := frameHead + int(n)
	if binary.BigEndian.Uint32(data[end:]) != crc32.Checksum(data[:end], castagnoli) {
		return nil, 0, nil
	}
	return data[frameHead:end], number, data[end+frameSum:]
}

// logged is one entry of a frame: what one key of one bucket of an issuer became.
type logged struct {
	bucket  string
	removed bool
	key     []byte
	value   []byte
}

// loggedBuckets are the buckets that a frame may name, by number. The index is not among them: it is made from the records.
var loggedBuckets = []string{recordsBucket, idsBucket, marksBucket, headsBucket, expiryBucket, feedBucket, clockBucket}

func appendLogged(out []byte, c logged) []byte {
	out = append(out, byte(slices.Index(loggedBuckets, c.bucket)))
	if c.removed {
		return appendBytes(append(out, 1), c.key)
	}
	return appendBytes(appendBytes(append(out, 0), c.key), c.value)
}

func (d *decoder) logged() (c logged) {
	c.bucket = loggedBuckets[d.flag(byte(len(loggedBuckets)))]
	c.removed = d.flag(2) == 1
	c.key = d.take(uint64(d.small()))
	if !c.removed {
		c.value = d.take(uint64(d.small()))
	}
	return c
}
