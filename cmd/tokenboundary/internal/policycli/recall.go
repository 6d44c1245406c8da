package policycli

import (
	"errors"
	"fmt"
	"os"

	"github.com/tokenboundary/tokenboundary/store/bolt"
)

// openStore opens the store in a file that is there. A server that runs has it locked and is not disturbed.
func openStore(file string) (*bolt.Store, error) {
	if _, err := os.Stat(file); err != nil { // Open would make one
		return nil, err
	}
	s, err := bolt.Open(file)
	if errors.Is(err, bolt.ErrLocked) {
		return nil, fmt.Errorf("%w: a server that runs keeps it to itself; give a copy, made while it is stopped or by a "+
			"snapshot of the file system, with the file %s-wal if there is one", err, file)
	}
	return s, err
}
