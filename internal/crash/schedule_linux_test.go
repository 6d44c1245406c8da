//go:build linux && (amd64 || arm64)

package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary/store/bolt"
)

// schedule is one way for one script to end.
type schedule struct {
	seed   uint64
	ops    []op
	fill   int
	point  point
	loss   loss
	mutant string
}

func (s schedule) String() string {
	names := make([]string, len(s.ops))
	for i, o := range s.ops {
		names[i] = o.String()
	}
	fill := ""
	if s.fill > 0 {
		fill = " with a full log"
	}
	return fmt.Sprintf("[%s]%s killed %s %d, %s, seed %d", strings.Join(names, "; "), fill, s.point.when, s.point.at, s.loss, s.seed)
}

// wreck is what a schedule has left.
type wreck struct {
	result
	seen []string // what was done to the files
	now  time.Time
}

// crash runs a schedule's script in a directory until the child is dead and the disk has lost what it loses.
func (b *bed) crash(ctx context.Context, s schedule, dir string) (wreck, error) {
	r := &reaper{disk: newDisk(dir), point: s.point, random: rand.New(rand.NewPCG(s.seed, 1))}
	if s.mutant == unsynced {
		r.disk.liar = "-wal"
	}
	ops := make([]op, len(s.ops))
	for i, o := range s.ops {
		o.At = b.now.Add(time.Duration(i+1) * step)
		ops[i] = o
	}
	out, err := supervised(ctx, script{
		Dir: dir, Issuer: issuer, Seed: s.seed, Key: b.text, Now: b.now.Add(step), Held: b.model.held(), Ops: ops, Fill: s.fill,
		Mutant: s.mutant,
	}, r)
	got, failed := out.acknowledged()
	if err == nil && failed != "" {
		err = fmt.Errorf("an operation failed: %s", failed)
	}
	now := b.now.Add(time.Duration(min(len(got)+1, len(ops))) * step)
	return wreck{out, r.seen, now}, errors.Join(err, r.disk.stop(s.loss, r.random))
}

// try runs a schedule and judges what it has left. With keeps it returns what to go on from.
func (b *bed) try(ctx context.Context, s schedule, dir string, keeps bool) (next *bed, seen []string, err error) {
	if err := duplicate(b.dir, dir); err != nil {
		return nil, nil, err
	}
	c, err := b.crash(ctx, s, dir)
	next = &bed{root: b.root, dir: dir, key: b.key, text: b.text, now: c.now}
	judged := dir
	if keeps {
		judged += "-judged"
		err = errors.Join(err, duplicate(dir, judged))
	}
	if err == nil {
		next.model, err = b.judge(ctx, s, c, judged)
	}
	return next, c.seen, errors.Join(err, os.RemoveAll(judged))
}

// judge starts a node on what is left, as after the crash, looks, and uses what there is. It returns what was true before.
func (b *bed) judge(ctx context.Context, s schedule, c wreck, dir string) (found *model, err error) {
	state, err := bolt.Open(filepath.Join(dir, "store"))
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	defer func() { err = errors.Join(err, state.Close()) }()
	n, err := boot(ctx, state, issuer, c.now.Add(step), b.key)
	if err != nil {
		return nil, fmt.Errorf("boot: %w", err)
	}
	v, err := settle(ctx, n, b.model, s.ops, c.result)
	if err != nil {
		return nil, err
	}
	found = v.copy()
	if err := v.follow(ctx, n); err != nil {
		return nil, err
	}
	n.clock.Add(step)
	return found, v.probe(ctx, n, s.ops, rand.New(rand.NewPCG(s.seed, uint64(s.point.at))))
}
