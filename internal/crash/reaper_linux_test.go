//go:build linux && (amd64 || arm64)

package crash

import (
	"errors"
	"math/rand/v2"
	"syscall"

	"golang.org/x/sys/unix"
)

// point is where a child is killed: at the n-th effect, before it, in the middle of it, or right after it.
type point struct {
	at   int // from 1; 0: never
	when when
}

type when string

const (
	before when = "before"
	during when = "during"
	after  when = "after"
)

// reaper decides what becomes of a child's calls, and kills it when it is time.
type reaper struct {
	disk   *disk
	point  point
	random *rand.Rand
	kill   func() error
	seen   []string // what it did, in order
	killed bool
}

func (r *reaper) decide(c call) answer {
	if r.killed {
		return answer{silent: true}
	}
	e, ours, err := r.disk.effect(c)
	switch {
	case err != nil:
		r.disk.bad = errors.Join(r.disk.bad, err)
		return answer{errno: syscall.ENOSYS}
	case !ours:
		return answer{itself: true}
	}
	r.seen = append(r.seen, e.what)
	now := len(r.seen) == r.point.at
	if now && r.point.when == before {
		return r.die()
	}
	if now && r.point.when == during {
		if e.size > 0 {
			if c := e.part(r.random); c != nil {
				r.disk.bad = errors.Join(r.disk.bad, r.disk.do(*c))
			}
		}
		return r.die()
	}
	if e.change != nil {
		r.disk.bad = errors.Join(r.disk.bad, r.disk.do(*e.change))
	}
	if e.synced != nil {
		r.disk.sync(*e.synced)
	}
	if now {
		return r.die()
	}
	return answer{value: e.value, itself: c.nr == unix.SYS_OPENAT}
}

func (r *reaper) die() answer {
	r.killed = true
	r.disk.bad = errors.Join(r.disk.bad, r.kill())
	return answer{silent: true}
}
