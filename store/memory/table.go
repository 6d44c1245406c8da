package memory

import "github.com/tokenboundary/tokenboundary/lineage"

// table maps selectors to values: a map for each kind, because there are few kinds and looking for one text is quicker than for
// two. The zero table is empty.
type table[V any] [kinds]map[string]V

// kinds is how many kinds of selector there are, and one more for what is none.
const kinds = 11

// kindOf returns the number of a kind of selector; zero for what is none.
func kindOf(kind string) int {
	switch kind {
	case lineage.SelectToken:
		return 1
	case lineage.SelectTask:
		return 2
	case lineage.SelectGrant:
		return 3
	case lineage.SelectSession:
		return 4
	case lineage.SelectKey:
		return 5
	case lineage.SelectSubject:
		return 6
	case lineage.SelectActor:
		return 7
	case lineage.SelectClient:
		return 8
	case lineage.SelectConnection:
		return 9
	case lineage.SelectPath:
		return 10
	}
	return 0
}

// place returns the map that the selector is in, if there is one, and its key there.
func (t *table[V]) place(sel lineage.Selector) (of *map[string]V, key string) {
	kind := kindOf(sel.Kind)
	if key = sel.Value; kind == 0 {
		key = sel.String()
	}
	return &t[kind], key
}

func (t *table[V]) get(sel lineage.Selector) (value V, found bool) {
	of, key := t.place(sel)
	value, found = (*of)[key]
	return value, found
}

func (t *table[V]) put(sel lineage.Selector, value V) {
	of, key := t.place(sel)
	if *of == nil {
		*of = map[string]V{}
	}
	(*of)[key] = value
}

func (t *table[V]) remove(sel lineage.Selector) {
	of, key := t.place(sel)
	delete(*of, key)
}
