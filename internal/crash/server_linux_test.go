//go:build linux && (amd64 || arm64)

package crash

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A server of these tests alone, which can be made to crash. It runs as a user without rights: PostgreSQL refuses root.
type private struct {
	bin, data string
	port      int
	as        *syscall.SysProcAttr
}

// missing skips the test, and fails it where CI is set.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// newPrivate starts a server in a directory of its own, or skips the test where there is no PostgreSQL to start.
func newPrivate(t *testing.T) *private {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	require.NoError(t, err)
	if len(found) == 0 {
		missing(t, "no PostgreSQL at /usr/lib/postgresql/*/bin to start a server of")
	}
	slices.Sort(found)
	dir := quick(t)
	p := &private{bin: filepath.Dir(found[len(found)-1]), data: filepath.Join(dir, "data")}
	require.NoError(t, os.Mkdir(p.data, 0o700))
	if os.Getuid() == 0 {
		uid, gid := unprivileged(t)
		require.NoError(t, os.Chmod(dir, 0o755))
		require.NoError(t, os.Chown(p.data, uid, gid))
		p.as = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	require.NoError(t, p.run("initdb", "-D", p.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"))
	require.NoError(t, p.first())
	t.Cleanup(func() { require.NoError(t, p.run("pg_ctl", "-D", p.data, "-w", "-m", "immediate", "stop")) })
	return p
}

// unprivileged returns a user that a server can run as.
func unprivileged(t *testing.T) (uid, gid int) {
	t.Helper()
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.Atoi(u.Uid)
		require.NoError(t, err)
		gid, err := strconv.Atoi(u.Gid)
		require.NoError(t, err)
		return uid, gid
	}
	missing(t, "no user that a PostgreSQL server could run as")
	return 0, 0
}

func (p *private) run(program string, args ...string) error {
	cmd := exec.Command(filepath.Join(p.bin, program), args...)
	cmd.SysProcAttr, cmd.Dir, cmd.Env = p.as, p.data, []string{"PATH=" + p.bin, "LC_ALL=C"}
	log, err := os.CreateTemp("", "crash-postgres-")
	if err != nil {
		return err
	}
	defer os.Remove(log.Name())       //nolint:errcheck // a test
	cmd.Stdout, cmd.Stderr = log, log // a pipe would be held open by the server
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(log.Name()) //nolint:errcheck // only for people
		return fmt.Errorf("%s: %w\n%s", program, err, said)
	}
	return log.Close()
}

func (p *private) start() error {
	options := fmt.Sprintf("-p %d -c listen_addresses=127.0.0.1 -c unix_socket_directories=''", p.port)
	return p.run("pg_ctl", "-D", p.data, "-w", "-l", filepath.Join(p.data, "log"), "-o", options, "start")
}

// first starts the server on a port that is free; one that somebody else takes meanwhile is not.
func (p *private) first() error {
	var err error
	for range 5 {
		l, failed := net.Listen("tcp", "127.0.0.1:0")
		if failed != nil {
			return failed
		}
		p.port = l.Addr().(*net.TCPAddr).Port
		if err = errors.Join(l.Close(), p.start()); err == nil {
			return nil
		}
	}
	return err
}

// restart ends all processes of the server at once, without a checkpoint, and has a new one recover.
func (p *private) restart() error {
	return errors.Join(p.run("pg_ctl", "-D", p.data, "-w", "-m", "immediate", "stop"), p.start())
}

// TestPostgresServerCrashes ends the server at random messages.
func TestPostgresServerCrashes(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server")
	}
	p := newPrivate(t)
	s := &server{
		dsn: fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", p.port), schema: "tb_crash", crash: p.restart,
	}
	s.prepare(t)
	s.attempts(t, 12, []theft{crashed})
}
