//go:build linux && (amd64 || arm64)

package crash

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// call is a system call that a child wants to make.
type call struct {
	pid, nr int
	args    [6]uint64
}

// answer is what becomes of it: a result, an error, or that the kernel does it itself.
type answer struct {
	value  int64
	errno  syscall.Errno
	itself bool
	silent bool
}

// file returns the path of the call's file descriptor.
func (c call) file(arg int) string {
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", c.pid, int32(c.args[arg])))
	if err != nil {
		return ""
	}
	return path
}

// bytes reads the child's memory.
func (c call) bytes(address, size uint64) ([]byte, error) {
	out := make([]byte, size)
	if size == 0 {
		return out, nil
	}
	local := []unix.Iovec{{Base: &out[0], Len: size}}
	n, err := unix.ProcessVMReadv(c.pid, local, []unix.RemoteIovec{{Base: uintptr(address), Len: int(size)}}, 0)
	return out[:max(n, 0)], err
}

// path reads a path from the child's memory. It does not cross a page that may not be there.
func (c call) path(arg int) string {
	var out []byte
	for at := c.args[arg]; len(out) < 4096; at = at/64*64 + 64 {
		part, err := c.bytes(at, 64-at%64)
		if err != nil {
			return ""
		}
		for i, b := range part {
			if b == 0 {
				return string(append(out, part[:i]...))
			}
		}
		out = append(out, part...)
	}
	return ""
}
