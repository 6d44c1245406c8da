package suite

import (
	"cmp"
	"fmt"
	"os"
	"regexp"
	"slices"
	"time"
)

// Options say how much is measured.
type Options struct {
	Rounds int            // of which the median is taken
	Slice  time.Duration  // for which a case runs in a round
	Only   *regexp.Regexp // which cases, by full name; nil: all
	Dir    string         // where instances may write; empty: the system's temporary directory
	// Progress, where set, is told what is measured now.
	Progress func(text string)
}

// Row is a case with the medians of its rounds.
type Row struct {
	Case
	Took   Sample
	Beside *Sample // what the base took, in the same rounds; nil: there is none
}

// Run measures the cases, one group after the other, and returns a row for each. The bases of a group are measured
// along with it, so that a ratio is always one of the same minutes.
func Run(cases []Case, o Options) ([]Row, error) {
	var rows []Row
	for _, group := range groups(cases) {
		wanted := slices.DeleteFunc(of(cases, group), func(c Case) bool { return o.Only != nil && !o.Only.MatchString(c.ID()) })
		if len(wanted) == 0 {
			continue
		}
		g := &running{options: o, medians: map[string]Sample{}}
		err := g.open(cases, wanted)
		if err == nil {
			err = g.rounds()
		}
		if err = cmp.Or(err, g.close()); err != nil {
			return rows, err
		}
		for _, c := range wanted {
			rows = append(rows, g.row(c))
		}
	}
	return rows, nil
}

func groups(cases []Case) []string {
	var out []string
	for _, c := range cases {
		if !slices.Contains(out, c.Group) {
			out = append(out, c.Group)
		}
	}
	return out
}

func of(cases []Case, group string) []Case {
	return slices.DeleteFunc(slices.Clone(cases), func(c Case) bool { return c.Group != group })
}

// running is a group of cases while it is measured.
type running struct {
	options Options
	lanes   []*lane
	medians map[string]Sample
}

// open lists what has to be measured for the wanted cases: they themselves, and what they are compared with.
func (g *running) open(all, wanted []Case) error {
	var ids []string
	for _, c := range wanted {
		ids = append(ids, c.ID(), c.Base)
		if c.Step != nil {
			ids = append(ids, c.Step.More, c.Step.Less)
		}
	}
	for _, c := range all {
		if !slices.Contains(ids, c.ID()) || c.Step != nil {
			continue
		}
		l := &lane{Case: c}
		g.lanes = append(g.lanes, l)
		var err error
		if l.dir, err = os.MkdirTemp(g.options.Dir, "ratios-"); err != nil {
			return err
		}
		if c.Lasting {
			g.say("opening " + c.ID())
			if l.lasting, err = c.Open(l.dir); err != nil {
				return fmt.Errorf("%s: %w", c.ID(), err)
			}
		}
	}
	return nil
}

// rounds measures every lane once in a round, in an order that begins elsewhere each time. The first time is not
// counted: it finds out how many operations fill a slice.
func (g *running) rounds() error {
	for round := range g.options.Rounds + 1 {
		for i := range g.lanes {
			l := g.lanes[(i+round)%len(g.lanes)]
			g.say(fmt.Sprintf("round %d of %d: %s", round, g.options.Rounds, l.ID()))
			if err := l.turn(g.options.Slice, round == 0); err != nil {
				return fmt.Errorf("%s: %w", l.ID(), err)
			}
		}
	}
	for _, l := range g.lanes {
		g.medians[l.ID()] = median(l.measured)
	}
	return nil
}

func (g *running) close() error {
	var first error
	for _, l := range g.lanes {
		if l.lasting != nil {
			first = cmp.Or(first, l.lasting.close())
		}
		first = cmp.Or(first, os.RemoveAll(l.dir))
	}
	return first
}

func (g *running) say(text string) {
	if g.options.Progress != nil {
		g.options.Progress(text)
	}
}

func (g *running) row(c Case) Row {
	r := Row{Case: c, Took: g.medians[c.ID()]}
	if c.Step != nil {
		r.Took = step(g.medians[c.Step.More], g.medians[c.Step.Less], c.Step.Count)
	}
	if base, ok := g.medians[c.Base]; ok {
		r.Beside = &base
	}
	return r
}

func step(more, less Sample, count float64) Sample {
	each := func(d time.Duration) time.Duration { return time.Duration(float64(d) / count) }
	return Sample{each(more.CPU - less.CPU), each(more.Wall - less.Wall), (more.Allocs - less.Allocs) / count}
}
