// Command ratios measures the boundary side by side with its peers, and with what none of them can do without, and prints
// a Markdown table. It never fails because something is slow.
package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"time"

	"github.com/tokenboundary/tokenboundary/bench/suite"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "ratios:", err)
		os.Exit(1)
	}
}

func run() error {
	rounds := flag.Int("rounds", 7, "how many rounds the medians are taken of")
	slice := flag.Duration("slice", 600*time.Millisecond, "for how long a case runs in a round; less measures how it begins, with a small heap and cold caches")
	only := flag.String("run", "", "a regular expression: measure only the cases whose group/name it matches")
	dir := flag.String("dir", "", "where files are written; the disk counts (default: the system's temporary directory)")
	quiet := flag.Bool("q", false, "say nothing while it measures")
	flag.Parse()
	pattern, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	o := suite.Options{Rounds: *rounds, Slice: *slice, Only: pattern, Dir: *dir}
	if !*quiet {
		o.Progress = func(text string) { fmt.Fprintf(os.Stderr, "\r\033[K%s", text) }
		defer fmt.Fprintln(os.Stderr)
	}
	rows, err := suite.Run(all(), o)
	if err != nil {
		return err
	}
	fmt.Printf("Medians of %d rounds of %v. %s.\n\n", *rounds, *slice, machine())
	return suite.Write(os.Stdout, rows)
}
