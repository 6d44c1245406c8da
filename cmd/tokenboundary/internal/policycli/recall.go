package policycli

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/store/bolt"
)

// history is where recorded decisions are read.
type history struct{ file, issuer string }

func (h *history) flags(f *flag.FlagSet) {
	f.StringVar(&h.file, "store", "", "the `FILE` of the bolt store with the recorded decisions")
	f.StringVar(&h.issuer, "issuer", "", "the `URL` of the boundary that wrote it")
}

// misused says what is wrong with how the flags are used; empty where nothing is.
func (h history) misused() string {
	if h.file == "" || h.issuer == "" {
		return "--store and --issuer are required"
	}
	return ""
}

// open opens the store, which has to be there already, until it is closed. A server that runs has it locked and is not
// disturbed.
func (h history) open() (from tokenboundary.Recall, closed func(), err error) {
	if _, err := os.Stat(h.file); err != nil { // Open would make one
		return from, nil, err
	}
	s, err := bolt.Open(h.file)
	if errors.Is(err, bolt.ErrLocked) {
		err = fmt.Errorf("%w: a server that runs keeps it to itself; give a copy, made while it is stopped or by a "+
			"snapshot of the file system, with the file %s-wal if there is one", err, h.file)
	}
	if err != nil {
		return from, nil, err
	}
	return tokenboundary.Recall{Store: s, Issuer: h.issuer}, func() { _ = s.Close() }, nil
}

// moment reads a time into t.
func moment(t *time.Time) func(string) error {
	return func(s string) (err error) {
		if *t, err = time.Parse(time.DateOnly, s); err != nil {
			*t, err = time.Parse(time.RFC3339, s)
		}
		return err
	}
}
