//go:build linux && (amd64 || arm64)

package crash

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// disk does what a child asks of the files in one directory, and remembers what would be lost if the machine stopped: what
// was written since the last sync of its file, and which names came and went since the last sync of the directory.
type disk struct {
	dir     string
	changes []change
	liar    string // a file whose syncs do nothing, by the end of its name: for mutants
	bad     error  // the first thing that it does not know how to do
	files   map[string]*os.File
}

// change is one that is not durable: what a file was and what it became.
type change struct {
	name   string // of the file, without the directory
	names  bool   // it came or went; the directory says when that is durable
	before content
	after  content
}

// content is a part of a file and where the file ends. The zero content is of a file that is not there.
type content struct {
	there bool
	size  int64
	at    int64
	part  []byte
}

// sector is what a disk writes whole.
const sector = 512

func newDisk(dir string) *disk { return &disk{dir: dir, files: map[string]*os.File{}} }

// open returns the file of a name, open for as long as it is there.
func (d *disk) open(name string) (*os.File, error) {
	if f := d.files[name]; f != nil {
		return f, nil
	}
	f, err := os.OpenFile(filepath.Join(d.dir, name), os.O_RDWR, 0)
	if err == nil {
		d.files[name] = f
	}
	return f, err
}

func (d *disk) shut(name string) {
	if f := d.files[name]; f != nil {
		d.bad = errors.Join(d.bad, f.Close())
		delete(d.files, name)
	}
}

func (d *disk) close() {
	for name := range d.files {
		d.shut(name)
	}
}

// read returns what a file holds from a place on, up to so many bytes.
func (d *disk) read(name string, at, size int64) (content, error) {
	f, err := d.open(name)
	if errors.Is(err, os.ErrNotExist) {
		return content{}, nil
	}
	if err != nil {
		return content{}, err
	}
	info, err := f.Stat()
	if err != nil {
		return content{}, err
	}
	c := content{there: true, size: info.Size(), at: at, part: make([]byte, max(0, min(size, info.Size()-at)))}
	if _, err = f.ReadAt(c.part, at); errors.Is(err, io.EOF) {
		err = nil
	}
	return c, err
}

// put makes a part of a file what the content says.
func (d *disk) put(name string, c content) error {
	if !c.there {
		d.shut(name)
		err := os.Remove(filepath.Join(d.dir, name))
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}
	f, err := d.open(name)
	if errors.Is(err, os.ErrNotExist) {
		f, err = os.OpenFile(filepath.Join(d.dir, name), os.O_RDWR|os.O_CREATE, 0o600)
		d.files[name] = f
	}
	if err != nil {
		return err
	}
	if _, err := f.WriteAt(c.part, c.at); err != nil {
		return err
	}
	return f.Truncate(c.size)
}

// do makes a change, and remembers it.
func (d *disk) do(c change) error {
	d.changes = append(d.changes, c)
	return d.put(c.name, c.after)
}

// sync makes durable what was done to a file, or with the empty name to the directory.
func (d *disk) sync(name string) {
	if d.liar != "" && strings.HasSuffix(name, d.liar) {
		return
	}
	d.changes = slices.DeleteFunc(d.changes, func(c change) bool { return c.names == (name == "") && (c.names || c.name == name) })
}

// loss is what becomes of what was not synced when the machine stops.
type loss string

const (
	keep loss = "keep" // nothing is lost: only the process has ended
	lose loss = "lose" // all of it
	tear loss = "tear" // some of it, by sectors
)

// stop makes the files what is found after the machine has stopped.
func (d *disk) stop(l loss, random *rand.Rand) error {
	defer d.close()
	if l == keep {
		return d.bad
	}
	for _, c := range slices.Backward(d.changes) {
		if err := d.put(c.name, c.before); err != nil {
			return err
		}
	}
	for _, c := range d.changes {
		if l == lose || random.IntN(2) == 0 {
			continue
		}
		if err := d.again(c, random); err != nil {
			return err
		}
	}
	d.changes = nil
	return d.bad
}

// again makes a change once more, or a part of it: as it would be if only some of its sectors had come through.
func (d *disk) again(c change, random *rand.Rand) error {
	now, err := d.read(c.name, 0, 0)
	if err != nil {
		return err
	}
	if c.names || len(c.after.part) == 0 {
		return d.put(c.name, c.after)
	}
	if !now.there {
		return nil // the file itself was lost
	}
	whole := random.IntN(2) == 0
	for from := 0; from < len(c.after.part); {
		to := min(len(c.after.part), from+sector-int(c.after.at+int64(from))%sector)
		if whole || random.IntN(2) == 0 {
			part := content{there: true, at: c.after.at + int64(from), part: c.after.part[from:to]}
			part.size = max(now.size, part.at+int64(to-from))
			now.size = part.size
			if err := d.put(c.name, part); err != nil {
				return err
			}
		}
		from = to
	}
	return nil
}
