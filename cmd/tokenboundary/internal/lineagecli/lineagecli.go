// Package lineagecli is the command "tokenboundary lineage": what is recorded, read and checked without a server.
package lineagecli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// Exit codes.
const (
	exitOK    = 0
	exitError = 1 // something was found, or could not be read
	exitUsage = 2
)

// Usage lists the commands.
const Usage = `  tokenboundary lineage trace ID      print the chain behind a token, root first: who, what, and by which rule; --json
  tokenboundary lineage tree ID       print what came from a record; --json
  tokenboundary lineage inventory     count what is alive, by client, connection and path; --selector KIND:VALUE, --json
  tokenboundary lineage verify        check a whole store: every record, chain, index and revocation; --json
                                      each reads a store at rest: --config FILE of a server, or --store FILE --issuer URL;
                                      flags go before the ID, as in lineage trace --config FILE ID
`

// commands are the verbs and what runs each.
var commands = map[string]func(c *command, args []string) int{
	"trace": trace, "tree": tree, "inventory": inventory, "verify": verify,
}

// Run does what the arguments after "lineage" say and returns the exit code.
func Run(args []string, stdout, stderr io.Writer) int { return run(args, stdout, stderr, clock.New()) }

func run(args []string, stdout, stderr io.Writer, clk clock.Clock) int {
	if len(args) == 0 {
		return misuse(stderr, "lineage: a command is required")
	}
	do, ok := commands[args[0]]
	if !ok {
		return misuse(stderr, fmt.Sprintf("lineage: unknown command %q", args[0]))
	}
	c := &command{FlagSet: flag.NewFlagSet(args[0], flag.ContinueOnError), stdout: stdout, stderr: stderr, clock: clk}
	c.SetOutput(io.Discard)
	c.flags(c.FlagSet)
	c.BoolVar(&c.json, "json", false, "print JSON")
	return do(c, args[1:])
}

// command is one verb: its flags, where it reads and where it writes.
type command struct {
	*flag.FlagSet
	source
	json           bool
	stdout, stderr io.Writer
	clock          clock.Clock
}

// parse reads the flags and as many arguments as are wanted. Where it reports false, the command ends with the code.
func (c *command) parse(args []string, names ...string) (code int, ok bool) {
	if i := slices.IndexFunc(args, dashed); i >= 0 {
		args = slices.Insert(slices.Clone(args), i, "--")
	}
	err := c.Parse(args)
	switch problem := c.misused(); {
	case errors.Is(err, flag.ErrHelp):
		say(c.stderr, "Usage: tokenboundary lineage "+strings.Join(append([]string{c.Name(), "[FLAGS]"}, names...), " ")+"\n\n")
		c.SetOutput(c.stderr)
		c.PrintDefaults()
		return exitOK, false
	case err != nil:
		return c.misuse(err.Error()), false
	case c.NArg() > len(names) && strings.HasPrefix(c.Arg(len(names)), "-"):
		return c.misuse("flags go before the arguments"), false
	case c.NArg() != len(names): // an argument may be a token: it is not repeated
		return c.misuse(fmt.Sprintf("%d arguments instead of %d", c.NArg(), len(names))), false
	case problem != "":
		return c.misuse(problem), false
	}
	return exitOK, true
}

// dashed reports whether an argument is an id that begins like a flag.
func dashed(arg string) bool {
	_, err := lineage.ParseID(arg)
	return err == nil && arg[0] == '-'
}

// misuse says what is wrong with how the command was called.
func (c *command) misuse(problem string) int {
	return misuse(c.stderr, fmt.Sprintf("lineage %s: %s", c.Name(), problem))
}

// fail reports an error of the work itself.
func (c *command) fail(err error) int {
	text := strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
	say(c.stderr, "tokenboundary: lineage "+c.Name()+": "+text+"\n")
	return exitError
}

func misuse(stderr io.Writer, problem string) int {
	say(stderr, "tokenboundary: "+problem+"\n\nUsage:\n\n"+Usage)
	return exitUsage
}

// say writes text; whoever does not read it is not waited for.
func say(w io.Writer, text string) { _, _ = io.WriteString(w, text) }
