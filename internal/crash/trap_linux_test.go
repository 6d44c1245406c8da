//go:build linux && (amd64 || arm64)

package crash

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"time"
	"unsafe" //nolint:depguard // the kernel takes addresses

	"golang.org/x/sys/unix"
)

// A child gives itself a filter (seccomp, user notification): the system calls by which it changes files then stop, and
// its parent decides what becomes of each. Nothing in the store knows of it.

// trapped are the system calls that change files or make them durable.
var trapped = []uint32{
	unix.SYS_PWRITE64, unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_FTRUNCATE, unix.SYS_UNLINKAT,
	// The store does not use these: one that concerns its files fails the test.
	unix.SYS_PWRITEV, unix.SYS_PWRITEV2, unix.SYS_WRITEV, unix.SYS_FALLOCATE, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2,
	unix.SYS_COPY_FILE_RANGE, unix.SYS_SENDFILE, unix.SYS_TRUNCATE, unix.SYS_SYNC_FILE_RANGE,
}

const madeOrCut = unix.O_CREAT | unix.O_TRUNC

// notice is struct seccomp_notif of linux/seccomp.h.
type notice struct {
	id   uint64
	pid  uint32
	_    uint32
	nr   int32
	_    uint32
	_    uint64
	args [6]uint64
}

// reply is struct seccomp_notif_resp.
type reply struct {
	id    uint64
	value int64
	errno int32
	flags uint32
}

// filter is the program that stops the trapped calls, and openat where it makes or cuts a file.
func filter() []unix.SockFilter {
	load := func(offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	jump := func(op uint16, k uint32, yes, no int) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_K | op, Jt: uint8(yes), Jf: uint8(no), K: k}
	}
	out := []unix.SockFilter{load(0)}
	n := len(trapped)
	for i, nr := range trapped {
		out = append(out, jump(unix.BPF_JEQ, nr, n-i+3, 0))
	}
	return append(out,
		jump(unix.BPF_JEQ, unix.SYS_OPENAT, 0, 2),
		load(16+8*2), // the flags
		jump(unix.BPF_JSET, madeOrCut, 1, 0),
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF},
	)
}

// trap puts the filter on all threads of this process, and sends the listener over the socket.
func trap(socket int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	program := filter()
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	if err := unix.Sendmsg(socket, []byte{0}, unix.UnixRights(int(fd)), nil, 0); err != nil {
		return fmt.Errorf("send the listener: %w", err)
	}
	return errors.Join(unix.Close(int(fd)), unix.Close(socket))
}

// listener receives what trap sends.
func listener(socket *net.UnixConn) (int, error) {
	room := make([]byte, unix.CmsgSpace(4))
	if err := socket.SetReadDeadline(deadline()); err != nil {
		return 0, err
	}
	_, n, _, _, err := socket.ReadMsgUnix(make([]byte, 1), room)
	if err != nil {
		return 0, err
	}
	messages, err := unix.ParseSocketControlMessage(room[:n])
	if err != nil || len(messages) != 1 {
		return 0, errors.Join(errors.New("no listener came"), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return 0, errors.Join(errors.New("no listener came"), err)
	}
	return fds[0], nil
}

// deadline bounds how long a child may take for anything.
func deadline() time.Time {
	return time.Now().Add(time.Minute) //nolint:forbidigo // a limit of the test, in the machine's time
}

// supervise answers the calls of a child until it has ended, with what decide says.
func supervise(fd int, decide func(call) answer) error {
	for {
		polled := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(polled, 60_000); errors.Is(err, unix.EINTR) {
			continue
		} else if err != nil {
			return err
		}
		switch {
		case polled[0].Revents&unix.POLLIN != 0:
		case polled[0].Revents&unix.POLLHUP != 0:
			return nil
		default:
			return errors.New("the child neither writes nor ends")
		}
		var n notice
		switch errno := ioctl(fd, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n)); errno {
		case 0:
		case unix.ENOENT, unix.EINTR: // it has ended meanwhile
			continue
		default:
			return errno
		}
		a := decide(call{pid: int(n.pid), nr: int(n.nr), args: n.args})
		r := reply{id: n.id, value: a.value, errno: -int32(a.errno)}
		if a.itself {
			r.flags = unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE
		}
		if a.silent {
			continue // it was killed
		}
		if errno := ioctl(fd, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&r)); errno != 0 && errno != unix.ENOENT {
			return errno
		}
	}
}

func ioctl(fd int, request uintptr, arg unsafe.Pointer) unix.Errno {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(arg))
	return errno
}
