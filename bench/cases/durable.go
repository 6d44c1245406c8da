package cases

import (
	"path/filepath"

	"github.com/tokenboundary/tokenboundary/bench/suite"
	"github.com/tokenboundary/tokenboundary/store/bolt"
)

// callers is how many ask at the same time where a case is about many.
const callers = 64

// What durability may cost: of the memory store's throughput with many callers, at least so many percent are left; a lone
// caller waits at most for so many appended and synced records.
const leastShare, mostAppends = 35, 5

func durable() []suite.Case {
	appended := GroupDurable + "/append + fsync of 1 KiB"
	out := []suite.Case{
		{Group: GroupDurable, Name: "append + fsync of 1 KiB", Open: openAppend},
		{Group: GroupDurable, Name: "exchange in bolt, a lone caller", Base: appended, Wall: true,
			Targets: []suite.Target{suite.AtMost(suite.Ratio, mostAppends)},
			Open:    func(dir string) (*suite.Instance, error) { return openBolt(dir, false) }},
	}
	for _, c := range []struct {
		suffix string
		seen   bool
	}{{"not seen before", false}, {"seen", true}} {
		memory := "exchange in memory, 64 callers, " + c.suffix
		out = append(out,
			suite.Case{Group: GroupDurable, Name: memory, Callers: callers, Base: VerifyAndSign,
				Open: func(dir string) (*suite.Instance, error) { return openExchange(dir, false, c.seen) }},
			suite.Case{Group: GroupDurable, Name: "exchange in bolt, 64 callers, " + c.suffix, Callers: callers,
				Base: GroupDurable + "/" + memory, Wall: true, Share: true,
				Targets: []suite.Target{suite.AtLeast(suite.Ratio, leastShare)},
				Open:    func(dir string) (*suite.Instance, error) { return openBolt(dir, c.seen) }})
	}
	return out
}

// openBolt measures exchanges of tokens of ours, each of which is on the disk before it is answered.
func openBolt(dir string, seen bool) (*suite.Instance, error) {
	s, err := bolt.Open(filepath.Join(dir, "bench.db"))
	if err != nil {
		return nil, err
	}
	w, err := newWorld(dir, s)
	if err != nil {
		return nil, err
	}
	i, err := w.exchange(false, seen)
	if err != nil {
		return nil, err
	}
	i.Close = s.Close
	return i, nil
}
