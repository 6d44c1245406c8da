package postgres_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	osexec "os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// bouncer is a PgBouncer process of one test, before the server.
type bouncer struct {
	*testing.T
	program string
	name    string // of the application, for the database
	port    int
	file    string // of its configuration
	cmd     *osexec.Cmd
	reader  sync.WaitGroup
	said    strings.Builder // until it is up
}

// bounced starts a PgBouncer in a pool mode, with more lines of configuration; where there is no such program the test is skipped,
// and fails where CI is set.
func bounced(t *testing.T, mode string, settings ...string) *bouncer {
	t.Helper()
	server, err := pgx.ParseConfig(database(t))
	require.NoError(t, err)
	program, err := osexec.LookPath("pgbouncer")
	if err != nil { // where distributions put it, which is not in everybody's PATH
		program, err = osexec.LookPath("/usr/sbin/pgbouncer")
	}
	if err != nil {
		const why = "no pgbouncer to start: install it (apt-get install pgbouncer), or put it in PATH"
		if os.Getenv("CI") != "" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	b := &bouncer{T: t, program: program, file: filepath.Join(t.TempDir(), "pgbouncer.ini")}
	b.name = fmt.Sprintf("bounced_%d_%d", os.Getpid(), schemas.Add(1))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	b.port = l.Addr().(*net.TCPAddr).Port
	require.NoError(t, l.Close())
	to := fmt.Sprintf("host=%s port=%d user=%s", server.Host, server.Port, server.User)
	if server.Password != "" {
		to += " password='" + strings.ReplaceAll(server.Password, "'", "''") + "'"
	}
	lines := append([]string{
		"[databases]", "* = " + to, "[pgbouncer]", "listen_addr = 127.0.0.1", fmt.Sprint("listen_port = ", b.port), "unix_socket_dir =",
		"auth_type = any", "admin_users = postgres", "pool_mode = " + mode,
		"server_round_robin = 1", // each transaction gets the connection that has rested longest, and so another one
	}, settings...)
	require.NoError(t, os.WriteFile(b.file, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	b.start()
	t.Cleanup(b.kill)
	return b
}

// start starts the process, and waits until it listens.
func (b *bouncer) start() {
	b.Helper()
	args := []string{b.file}
	if os.Getuid() == 0 { // it refuses to run as root
		args = []string{"-u", unprivileged(b.T), b.file}
	}
	b.cmd = osexec.Command(b.program, args...)
	out, err := b.cmd.StderrPipe()
	require.NoError(b, err)
	require.NoError(b, b.cmd.Start())
	up := make(chan bool, 1)
	b.said.Reset()
	b.reader.Go(func() {
		lines, isUp := bufio.NewScanner(out), false
		for !isUp && lines.Scan() {
			b.said.WriteString(lines.Text() + "\n")
			isUp = strings.Contains(lines.Text(), "process up")
		}
		up <- isUp
		io.Copy(io.Discard, out) //nolint:errcheck // until it has ended
	})
	require.True(b, <-up, "pgbouncer did not start: %s", b.said.String())
}

// kill ends the process at once.
func (b *bouncer) kill() {
	b.cmd.Process.Kill() //nolint:errcheck // it may have ended
	b.reader.Wait()
	b.cmd.Wait() //nolint:errcheck // it was killed
}

func unprivileged(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"nobody", "postgres"} {
		if _, err := user.Lookup(name); err == nil {
			return name
		}
	}
	t.Fatal("no user without rights that pgbouncer could run as")
	return ""
}

// dsn returns the connection string of the database behind the proxy.
func (b *bouncer) dsn() string {
	b.Helper()
	u, err := url.Parse(database(b.T))
	require.NoError(b, err)
	u.User, u.Host = url.User("postgres"), fmt.Sprint("127.0.0.1:", b.port)
	u.RawQuery = url.Values{"sslmode": {"disable"}, "application_name": {b.name}}.Encode()
	return u.String()
}

// client returns a connection through the proxy that prepares nothing.
func (b *bouncer) client() *pgx.Conn {
	b.Helper()
	cfg, err := pgx.ParseConfig(b.dsn())
	require.NoError(b, err)
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	conn, err := pgx.ConnectConfig(b.Context(), cfg)
	require.NoError(b, err)
	b.Cleanup(func() { conn.Close(context.Background()) }) //nolint:errcheck // the proxy may have gone
	return conn
}

// admin tells the proxy something.
func (b *bouncer) admin(commands ...string) {
	b.Helper()
	cfg, err := pgx.ParseConfig(b.dsn())
	require.NoError(b, err)
	cfg.Database, cfg.RuntimeParams = "pgbouncer", nil
	conn, err := pgx.ConnectConfig(b.Context(), cfg)
	require.NoError(b, err)
	defer conn.Close(context.WithoutCancel(b.Context())) //nolint:errcheck // a test
	for _, c := range commands {
		_, err := conn.PgConn().Exec(b.Context(), c).ReadAll()
		require.NoError(b, err, c)
	}
}

// quiet waits until nothing of what came through the proxy is under way in the database: it gives up its connections, and the
// database has ended the last of them. The clients keep theirs.
func (b *bouncer) quiet(direct *pgx.Conn) {
	b.Helper()
	b.admin("RECONNECT", "WAIT_CLOSE")
	require.Eventually(b, func() bool { return b.backends(direct, "true") == 0 }, 20*time.Second, time.Millisecond)
}

// backends counts those of the database that serve the proxy and fit a condition.
func (b *bouncer) backends(direct *pgx.Conn, condition string) (n int) {
	b.Helper()
	err := direct.QueryRow(b.Context(), "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND "+condition, b.name).Scan(&n)
	require.NoError(b, err)
	return n
}
