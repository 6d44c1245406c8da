package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/bolt"
	"github.com/tokenboundary/tokenboundary/store/postgres"
)

// childVariable makes the test binary the process that is killed.
const childVariable = "TOKENBOUNDARY_CRASH_CHILD"

// script is what a child is told.
type script struct {
	Dir      string // of the embedded store, or
	Database string // of PostgreSQL, and
	Schema   string
	Issuer   string
	Seed     uint64
	Key      string
	Now      time.Time
	Held     map[string]made
	Ops      []op
	Fill     int    // how many bytes to commit first, for somebody else
	Mutant   string // how the store is wrong
}

// line is what a child says: that it has begun, or what came of an operation. It is the answer: what it says was released.
type line struct {
	Ready  bool   `json:",omitempty"`
	Op     int    `json:",omitempty"` // from 1
	Out    made   `json:",omitzero"`
	Failed string `json:",omitempty"`
	Closed bool   `json:",omitempty"`
}

// result is what a child has said, and whether it was killed.
type result struct {
	lines  []line
	killed bool
	stderr string
}

// acknowledged returns the results of the operations that were answered, in order, and what failed.
func (r result) acknowledged() (out []made, failed string) {
	for _, l := range r.lines {
		switch {
		case l.Failed != "":
			failed = l.Failed
		case l.Op > 0:
			out = append(out, l.Out)
		}
	}
	return out, failed
}

// TestChild is the process that is killed. Its randomness comes from the script's seed, so that a script that runs again
// writes the same.
func TestChild(t *testing.T) {
	if os.Getenv(childVariable) == "" {
		t.Skip("is run by the other tests, in a process of its own")
	}
	if err := child(t); err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		t.Fatal(err)
	}
}

// child runs a script until it ends, or is killed. It stops at the first operation that fails.
func child(t *testing.T) error {
	ctx := t.Context()
	var s script
	if err := json.NewDecoder(os.Stdin).Decode(&s); err != nil {
		return err
	}
	cryptotest.SetGlobalRandom(t, s.Seed)
	if s.Dir != "" {
		if err := trap(4); err != nil {
			return err
		}
	}
	say := json.NewEncoder(os.NewFile(3, "answers"))
	state, closing, err := s.open(ctx)
	if err != nil {
		return err
	}
	if s.Fill > 0 {
		tx := store.Tx{Issuer: "https://another.example", Time: start, Swaps: []store.Swap{{Key: "fill", State: "set", Value: make([]byte, s.Fill)}}}
		if err := state.Commit(ctx, []store.Tx{tx})[0]; err != nil {
			return err
		}
	}
	key, err := parseKey(s.Key)
	if err != nil {
		return err
	}
	n, err := boot(ctx, wrong(state, s.Mutant), s.Issuer, s.Now, key)
	if err != nil {
		return errors.Join(say.Encode(line{Failed: "boot: " + err.Error()}), err)
	}
	if err := say.Encode(line{Ready: true}); err != nil {
		return err
	}
	for i, o := range s.Ops {
		out, err := n.do(ctx, o, s.Held)
		if err != nil {
			return errors.Join(say.Encode(line{Op: i + 1, Failed: err.Error()}), closing())
		}
		s.Held[o.Out] = out
		if err := say.Encode(line{Op: i + 1, Out: out}); err != nil {
			return err
		}
		if in, ok := s.Held[o.In]; ok && o.Kind == "refresh" {
			in.Refresh = out.Refresh
			s.Held[o.In] = in
		}
	}
	if err := closing(); err != nil {
		return err
	}
	return say.Encode(line{Closed: true})
}

// open opens the store of the script.
func (s script) open(ctx context.Context) (store.Store, func() error, error) {
	if s.Dir != "" {
		b, err := bolt.Open(filepath.Join(s.Dir, "store"))
		if err != nil {
			return nil, nil, err
		}
		return b, b.Close, nil
	}
	p, err := postgres.Open(ctx, s.Database, postgres.Options{Schema: s.Schema, MaxConns: 2, Timeout: 5 * time.Second})
	if err != nil {
		return nil, nil, err
	}
	return p, p.Close, nil
}
