// Command tokenboundary is the boundary behind plain HTTP: a security token service for those who do not write Go.
//
//	tokenboundary serve --config FILE
//	tokenboundary policy check DIR
//	tokenboundary policy explain [FLAGS] DIR
//	tokenboundary policy test [FLAGS] DIR
//	tokenboundary lineage trace|tree [FLAGS] ID
//	tokenboundary lineage inventory|verify [FLAGS]
//	tokenboundary version
//
// It has no logic of its own: a configuration comes in, and a Governor and its endpoints come out.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	_ "time/tzdata" // so that a policy that names a time zone decides the same on a machine without any

	"github.com/tokenboundary/tokenboundary/cmd/tokenboundary/internal/lineagecli"
	"github.com/tokenboundary/tokenboundary/cmd/tokenboundary/internal/policycli"
)

const usage = `Usage:

  tokenboundary serve --config FILE   serve tokens by the configuration in FILE
      --accept-store                  also from a store that was wiped or restored from a copy: every token signed
                                      until now is ended, and readers of the revocation feed begin anew
      --debug                         log more: why the authentication of a client failed
` + policycli.Usage + lineagecli.Usage + `  tokenboundary version               print the version
  tokenboundary help                  print this

Signals to serve: SIGHUP reads the policies again; SIGINT and SIGTERM end it.
`

// Exit codes.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run does what the arguments say and returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	command, rest := "", args
	if len(args) > 0 {
		command, rest = args[0], args[1:]
	}
	switch {
	case command == "serve":
		return runServe(rest, stderr)
	case command == "policy":
		return policycli.Run(rest, stdout, stderr)
	case command == "lineage":
		return lineagecli.Run(rest, stdout, stderr)
	case command == "version" && len(rest) == 0:
		say(stdout, version())
		return exitOK
	case len(rest) == 0 && (command == "help" || command == "-h" || command == "-help" || command == "--help"):
		say(stdout, usage)
		return exitOK
	case command == "":
		return misuse(stderr, "a command is required")
	case command == "version" || command == "help":
		return misuse(stderr, command+" takes no arguments")
	}
	return misuse(stderr, fmt.Sprintf("unknown command %q", command))
}

func runServe(args []string, stderr io.Writer) int {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	path := flags.String("config", "", "configuration file")
	var opts options
	flags.BoolVar(&opts.accept, "accept-store", false, "serve a store that has lost entries")
	flags.BoolVar(&opts.debug, "debug", false, "log failed client authentication too")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		say(stderr, usage)
		return exitOK
	case err != nil:
		return misuse(stderr, "serve: "+err.Error())
	case flags.NArg() > 0:
		return misuse(stderr, fmt.Sprintf("serve: unexpected argument %q", flags.Arg(0)))
	case *path == "":
		return misuse(stderr, "serve: --config is required")
	}
	if err := serve(*path, opts, stderr); err != nil {
		say(stderr, "tokenboundary: "+line(err)+"\n")
		return exitError
	}
	return exitOK
}

func misuse(stderr io.Writer, problem string) int {
	say(stderr, "tokenboundary: "+problem+"\n\n"+usage)
	return exitUsage
}

// line returns an error's text in one line.
func line(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}

// say writes text; whoever does not read it is not waited for.
func say(w io.Writer, text string) { _, _ = io.WriteString(w, text) }

// version says which build this is.
func version() string {
	v := "(devel)"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		v = info.Main.Version
	}
	return fmt.Sprintf("tokenboundary %s %s %s/%s\n", v, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
