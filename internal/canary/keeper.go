package canary

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Keeper knows secrets, and what others may read. It is safe for concurrent use; the zero Keeper knows nothing.
type Keeper struct {
	mu      sync.Mutex
	planted map[string]string // what a secret is, by its value
	sinks   map[string]*strings.Builder
	shown   map[string]int // how many values in all forms
}

// Watch returns a Keeper that is asked when the test ends, and fails it if a secret has leaked.
func Watch(t testing.TB) *Keeper {
	k := &Keeper{}
	t.Cleanup(func() {
		for _, leak := range k.Leaks() {
			t.Errorf("a secret has leaked: %s", leak)
		}
	})
	return k
}

// Plant notes secrets. What is shorter than 12 bytes cannot be told from other text, and is ignored.
func (k *Keeper) Plant(what string, secrets ...string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.planted == nil {
		k.planted = map[string]string{}
	}
	for _, s := range secrets {
		if len(s) >= prefix && k.planted[s] == "" {
			k.planted[s] = what
		}
	}
}

// See notes what others may read in a place.
func (k *Keeper) See(place string, text ...string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.sinks == nil {
		k.sinks = map[string]*strings.Builder{}
	}
	if k.sinks[place] == nil {
		k.sinks[place] = &strings.Builder{}
	}
	for _, t := range text {
		k.sinks[place].WriteString(t)
		k.sinks[place].WriteByte('\n')
	}
}

// maxShown bounds the values of a place that are written down in all their forms: the types are few, and the forms many.
const maxShown = 16

// Show notes a value that others may write down, in all forms of it. The zero value of an interface is nothing.
func (k *Keeper) Show(place string, values ...any) {
	for _, v := range values {
		if v == nil {
			continue
		}
		n := k.count(fmt.Sprintf("%s (%T)", place, v))
		if err, ok := v.(error); ok && n > maxShown {
			k.See(place, err.Error())
		} else if n <= maxShown {
			k.See(place, Forms(v)...)
		}
	}
}

// count returns how often it was asked with the same key.
func (k *Keeper) count(key string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.shown == nil {
		k.shown = map[string]int{}
	}
	k.shown[key]++
	return k.shown[key]
}

// Writer returns a writer into a place, for a log.
func (k *Keeper) Writer(place string) Writer { return Writer{k, place} }

// Writer shows a Keeper what is written.
type Writer struct {
	k     *Keeper
	place string
}

// Write implements io.Writer.
func (w Writer) Write(p []byte) (int, error) {
	w.k.See(w.place, string(p))
	return len(p), nil
}

// Counts returns how many secrets are known, and how many bytes were seen: a test that saw nothing has proved nothing.
func (k *Keeper) Counts() (secrets, seen int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, text := range k.sinks {
		seen += text.Len()
	}
	return len(k.planted), seen
}

// Text returns all that was seen.
func (k *Keeper) Text() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []string
	for _, text := range k.sinks {
		out = append(out, text.String())
	}
	return out
}

// Where returns the places where a text stands that need not be planted, sorted.
func (k *Keeper) Where(text string) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	index := newIndex()
	for _, s := range spellings(text) {
		index.add(s, "text")
	}
	var out []string
	for place, seen := range k.sinks {
		if len(index.search(seen.String())) > 0 {
			out = append(out, place)
		}
	}
	slices.Sort(out)
	return out
}

// Leaks says which secrets stand where, without repeating them.
func (k *Keeper) Leaks() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.find(k.sinks)
}

// Find says which secrets stand in a text that need not have been seen.
func (k *Keeper) Find(place, text string) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var b strings.Builder
	b.WriteString(text)
	return k.find(map[string]*strings.Builder{place: &b})
}

func (k *Keeper) find(sinks map[string]*strings.Builder) []string {
	index := newIndex()
	for secret, what := range k.planted {
		for _, s := range spellings(secret) {
			index.add(s, what)
		}
	}
	var out []string
	for place, text := range sinks {
		for what, where := range index.search(text.String()) {
			out = append(out, fmt.Sprintf("%s in %s: …%s", what, place, where))
		}
	}
	slices.Sort(out)
	return out
}
