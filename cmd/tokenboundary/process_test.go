package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long a test waits for another process. It bounds a failure and is no measurement.
const patience = 30 * time.Second

var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "tokenboundary")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "tokenboundary")
	args := []string{"build", "-o", binary}
	if race {
		args = append(args, "-race")
	}
	build := exec.Command("go", append(args, ".")...)
	build.Stdout, build.Stderr = os.Stdout, os.Stderr
	code := 1
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "the command does not build:", err)
	} else {
		code = m.Run()
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// command runs the binary to its end and returns what it wrote and its exit code.
func command(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		require.IsType(t, &exec.ExitError{}, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// process is a running `tokenboundary serve`.
type process struct {
	t    testing.TB
	cmd  *exec.Cmd
	base string        // http://host:port
	done chan struct{} // closed when it has ended

	mu   sync.Mutex
	log  []map[string]any
	raw  strings.Builder
	news *sync.Cond
}

// serve starts the configuration and waits until it listens.
func serve(t testing.TB, config string, flags ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(binary, append([]string{"serve", "--config", config}, flags...)...), done: make(chan struct{})}
	p.news = sync.NewCond(&p.mu)
	stderr, err := p.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	go p.read(bufio.NewScanner(stderr))
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
		searchAll(t, p.text(), filepath.Dir(config))
		if t.Failed() {
			t.Logf("stderr of the server:\n%s", p.raw.String())
		}
	})
	entry := p.await(0, "listening")
	p.base = "http://" + entry["listening"].(string)
	return p
}

func (p *process) read(lines *bufio.Scanner) {
	for lines.Scan() {
		var entry map[string]any
		_ = json.Unmarshal(lines.Bytes(), &entry)
		p.mu.Lock()
		p.log = append(p.log, entry)
		p.raw.Write(append(lines.Bytes(), '\n'))
		p.mu.Unlock()
		p.news.Broadcast()
	}
	_ = p.cmd.Wait()
	close(p.done)
	p.news.Broadcast()
}

// mark returns the present end of the log.
func (p *process) mark() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.log)
}

// await returns the first log entry behind from with this message.
func (p *process) await(from int, msg string) map[string]any {
	p.t.Helper()
	timer := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := from; ; i++ {
		for i >= len(p.log) {
			select {
			case <-p.done:
				p.t.Fatalf("the server ended without logging %q:\n%s", msg, p.raw.String())
			default:
				p.news.Wait()
			}
		}
		if p.log[i]["msg"] == msg {
			return p.log[i]
		}
	}
}

// count returns how many log entries have a member.
func (p *process) count(member string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, entry := range p.log {
		if _, ok := entry[member]; ok {
			n++
		}
	}
	return n
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.raw.String()
}

func (p *process) signal(s os.Signal) { require.NoError(p.t, p.cmd.Process.Signal(s)) }

// end sends SIGTERM and requires an orderly end within the bound that is promised.
func (p *process) end() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		p.t.Fatal("the server has not ended 10 s after SIGTERM")
	}
	require.Equal(p.t, 0, p.cmd.ProcessState.ExitCode(), p.text())
}

// kill ends it as a crash would.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// stops waits until it has ended of its own accord, and requires that it says why.
func (p *process) stops(why string) {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatal("the server goes on")
	}
	require.Equal(p.t, 1, p.cmd.ProcessState.ExitCode(), p.text())
	require.Contains(p.t, p.text(), why)
}
