package suggest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// around is how many unchanged lines stand around a change.
const around = 3

// patch returns the diff of all documents that have changed.
func (f *finder) patch() string {
	var b strings.Builder
	for _, file := range slices.Sorted(maps.Keys(f.patched)) {
		i := slices.IndexFunc(f.docs, func(d *document) bool { return d.file == file })
		unified(&b, file, f.docs[i].text, f.patched[file])
	}
	return b.String()
}

// unified writes the difference of two texts in unified form.
func unified(b *strings.Builder, file string, before, after []byte) {
	if bytes.Equal(before, after) {
		return
	}
	fmt.Fprintf(b, "--- a/%s\n+++ b/%s\n", file, file)
	script := difference(split(before), split(after))
	for at := 0; at < len(script); {
		first := at
		for first < len(script) && script[first].sign == ' ' {
			first++
		}
		if first == len(script) {
			return
		}
		start, end := max(at, first-around), first
		for quiet := 0; end < len(script) && quiet <= 2*around; end++ {
			if quiet++; script[end].sign != ' ' {
				quiet = 0
			}
		}
		last := end
		for script[last-1].sign == ' ' {
			last--
		}
		end = min(last+around, len(script))
		hunk(b, script, start, end)
		at = end
	}
}

// hunk writes one part of the script.
func hunk(b *strings.Builder, script []step, start, end int) {
	var from, to [2]int // where it begins and how long it is
	for i, s := range script[:end] {
		n := 0
		if i >= start {
			n = 1
		}
		if s.sign != '+' {
			from[n]++
		}
		if s.sign != '-' {
			to[n]++
		}
	}
	place := func(p [2]int) string {
		if p[1] > 0 {
			p[0]++
		}
		return fmt.Sprintf("%d,%d", p[0], p[1])
	}
	fmt.Fprintf(b, "@@ -%s +%s @@\n", place(from), place(to))
	for _, s := range script[start:end] {
		b.WriteByte(s.sign)
		b.WriteString(s.line)
		if !strings.HasSuffix(s.line, "\n") {
			b.WriteString("\n\\ No newline at end of file\n")
		}
	}
}

// step is a line that stays (' '), goes ('-') or comes ('+').
type step struct {
	sign byte
	line string
}

func split(text []byte) []string {
	return slices.Collect(strings.Lines(string(text)))
}

// difference returns how a becomes b, by the lines of both (Myers, "An O(ND) Difference Algorithm", 1986). There are few
// differences, so that it is quick.
func difference(a, b []string) []step {
	reach := map[int]int{1: 0} // of each diagonal, how far in a
	var trace []map[int]int
	for d := 0; ; d++ {
		trace = append(trace, maps.Clone(reach))
		for k := -d; k <= d; k += 2 {
			x := reach[k-1] + 1
			if k == -d || k != d && reach[k-1] < reach[k+1] {
				x = reach[k+1]
			}
			for x < len(a) && x-k < len(b) && a[x] == b[x-k] {
				x++
			}
			if reach[k] = x; x >= len(a) && x-k >= len(b) {
				return walk(a, b, trace)
			}
		}
	}
}

// walk goes back from the end of both.
func walk(a, b []string, trace []map[int]int) []step {
	var out []step
	x, y := len(a), len(b)
	for d := len(trace) - 1; d >= 0; d-- {
		reach, k := trace[d], x-y
		before := k - 1
		if k == -d || k != d && reach[k-1] < reach[k+1] {
			before = k + 1
		}
		fromX := reach[before]
		fromY := fromX - before
		for x > fromX && y > fromY {
			x, y = x-1, y-1
			out = append(out, step{' ', a[x]})
		}
		switch {
		case d == 0:
		case x == fromX:
			y--
			out = append(out, step{'+', b[y]})
		default:
			x--
			out = append(out, step{'-', a[x]})
		}
	}
	slices.Reverse(out)
	return out
}
