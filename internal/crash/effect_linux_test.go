//go:build linux && (amd64 || arm64)

package crash

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"golang.org/x/sys/unix"
)

// effect is what a call would do to the files, and what it answers.
type effect struct {
	change *change
	synced *string
	value  int64
	what   string // for people
	size   int    // of what is written
}

// effect returns what a call means for the directory; ok is false for one that does not concern it.
func (d *disk) effect(c call) (e effect, ok bool, err error) {
	if c.nr == unix.SYS_OPENAT || c.nr == unix.SYS_UNLINKAT {
		return d.naming(c)
	}
	arg := 0
	name, ok := d.name(c.file(arg))
	if !ok {
		return e, false, nil
	}
	e.what = map[int]string{
		unix.SYS_PWRITE64: "write ", unix.SYS_FSYNC: "sync ", unix.SYS_FDATASYNC: "sync ", unix.SYS_FTRUNCATE: "truncate ",
	}[c.nr] + name
	switch c.nr {
	case unix.SYS_PWRITE64:
		size, at := c.args[2], int64(c.args[3])
		data, err := c.bytes(c.args[1], size)
		if err != nil {
			return e, true, err
		}
		old, err := d.read(name, at, int64(size))
		e.change = &change{name: name, before: old, after: content{true, max(old.size, at+int64(size)), at, data}}
		e.value, e.size = int64(size), int(size)
		return e, true, err
	case unix.SYS_FTRUNCATE:
		size := int64(c.args[1])
		old, err := d.read(name, size, 1<<40)
		e.change = &change{name: name, before: old, after: content{there: true, size: size}}
		return e, true, err
	case unix.SYS_FSYNC, unix.SYS_FDATASYNC:
		e.synced = &name
		return e, true, nil
	}
	return e, true, fmt.Errorf("system call %d on %q is not known here", c.nr, name)
}

// naming is effect of a call that makes, cuts or removes a file. The kernel makes it, so that the child gets its descriptor.
func (d *disk) naming(c call) (e effect, ok bool, err error) {
	name, ok := d.name(c.path(1))
	if !ok || name == "" {
		return e, false, nil
	}
	flags, all := c.args[2], int64(0)
	if c.nr == unix.SYS_UNLINKAT || flags&unix.O_TRUNC != 0 {
		all = 1 << 40
	}
	old, err := d.read(name, 0, all)
	if err != nil {
		return e, true, err
	}
	if c.nr == unix.SYS_UNLINKAT {
		e.what = "remove " + name
		e.change = &change{name: name, names: true, before: old}
		return e, true, nil
	}
	switch {
	case !old.there && flags&unix.O_CREAT != 0:
		e.what, e.change = "make "+name, &change{name: name, names: true, after: content{there: true}}
	case old.there && flags&unix.O_TRUNC != 0:
		e.what, e.change = "cut "+name, &change{name: name, before: old, after: content{there: true}}
	default:
		return e, false, nil
	}
	return e, true, nil
}

// name returns the name of a file in the directory; empty for the directory itself.
func (d *disk) name(path string) (string, bool) {
	if path == d.dir {
		return "", true
	}
	name, ok := strings.CutPrefix(path, d.dir+"/")
	return strings.TrimSuffix(name, " (deleted)"), ok && !strings.Contains(name, "/")
}

// part is the effect of a write of which only the beginning has come through.
func (e effect) part(random *rand.Rand) *change {
	if e.size < 2 {
		return nil
	}
	c := *e.change
	n := 1 + random.IntN(e.size-1)
	c.after.part = c.after.part[:n]
	c.after.size = max(c.before.size, c.after.at+int64(n))
	return &c
}
