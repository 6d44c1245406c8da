package bolt

import (
	"bytes"
	"math/rand/v2"
	"os"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// disk is what a process sees of the store and its log, and what would be left of them if the power failed. A file is known
// by what its name has more than that of the store.
type disk struct {
	durable map[string][]byte // nil: not there
	pending []step            // what was done and not synced, in order
}

// step is something that was done to a file.
type step struct {
	file string
	did  action
	at   int64
	data []byte
}

type action int

const (
	wrote   action = iota
	resized        // to at
	created
	removed
	synced    // its content
	dirSynced // all names
)

// sector is what a disk writes whole or not at all.
const sector = 512

func isName(a action) bool { return a == created || a == removed }

// do takes steps.
func (d *disk) do(steps ...step) {
	for _, s := range steps {
		d.take(s)
	}
}

func (d *disk) take(s step) {
	d.pending = slices.DeleteFunc(append(d.pending, s), func(p step) bool {
		switch {
		case p.did == synced || p.did == dirSynced:
			return true
		case s.did == dirSynced && isName(p.did), s.did == synced && p.file == s.file && !isName(p.did):
			p.change(d.durable)
			return true
		}
		return false
	})
}

// change does the step to files.
func (s step) change(files map[string][]byte) {
	content := slices.Clone(files[s.file])
	grow := func(size int64) {
		content = append(content, make([]byte, max(0, size-int64(len(content))))...)
	}
	switch s.did {
	case wrote:
		grow(s.at + int64(len(s.data)))
		copy(content[s.at:], s.data)
	case synced, dirSynced:
		return
	case resized:
		grow(s.at)
		content = content[:s.at]
	case created:
		content = []byte{}
	case removed:
		content = nil
	}
	files[s.file] = content
}

// seen returns the files as a process sees them, whether or not they are on the disk.
func (d *disk) seen() map[string][]byte {
	files := map[string][]byte{"": slices.Clone(d.durable[""]), logSuffix: slices.Clone(d.durable[logSuffix])}
	for _, s := range d.pending {
		s.change(files)
	}
	return files
}

// losePower keeps what is durable, and any part of the rest.
func (d *disk) losePower(rng *rand.Rand) {
	keeps := []func() bool{
		func() bool { return false }, func() bool { return true }, func() bool { return rng.IntN(2) == 0 },
	}[rng.IntN(3)]
	there := d.durable[logSuffix] != nil
	for _, s := range d.pending {
		switch {
		case s.did == wrote:
			for at := int64(0); at < int64(len(s.data)); {
				n := min(sector-(s.at+at)%sector, int64(len(s.data))-at)
				if keeps() {
					step{s.file, wrote, s.at + at, s.data[at : at+n]}.change(d.durable)
				}
				at += n
			}
		case keeps():
			s.change(d.durable)
			there = there && s.did != removed || s.did == created
		}
	}
	if d.pending = nil; !there {
		d.durable[logSuffix] = nil // a file without a name
	}
}

// changes returns what was done after some steps to make the files what they are at path now, given that each write of the
// store is one of bbolt: its pages, a sync, one of the first two pages, a sync. Where they were
// opened, both files and their names are synced first.
func (d *disk) changes(t *testing.T, path string, before []step, opened bool) (steps []step) {
	t.Helper()
	was := d.seen()
	for _, s := range before {
		s.change(was)
	}
	switch log, err := os.ReadFile(path + logSuffix); {
	case os.IsNotExist(err) && was[logSuffix] != nil:
		defer func() { steps = append(steps, step{logSuffix, removed, 0, nil}) }()
	case err == nil && was[logSuffix] == nil:
		steps = append(steps, step{logSuffix, created, 0, nil})
	case err == nil && len(log) < len(was[logSuffix]):
		steps = append(steps, step{logSuffix, resized, int64(len(log)), nil})
	case err == nil:
		require.True(t, bytes.Equal(was[logSuffix], log), "the log was changed behind the recorder")
	}
	if opened {
		steps = append([]step{{"", synced, 0, nil}}, steps...)
		steps = append(steps, step{logSuffix, synced, 0, nil}, step{logSuffix, dirSynced, 0, nil})
	}
	is, err := os.ReadFile(path)
	require.NoError(t, err)
	old, page := was[""], os.Getpagesize()
	if len(is) > len(old) {
		steps = append(steps, step{"", resized, int64(len(is)), nil}, step{"", synced, 0, nil})
		old = append(old, make([]byte, len(is)-len(old))...)
	}
	var meta []step
	for at := 0; at < len(is); at += page {
		if s := (step{"", wrote, int64(at), is[at : at+page]}); bytes.Equal(old[at:at+page], s.data) {
			continue
		} else if at < 2*page {
			meta = append(meta, s)
		} else {
			steps = append(steps, s)
		}
	}
	require.LessOrEqual(t, len(meta), 1, "more than one write of the store")
	if len(meta) == 1 {
		steps = append(steps, step{"", synced, 0, nil}, meta[0], step{"", synced, 0, nil})
	}
	return steps
}

// recorder is a file that notes what is done to it. Syncs are only noted, or fail.
type recorder struct {
	file
	steps     *[]step
	room      int64 // how much can be written; negative: everything
	syncFails bool
}

func (r *recorder) WriteAt(b []byte, at int64) (n int, err error) {
	if r.room >= 0 && int64(len(b)) > r.room {
		b, err = b[:r.room], syscall.ENOSPC
	}
	*r.steps = append(*r.steps, step{logSuffix, wrote, at, slices.Clone(b)})
	n, failed := r.file.WriteAt(b, at)
	if err == nil {
		err = failed
	}
	return n, err
}

func (r *recorder) Sync() error {
	if r.syncFails {
		return syscall.EIO
	}
	*r.steps = append(*r.steps, step{logSuffix, synced, 0, nil})
	return nil
}
