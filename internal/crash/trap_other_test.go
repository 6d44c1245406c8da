//go:build !linux || (!amd64 && !arm64)

package crash

import (
	"errors"
	"testing"
)

// trap needs a kernel that hands system calls to another process.
func trap(int) error { return errors.New("only Linux") }

func TestEveryWrite(t *testing.T) {
	t.Skip("only on Linux (amd64, arm64) can a process be ended at each of its system calls")
}
