// Package policycli is the command "tokenboundary policy": what owners of policies use before a set is live.
package policycli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/tokenboundary/tokenboundary/policy"
)

// Exit codes.
const (
	exitOK    = 0
	exitError = 1 // the set, a test or the input is at fault
	exitUsage = 2
)

// Usage lists the commands.
const Usage = `  tokenboundary policy check DIR      report what is wrong with a policy set, and what is suspicious; --strict, --json
  tokenboundary policy explain DIR    say how a request is decided, and what would have to change for it to pass
  tokenboundary policy replay DIR     decide recorded decisions again, and say what would change; --store FILE --issuer URL
  tokenboundary policy suggest DIR    propose, as a patch, to take away what nobody needed; --store FILE --issuer URL
  tokenboundary policy test DIR       run the tests that stand beside the policies; --cover, --junit FILE
`

// commands are the verbs and what runs each.
var commands = map[string]func(args []string, stdout, stderr io.Writer) int{
	"check":   check,
	"test":    runTest,
	"explain": explain,
	"replay":  runReplay,
	"suggest": runSuggest,
}

// Run does what the arguments after "policy" say and returns the exit code.
func Run(args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		return misuse(stderr, "policy: a command is required")
	}
	run, ok := commands[args[0]]
	if !ok {
		return misuse(stderr, fmt.Sprintf("policy: unknown command %q", args[0]))
	}
	return run(args[1:], stdout, stderr)
}

// command is the flags of one verb.
type command struct {
	*flag.FlagSet
	use    string // the line that says how it is used
	stderr io.Writer
}

// newCommand returns a command without flags yet. Use is its synopsis, such as "check [--strict] DIR".
func newCommand(use string, stderr io.Writer) *command {
	name, _, _ := strings.Cut(use, " ")
	c := &command{flag.NewFlagSet(name, flag.ContinueOnError), use, stderr}
	c.SetOutput(io.Discard)
	return c
}

// parse reads the flags and as many arguments as are wanted. Where it reports false, the command ends with the code.
func (c *command) parse(args []string, wanted int) (code int, ok bool) {
	switch err := c.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		say(c.stderr, "Usage: tokenboundary policy "+c.use+"\n\n")
		c.SetOutput(c.stderr)
		c.PrintDefaults()
		return exitOK, false
	case err != nil:
		return c.misuse(err.Error()), false
	case c.NArg() > wanted && strings.HasPrefix(c.Arg(wanted), "-"):
		return c.misuse(c.Arg(wanted) + ": flags go before the arguments"), false
	case c.NArg() != wanted:
		return c.misuse(fmt.Sprintf("%d arguments instead of %d", c.NArg(), wanted)), false
	}
	return exitOK, true
}

// misuse says what is wrong with how the command was called.
func (c *command) misuse(problem string) int {
	return misuse(c.stderr, fmt.Sprintf("policy %s: %s", c.Name(), problem))
}

// fail reports an error of the work itself.
func (c *command) fail(err error) int {
	say(c.stderr, "tokenboundary: policy "+c.Name()+": "+err.Error()+"\n")
	return exitError
}

func misuse(stderr io.Writer, problem string) int {
	say(stderr, "tokenboundary: "+problem+"\n\nUsage:\n\n"+Usage)
	return exitUsage
}

// tree is the policy set in a directory. The directory itself must be readable: a set knows only what is in it.
func tree(dir string) (fs.FS, error) {
	if _, err := os.ReadDir(dir); err != nil {
		return nil, err
	}
	return os.DirFS(dir), nil
}

// loaded is the set that tree is, loaded.
func loaded(dir string) (*policy.Set, error) {
	fsys, err := tree(dir)
	if err != nil {
		return nil, err
	}
	return policy.Load(fsys)
}
