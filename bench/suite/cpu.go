//go:build unix

package suite

import (
	"syscall"
	"time"
)

// CPUTime returns the processor time that the process has used. It is zero where the system does not say.
func CPUTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
