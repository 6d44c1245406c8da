package suite

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Write prints the rows as a Markdown table.
func Write(w io.Writer, rows []Row) error {
	var b strings.Builder
	b.WriteString("| case | CPU per op | wall per op | allocs | compared with | ratio | target | |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|\n")
	group := ""
	for _, r := range rows {
		if r.Group != group {
			group = r.Group
			fmt.Fprintf(&b, "| **%s** | | | | | | | |\n", group)
		}
		target, held := r.targets()
		fmt.Fprintf(&b, "| %s | %s | %s | %.0f | %s | %s | %s | %s |\n",
			r.Name, short(r.Took.CPU), r.wall(), r.Took.Allocs, r.comparison(), r.ratio(), target, held)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// wall is left out of a difference: it is that of two figures that other work on the machine has changed.
func (r Row) wall() string {
	if r.Step != nil {
		return ""
	}
	return short(r.Took.Wall)
}

// figure returns what a target is about.
func (r Row) figure(f Figure) float64 {
	switch f {
	case Micros:
		return float64(r.Took.CPU) / 1e3
	case Allocs:
		return r.Took.Allocs
	}
	own, base := r.pair()
	switch {
	case own <= 0 || base <= 0:
		return 0
	case r.Share:
		return 100 * float64(base) / float64(own)
	}
	return float64(own) / float64(base)
}

// pair returns the two times that the ratio is of.
func (r Row) pair() (own, base time.Duration) {
	if r.Beside == nil {
		return 0, 0
	}
	if r.Wall {
		return r.Took.Wall, r.Beside.Wall
	}
	return r.Took.CPU, r.Beside.CPU
}

func (r Row) comparison() string {
	_, base := r.pair()
	if base == 0 {
		return ""
	}
	what := "CPU"
	if r.Wall {
		what = "wall"
	}
	name := r.Base[strings.LastIndex(r.Base, "/")+1:]
	return fmt.Sprintf("%s: %s %s", name, what, short(base))
}

func (r Row) ratio() string {
	switch v := r.figure(Ratio); {
	case r.Beside == nil:
		return ""
	case r.Share:
		return fmt.Sprintf("%.0f %%", v)
	default:
		return fmt.Sprintf("%.2f ×", v)
	}
}

// targets says what the row is held to, and whether it is all met.
func (r Row) targets() (text, held string) {
	var parts []string
	for _, t := range r.Targets {
		sign, ok := "≤", r.figure(t.Of) <= t.Value
		if t.AtLeast {
			sign, ok = "≥", r.figure(t.Of) >= t.Value
		}
		unit := map[Figure]string{Ratio: " ×", Micros: " µs", Allocs: " allocs"}[t.Of]
		if r.Share && t.Of == Ratio {
			unit = " %"
		}
		parts = append(parts, fmt.Sprintf("%s %g%s", sign, t.Value, unit))
		if held != "**missed**" {
			held = "met"
		}
		if !ok {
			held = "**missed**"
		}
	}
	return strings.Join(parts, ", "), held
}

func short(d time.Duration) string {
	switch us := float64(d) / 1e3; {
	case us >= 1e4:
		return fmt.Sprintf("%.1f ms", us/1e3)
	case us >= 100:
		return fmt.Sprintf("%.0f µs", us)
	case us >= 10:
		return fmt.Sprintf("%.1f µs", us)
	default:
		return fmt.Sprintf("%.2f µs", us)
	}
}
