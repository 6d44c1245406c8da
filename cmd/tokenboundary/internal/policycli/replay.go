package policycli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/policy/replay"
)

const replayUse = "replay --store FILE --issuer URL [--since T] [--until T] [--client ID] [--path P] [--baseline DIR] [--examples N] [--json] DIR"

// replayOutput is what replay writes with --json.
type replayOutput struct {
	// Candidate is the version of the set, Baseline that of the set that it is compared with, if not with the records.
	Candidate string `json:"candidate"`
	Baseline  string `json:"baseline,omitempty"`
	replay.Report
}

// replayArgs is what replay was told.
type replayArgs struct {
	history
	baseline, dir string
	filter        tokenboundary.RecallFilter
	options       replay.Options
}

// runReplay decides recorded decisions again and prints what would change. It ends with exitOK if there
// was something to decide and nothing would.
func runReplay(args []string, stdout, stderr io.Writer) int {
	c := newCommand(replayUse, stderr)
	var a replayArgs
	a.history.flags(c.FlagSet)
	c.Func("since", "decisions from this `time` on: 2026-03-01, or as RFC 3339 writes it", moment(&a.filter.Since))
	c.Func("until", "decisions before this `time`", moment(&a.filter.Until))
	c.StringVar(&a.filter.Client, "client", "", "decisions that the client with this `ID` asked for")
	c.StringVar(&a.filter.Path, "path", "", "decisions of this policy `PATH` and of those below it")
	c.StringVar(&a.baseline, "baseline", "", "compare with what the set in this `DIR` decides, not with what was recorded")
	c.IntVar(&a.options.Examples, "examples", 3, "how many `decisions` to name for each change")
	asJSON := c.Bool("json", false, "print the report as JSON")
	if code, ok := c.parse(args, 1); !ok {
		return code
	}
	switch problem := a.misused(); {
	case problem != "":
		return c.misuse(problem)
	case a.filter.Path != "" && !strings.HasPrefix(a.filter.Path, "/"):
		return c.misuse("--path starts with a slash")
	case a.options.Examples <= 0:
		a.options.Examples = -1
	}
	a.dir = c.Arg(0)
	out, err := a.run()
	if err != nil {
		return c.fail(err)
	}
	if *asJSON {
		printJSON(stdout, out)
	} else {
		say(stdout, out.String())
	}
	if out.Changed > 0 || out.nothing() { // nothing to decide proves nothing
		return exitError
	}
	return exitOK
}

// run replays. This process does nothing else and ends soon: memory is cheaper for it than collecting garbage.
func (a replayArgs) run() (out replayOutput, err error) {
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	candidate, err := loaded(a.dir)
	if err != nil {
		return out, err
	}
	out.Candidate = candidate.Version()
	if a.baseline != "" {
		set, err := loaded(a.baseline)
		if err != nil {
			return out, err
		}
		a.options.Baseline, out.Baseline = set, set.Version()
	}
	from, closed, err := a.open()
	if err != nil {
		return out, err
	}
	defer closed()
	ctx := context.Background()
	out.Report, err = replay.Run(ctx, from.All(ctx, a.filter), candidate, a.options)
	return out, err
}

// headings say what each kind of change is.
var headings = map[replay.Change]string{
	replay.Denied: "newly denied", replay.Allowed: "newly allowed", replay.Deferred: "newly waiting",
	replay.ScopeLost: "scopes lost", replay.ScopeGained: "scopes gained",
	replay.DetailsLost: "authorization_details lost", replay.DetailsGained: "authorization_details gained",
	replay.LifetimeShorter: "lifetime shortened", replay.LifetimeLonger: "lifetime lengthened",
	replay.ObligationNew: "new obligations", replay.ObligationGone: "obligations removed",
	replay.Undecided: "could not be decided",
}

// nothing reports whether no record was found at all.
func (o replayOutput) nothing() bool { return o.Examined == 0 && len(o.Skipped) == 0 }

// String writes the report for people.
func (o replayOutput) String() string {
	var b strings.Builder
	last := replay.Change("")
	for _, g := range o.Groups {
		if g.Change != last {
			b.WriteString(headings[g.Change] + "\n")
			last = g.Change
		}
		cause := strings.Join(slices.DeleteFunc([]string{shown(g.Scope), ruleOf(g)}, func(s string) bool { return s == "" }), "  ")
		fmt.Fprintf(&b, "  %6d  %s\n", g.Count, cause)
		for _, e := range g.Examples {
			b.WriteString("          " + exampleOf(e) + "\n")
		}
	}
	if o.More > 0 {
		fmt.Fprintf(&b, "and %d more changes, in too many groups\n", o.More)
	}
	fmt.Fprintf(&b, "%s examined: %d would change, %d would not\n", count(o.Examined, "decision"), o.Changed, o.Unchanged)
	if o.Unknown > 0 {
		fmt.Fprintf(&b, "%d of them were decided with present facts, because those of then are not known any more\n", o.Unknown)
	}
	if o.nothing() {
		b.WriteString("no record is of this --issuer, exactly as the server's configuration has it, and within the other flags\n")
	}
	for _, why := range slices.Sorted(maps.Keys(o.Skipped)) {
		fmt.Fprintf(&b, "%s skipped: %s\n", count(o.Skipped[why], "record"), why)
	}
	return b.String()
}

// ruleOf names where a change comes from: the rule, or else the path.
func ruleOf(g replay.Group) string {
	switch {
	case g.Rule != "":
		return shown(g.Rule)
	case g.Path != "":
		return shown(g.Path)
	}
	return "no policy path"
}

func exampleOf(e replay.Example) string {
	out := e.At.UTC().Format(time.RFC3339) + " " + e.ID.String() + " " + shown(e.Client)
	if e.Resource != "" {
		out += " at " + shown(e.Resource)
	}
	switch {
	case e.Was != "":
		out += ": " + shown(e.Was) + " → " + shown(e.Is)
	case e.Before != e.After:
		out += ": " + e.Before.String() + " → " + e.After.String()
	}
	if e.Why != "" {
		out += " (" + shown(e.Why) + ")"
	}
	return out
}
