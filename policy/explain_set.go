package policy

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// task returns the task of the facts, a copy or a new one, to be changed.
func task(f *tokenboundary.Facts) *tokenboundary.TaskFacts {
	t := tokenboundary.TaskFacts{Deadline: f.Now.Add(time.Hour)}
	if f.Task != nil {
		t = *f.Task
	}
	f.Task = &t
	return f.Task
}

func setText(set func(*tokenboundary.Facts, string)) func(*tokenboundary.Facts, []string, ref.Val) bool {
	return func(f *tokenboundary.Facts, path []string, v ref.Val) bool {
		s, ok := v.(types.String)
		if ok && len(path) == 0 {
			set(f, string(s))
			return true
		}
		return false
	}
}

func setTexts(set func(*tokenboundary.Facts, []string)) func(*tokenboundary.Facts, []string, ref.Val) bool {
	return func(f *tokenboundary.Facts, path []string, v ref.Val) bool {
		list, ok := textsOf(v)
		if ok && len(path) == 0 {
			set(f, list)
		}
		return ok && len(path) == 0
	}
}

func setTime(set func(*tokenboundary.Facts, time.Time)) func(*tokenboundary.Facts, []string, ref.Val) bool {
	return func(f *tokenboundary.Facts, path []string, v ref.Val) bool {
		t, ok := v.(types.Timestamp)
		if ok {
			set(f, t.Time)
		}
		return ok
	}
}

// setNow lets time pass. It never goes back.
func setNow(f *tokenboundary.Facts, _ []string, v ref.Val) bool {
	t, ok := v.(types.Timestamp)
	if !ok || !t.After(f.Now) {
		return false
	}
	f.Now = t.Time
	return true
}

func setLifetime(f *tokenboundary.Facts, _ []string, v ref.Val) bool {
	d, ok := v.(types.Duration)
	f.Lifetime = d.Duration
	return ok && d.Duration >= 0
}

func setResource(f *tokenboundary.Facts, _ []string, v ref.Val) bool {
	s, ok := v.(types.String)
	c, err := canon.Resource(string(s))
	if !ok || err != nil || len(f.Resources) > 1 && !slices.Contains(f.Resources, c) {
		return false
	}
	f.Resources = []string{c}
	return true
}

func setPresent(f *tokenboundary.Facts, _ []string, v ref.Val) bool {
	switch v {
	case types.True:
		task(f)
		return true
	case types.False:
		f.Task = nil
		return true
	}
	return false
}

func setContext(f *tokenboundary.Facts, path []string, v ref.Val) bool {
	t := task(f)
	old := map[string]any{}
	if len(t.Context) > 0 && json.Unmarshal(t.Context, &old) != nil {
		return false
	}
	changed, ok := withMember(old, path, v)
	if !ok {
		return false
	}
	raw, err := json.Marshal(changed)
	t.Context = raw
	return err == nil
}

func setMember(of func(*tokenboundary.Facts) *map[string]any) func(*tokenboundary.Facts, []string, ref.Val) bool {
	return func(f *tokenboundary.Facts, path []string, v ref.Val) bool {
		m := of(f)
		changed, ok := withMember(*m, path, v)
		*m = changed
		return ok
	}
}

// withMember returns m with the member at the path set, or taken away. It changes only copies.
func withMember(m map[string]any, path []string, v ref.Val) (map[string]any, bool) {
	if len(path) == 0 {
		return m, false
	}
	out := maps.Clone(m)
	if out == nil {
		out = map[string]any{}
	}
	switch {
	case len(path) > 1:
		inner, isMap := out[path[0]].(map[string]any)
		if _, there := out[path[0]]; there && !isMap {
			return m, false
		}
		changed, ok := withMember(inner, path[1:], v)
		out[path[0]] = changed
		return out, ok
	case v == nil:
		delete(out, path[0])
	default:
		out[path[0]] = native(v)
	}
	return out, true
}

// textsOf returns the strings of a list.
func textsOf(v ref.Val) ([]string, bool) {
	l, ok := v.(traits.Lister)
	if !ok {
		return nil, false
	}
	list, ok := entries(l)
	return slices.Clone(list), ok
}
