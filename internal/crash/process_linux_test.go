//go:build linux && (amd64 || arm64)

package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// process is a child that is running.
type process struct {
	*exec.Cmd
	said   chan []byte
	stderr bytes.Buffer
}

// launch starts a child with a script. It gets the files as its descriptors from 4 on.
func launch(ctx context.Context, s script, files ...*os.File) (*process, error) {
	in, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	out, answers, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p := &process{Cmd: exec.CommandContext(ctx, os.Args[0], "-test.run=^TestChild$"), said: make(chan []byte, 1)}
	p.Env = append(os.Environ(), childVariable+"=1", "GOMAXPROCS=2", "GOGC=off", "GODEBUG=asyncpreemptoff=1", "GOTRACEBACK=none")
	p.Stdin, p.Stderr, p.ExtraFiles = bytes.NewReader(in), &p.stderr, append([]*os.File{answers}, files...)
	err = errors.Join(p.Start(), answers.Close())
	go func() {
		all, _ := io.ReadAll(out) //nolint:errcheck // what came counts
		p.said <- all
		out.Close() //nolint:errcheck // was only read
	}()
	return p, err
}

// finish waits for the child to end.
func (p *process) finish(killed bool) (result, error) {
	err := p.Wait()
	r := result{killed: killed, stderr: p.stderr.String()}
	d := json.NewDecoder(bytes.NewReader(<-p.said))
	for d.More() {
		var l line
		if err := d.Decode(&l); err != nil { // the last line may have been written in part: it was no answer
			break
		}
		r.lines = append(r.lines, l)
	}
	if _, failed := r.acknowledged(); !killed && failed == "" && err != nil {
		return r, fmt.Errorf("the child ended by itself: %w\n%s", err, r.stderr)
	}
	return r, nil
}

// supervised runs a script on an embedded store until the point at which it is killed.
func supervised(ctx context.Context, s script, r *reaper) (result, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return result{}, err
	}
	mine, theirs := os.NewFile(uintptr(pair[0]), "mine"), os.NewFile(uintptr(pair[1]), "theirs")
	defer mine.Close() //nolint:errcheck // a test
	p, err := launch(ctx, s, theirs)
	if err = errors.Join(err, theirs.Close()); err != nil {
		return result{}, err
	}
	r.kill = p.Process.Kill
	watched := watch(mine, r)
	if watched != nil && !r.killed {
		_ = p.Process.Kill()
	}
	out, err := p.finish(r.killed)
	return out, errors.Join(err, watched)
}

// watch answers a child until it has ended.
func watch(mine *os.File, r *reaper) error {
	conn, err := net.FileConn(mine)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // a test
	fd, err := listener(conn.(*net.UnixConn))
	if err != nil {
		return fmt.Errorf("the child cannot be watched: %w", err)
	}
	defer unix.Close(fd) //nolint:errcheck // a test
	return supervise(fd, r.decide)
}
